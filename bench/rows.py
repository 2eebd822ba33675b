"""The measurements. Each row gives, for each gateway, named figures with one value a round.

Rounds are interleaved (A B C, A B C, …), so that what disturbs the machine disturbs all alike.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench import process, traffic
from bench.gateways import Gateway, Running, running, skipping
from bench.load import Caller, Counts, load, percentile, until

Figures = dict[str, dict[str, list[float]]]
"""gateway -> figure -> one value a round."""


@dataclass(frozen=True)
class Scale:
    """How long everything takes. Seconds."""

    rounds: int
    seconds: float
    stream_rounds: int
    stream_seconds: float
    starts: int
    calls: int
    """Calls one after the other, for latency."""
    settle: float
    """Before memory is read."""


FULL = Scale(rounds=5, seconds=2.0, stream_rounds=3, stream_seconds=4.0, starts=3, calls=800, settle=2.5)
QUICK = Scale(rounds=2, seconds=0.5, stream_rounds=1, stream_seconds=1.2, starts=1, calls=200, settle=1.1)
WARM = 0.3
STREAMS, EVENTS, EVERY_MS = 200, 150, 20
OPEN = 500


@dataclass(frozen=True)
class Bench:
    """Where everything is in one run."""

    directory: Path
    gateways: tuple[Gateway, ...]
    scale: Scale
    core: int
    port: int
    """The upstream's."""
    error_port: int
    dead_port: int

    @property
    def good(self) -> str:
        """The address of the upstream that answers."""
        return f"http://127.0.0.1:{self.port}"


def note(figures: Figures, gateway: str, **values: float) -> None:
    """Adds one round's values."""
    for name, value in values.items():
        figures.setdefault(gateway, {}).setdefault(name, []).append(value)


@contextlib.asynccontextmanager
async def all_running(bench: Bench, gateways: tuple[Gateway, ...]) -> AsyncIterator[list[Running]]:
    """All of them, one after the other started; those that do not start are named and left out."""
    async with contextlib.AsyncExitStack() as stack:
        started = []
        for gateway in gateways:
            with skipping():
                directory = bench.directory / gateway.name
                started.append(await stack.enter_async_context(running(gateway, directory, [bench.good], bench.core)))
        yield started


async def sample(
    run: Running, request: bytes, connections: int, seconds: float, *, spread: float = 0.0, begun: bool = False
) -> dict[str, float]:
    """Loads one gateway and measures a stretch of it: CPU in microseconds, latency in milliseconds."""
    counts = Counts()
    async with load(run.port, request, connections, counts, spread=spread):
        await asyncio.sleep(WARM)
        if begun:
            await until(lambda: counts.begun >= connections)
        cpu, answers, events = process.cpu(run.pid), counts.answers, counts.events
        before = time.perf_counter()
        await asyncio.sleep(seconds)
        took = time.perf_counter() - before
        cpu = process.cpu(run.pid) - cpu
        latencies = counts.latencies[answers:]
    answers, events = counts.answers - answers, counts.events - events
    figures = {"failures": float(counts.failures), "busy": cpu / took}
    if begun:
        return {**figures, "cpu_us": 1e6 * cpu / max(events, 1), "events_s": events / took}
    return {
        **figures,
        "cpu_us": 1e6 * cpu / max(answers, 1),
        "requests_s": answers / took,
        "p50_ms": 1e3 * percentile(latencies, 0.5),
        "p99_ms": 1e3 * percentile(latencies, 0.99),
    }


async def _rounds(bench: Bench, mark: str, size: int, connections: int) -> Figures:
    figures: Figures = {}
    async with all_running(bench, bench.gateways) as runs:
        for _ in range(bench.scale.rounds):
            for run in runs:
                request = run.gateway.request(mark, size=size)
                got = await sample(run, request, connections, bench.scale.seconds)
                note(figures, run.gateway.name, **got)
    return figures


async def plain(bench: Bench) -> Figures:
    """A plain chat request: 0.7 KB in, 0.5 KB out, 32 connections."""
    return await _rounds(bench, traffic.PLAIN_MARK, 700, 32)


async def large(bench: Bench) -> Figures:
    """A prompt of 100 KB and an answer of 20 KB, 16 connections."""
    return await _rounds(bench, traffic.LARGE_MARK, 100_000, 16)


async def streams(bench: Bench) -> Figures:
    """200 streams of 150 words, each word an event of 250 bytes in a write of its own, one every 20 ms."""
    figures: Figures = {}
    mark = traffic.stream_mark(EVENTS, EVERY_MS)
    async with all_running(bench, relaying(bench)) as runs:
        for _ in range(bench.scale.stream_rounds):
            for run in runs:
                request = run.gateway.request(mark, stream=True)
                seconds = bench.scale.stream_seconds
                note(figures, run.gateway.name, **await sample(run, request, STREAMS, seconds, spread=1.0, begun=True))
    return figures


async def latency(bench: Bench) -> Figures:
    """One connection, one request after the other; `added` is against the upstream asked directly, in milliseconds."""
    figures: Figures = {}
    async with all_running(bench, relaying(bench)) as runs:
        for _ in range(bench.scale.rounds):
            request = traffic.request(traffic.PATH, traffic.body("m", traffic.PLAIN_MARK, size=700))
            direct = await _one_by_one(bench.port, request, bench.scale.calls)
            note(figures, "direct", p50_ms=direct)
            for run in runs:
                p50 = await _one_by_one(run.port, run.gateway.request(traffic.PLAIN_MARK), bench.scale.calls)
                note(figures, run.gateway.name, p50_ms=p50, added_ms=p50 - direct)
    return figures


async def _one_by_one(port: int, request: bytes, calls: int) -> float:
    counts = Counts()
    async with load(port, request, 1, counts):
        await until(lambda: counts.answers >= calls or counts.failures > 0)
    return 1e3 * percentile(counts.latencies[calls // 10 :], 0.5)


async def memory(bench: Bench) -> Figures:
    """500 open streams: memory each (KB); then all clients hang up: seconds until the last upstream call is closed."""
    figures: Figures = {}
    for _ in range(bench.scale.starts):
        for gateway in relaying(bench):
            with skipping():
                async with running(gateway, bench.directory / gateway.name, [bench.good], bench.core) as run:
                    note(figures, gateway.name, **await _open_and_leave(bench, run))
    return figures


async def _open_and_leave(bench: Bench, run: Running) -> dict[str, float]:
    await asyncio.sleep(0.3)
    idle = process.rss(run.pid)
    request = run.gateway.request(traffic.stream_mark(900_000, 1000), stream=True)
    counts = Counts()
    async with load(run.port, request, OPEN, counts, spread=0.5) as callers:
        await until(lambda: counts.begun >= OPEN)
        await asyncio.sleep(bench.scale.settle)
        held = process.rss(run.pid)
        closed = await hang_up(bench.port, callers)
    return {"stream_kb": (held - idle) / OPEN / 1024, "closed_s": closed, "failures": float(counts.failures)}


async def hang_up(port: int, callers: list[Caller]) -> float:
    """Seconds from the first hang-up to the close of the last upstream connection; infinite after 5."""
    began = time.monotonic()
    for caller in callers:
        caller.stop()
    while (stats := await upstream_stats(port))["streams"]:
        if time.monotonic() - began > 5:
            return float("inf")
        await asyncio.sleep(0.02)
    return stats["last_closed"] - began


async def upstream_stats(port: int) -> Mapping[str, float]:
    """What the mock upstream counted."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /stats HTTP/1.1\r\n\r\n")
    head = await reader.readuntil(b"\r\n\r\n")
    body = await reader.readexactly(int(head.rsplit(b":", 1)[1]))
    writer.close()
    stats: Mapping[str, float] = json.loads(body)
    return stats


async def start(bench: Bench) -> Figures:
    """From the command to the first answered request (seconds), and resident memory half a second later (MB)."""
    figures: Figures = {}
    for _ in range(bench.scale.starts):
        for gateway in bench.gateways:
            with skipping():
                async with running(gateway, bench.directory / gateway.name, [bench.good], bench.core) as run:
                    await asyncio.sleep(0.5)
                    note(figures, gateway.name, start_s=run.started, idle_mb=process.rss(run.pid) / 2**20)
    return figures


async def dead(bench: Bench) -> Figures:
    """A route whose first target refuses, or answers 500, and the same route with it alive; 8 connections."""
    figures: Figures = {}
    for gateway in bench.gateways:
        if gateway.fails_over:
            with skipping():
                await _with_dead_targets(bench, gateway, figures)
    return figures


async def _with_dead_targets(bench: Bench, gateway: Gateway, figures: Figures) -> None:
    firsts = {
        "alive": bench.good,
        "refused": f"http://127.0.0.1:{bench.dead_port}",
        "500": f"http://127.0.0.1:{bench.error_port}",
    }
    async with contextlib.AsyncExitStack() as stack:
        runs = {}
        for name, first in firsts.items():
            directory = bench.directory / f"{gateway.name}-{name}"
            runs[name] = await stack.enter_async_context(running(gateway, directory, [first, bench.good], bench.core))
        for _ in range(bench.scale.rounds):
            for name, run in runs.items():
                got = await sample(run, gateway.request(traffic.PLAIN_MARK), 8, bench.scale.seconds)
                note(figures, f"{gateway.name} {name}", **got)


async def reachable(port: int) -> None:
    """Waits until the upstream answers. Raises TimeoutError."""
    async with asyncio.timeout(10):
        while True:
            with contextlib.suppress(OSError):
                await upstream_stats(port)
                return
            await asyncio.sleep(0.01)


def relaying(bench: Bench) -> tuple[Gateway, ...]:
    """Those that ask the upstream."""
    return tuple(gateway for gateway in bench.gateways if gateway.relays)


ROWS: Mapping[str, Callable[[Bench], Awaitable[Figures]]] = {
    "plain": plain,
    "streams": streams,
    "large": large,
    "latency": latency,
    "memory": memory,
    "start": start,
    "dead": dead,
}
