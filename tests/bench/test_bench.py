"""The bench measures what it says: its upstream answers, its load counts, its processes cost what the kernel says."""

from __future__ import annotations

import asyncio
import math
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from bench import gateways, process, report, rows, traffic
from bench.load import Counts, load, once, percentile, until


@pytest.fixture
def upstream(tmp_path: Path) -> Iterator[tuple[int, int]]:
    """The mock upstream's ports: one that answers, one that fails."""
    ports = process.free_ports(2)
    command = process.python("-m", "bench.upstream", *map(str, ports))
    child = process.start(command, process.cores()[1], log=tmp_path / "upstream.txt")
    try:
        asyncio.run(rows.reachable(ports[0]))
        yield ports[0], ports[1]
    finally:
        process.stop(child)


def ask(mark: str, *, size: int = 700, stream: bool = False) -> bytes:
    return traffic.request(traffic.PATH, traffic.body("m", mark, size=size, stream=stream))


def test_requests_and_answers_have_the_promised_sizes() -> None:
    assert abs(len(traffic.body("m", traffic.PLAIN_MARK, size=700)) - 700) < 20
    assert abs(len(traffic.body("m", traffic.LARGE_MARK, size=100_000)) - 100_000) < 20
    assert 450 < len(traffic.SMALL) < 550
    assert 20_000 < len(traffic.LARGE) < 21_000
    assert 240 < len(traffic.WORD) < 280
    assert orjson.loads(traffic.SMALL)["usage"]["completion_tokens"] == 40


def test_plain_calls_are_counted_and_timed(upstream: tuple[int, int]) -> None:
    async def run() -> Counts:
        counts = Counts()
        async with load(upstream[0], ask(traffic.PLAIN_MARK), 4, counts):
            await until(lambda: counts.answers > 20)
        return counts

    counts = asyncio.run(run())
    assert counts.answers == len(counts.latencies) > 20
    assert counts.failures == 0
    assert 0 < percentile(counts.latencies, 0.5) <= percentile(counts.latencies, 0.99) < 5


def test_every_event_of_a_stream_is_counted(upstream: tuple[int, int]) -> None:
    async def run() -> Counts:
        counts = Counts()
        async with load(upstream[0], ask(traffic.stream_mark(10, 1), stream=True), 3, counts, once=True) as callers:
            await asyncio.wait_for(asyncio.gather(*(caller.finished for caller in callers)), 10)
        return counts

    counts = asyncio.run(run())
    assert counts.answers == 3
    assert counts.events == 3 * (1 + 10 + traffic.FINISH_EVENTS)


def test_a_failing_upstream_fails(upstream: tuple[int, int]) -> None:
    assert asyncio.run(once(upstream[0], ask(traffic.LARGE_MARK, size=100_000)))
    assert not asyncio.run(once(upstream[1], ask(traffic.PLAIN_MARK)))
    assert not asyncio.run(once(upstream[0], ask(traffic.ERROR_MARK)))


def test_the_upstream_notices_who_hangs_up_on_a_clock_that_all_processes_share(upstream: tuple[int, int]) -> None:
    async def run() -> float:
        counts = Counts()
        request = ask(traffic.stream_mark(100_000, 1000), stream=True)
        async with load(upstream[0], request, 5, counts) as callers:
            await until(lambda: counts.begun == 5)
            assert (await rows.upstream_stats(upstream[0]))["streams"] == 5
            return await rows.hang_up(upstream[0], callers)

    assert 0 <= asyncio.run(run()) < 1


def test_a_gateway_is_started_measured_and_stopped(upstream: tuple[int, int], tmp_path: Path) -> None:
    floor = gateways.ALL["floor"]

    async def run() -> tuple[int, dict[str, float]]:
        target = f"http://127.0.0.1:{upstream[0]}"
        async with gateways.running(floor, tmp_path, [target], process.cores()[0]) as running:
            assert running.started > 0
            assert process.rss(running.pid) > 5_000_000
            return running.pid, await rows.sample(running, floor.request(traffic.PLAIN_MARK), 4, 0.3)

    pid, figures = asyncio.run(run())
    assert figures["requests_s"] > 100
    assert figures["failures"] == 0
    assert 0 < figures["busy"] <= 1.2
    assert not Path(f"/proc/{pid}").exists()


def test_a_gateway_that_does_not_start_is_named_and_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = gateways.Gateway(
        "broken", lambda *_: gateways.Start([sys.executable, "-c", "print('no such option')"], 1), lambda: ""
    )

    async def run() -> None:
        with gateways.skipping():
            async with gateways.running(broken, tmp_path, [], process.cores()[0]):
                raise AssertionError("it cannot have answered")

    asyncio.run(run())
    assert "broken did not start: no such option" in capsys.readouterr().out


BURN = (
    "import time; end = time.process_time() + 0.2\nwhile time.process_time() < end: pass\nprint('done', flush=True)\n"
)
PARENT = (
    f"import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', {BURN + 'time.sleep(60)'!r}])\n{BURN}p.wait()"
)


def test_cpu_time_of_a_whole_tree_is_seen() -> None:
    command = [sys.executable, "-c", PARENT]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as child:
        assert child.stdout is not None
        try:
            assert [child.stdout.readline(), child.stdout.readline()] == [b"done\n", b"done\n"]
            assert len(process.tree(child.pid)) == 2
            assert process.cpu(child.pid) >= 0.38
        finally:
            os.killpg(child.pid, signal.SIGKILL)


def test_a_ratio_is_taken_within_each_round() -> None:
    results = {"plain": {"wayline": {"cpu_us": [30.0, 90.0, 60.0]}, "floor": {"cpu_us": [10.0, 30.0, 30.0]}}}
    assert report.ratio("plain", "cpu_us", "floor")(results) == 3.0
    judged = {each.text: each for each in report.judge(results)}
    assert judged["CPU a plain chat request, to the uvicorn floor"].met is True
    assert judged["  the same, the goal beyond"].met is False
    assert judged["idle resident memory"].met is None


def test_the_tables_show_what_was_not_measured_and_what_never_came() -> None:
    results: report.Results = {"memory": {"wayline": {"closed_s": [math.inf]}}}
    table = report.budgets_table(report.judge(results))
    assert table.splitlines()[-1].split()[-3:] == ["never", "NOT", "MET"]
    assert "not measured" in table
    assert "wayline" in report.figures_table("memory", results["memory"])
    assert report.sayable({"a": [math.inf, 1.5]}) == {"a": [None, 1.5]}
