"""Stopping: new requests get a clean 503, those under way go to their end, and nobody waits for ever."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.wire.running import JSON, PATIENCE, Client, Running, post, serving, until

SERVER = Path(__file__).with_name("stand_in.py")


def draining(door: Running) -> None:
    door.call(door.server.drain)


def test_a_new_request_while_draining_is_a_503_that_says_when_to_come_back() -> None:
    with serving(drain=5.0) as door:
        kept = door.client()
        kept.send(post("/echo"))
        kept.answer()
        busy = door.client()
        busy.send(post("/held"))
        door.held.took()
        draining(door)
        for client, path in ((kept, "/echo"), (door.client(), "/echo"), (door.client(), "/told")):
            client.send(post(path))
            answer = client.answer()
            assert (answer.status, answer.headers["retry-after"]) == (503, "1")
            assert answer.headers["connection"] == "close"
            assert json.loads(answer.body)["error"]["code"] == "draining"
            assert client.at_end()
        assert door.ask(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").status == 200
        door.call(lambda: door.held.replies[0].whole(200, JSON, b"{}"))
        answer = busy.answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        until(lambda: not door.loop.is_running(), "the server stopped")
        assert door.server.clean


def test_a_stream_under_way_goes_to_its_end() -> None:
    with serving(drain=5.0) as door:
        client = door.client()
        client.send(post("/held"))
        door.held.took()
        reply = door.held.replies[0]
        door.call(lambda: reply.start(200, JSON), lambda: reply.push(b"before "))
        draining(door)
        door.call(lambda: reply.push(b"after"), reply.end)
        assert client.answer().body == b"before after"
        until(lambda: not door.loop.is_running(), "the server stopped")
        assert door.server.clean


def test_what_has_not_ended_in_time_is_cut_off_visibly_and_told() -> None:
    with serving(drain=0.1) as door:
        client = door.client()
        client.send(post("/held"))
        door.held.took()
        reply = door.held.replies[0]
        door.call(lambda: reply.start(200, JSON), lambda: reply.push(b"half"))
        client.upto(b"half\r\n")
        draining(door)
        assert b"0\r\n\r\n" not in client.rest()
        until(lambda: not door.loop.is_running(), "the server stopped")
        assert door.held.gone == [0]
        assert not door.server.clean


def test_a_second_word_stops_at_once() -> None:
    with serving(drain=60.0) as door:
        client = door.client()
        client.send(post("/held"))
        door.held.took()
        draining(door)
        draining(door)
        until(lambda: not door.loop.is_running(), "the server stopped")
        assert not door.server.clean


def test_idle_connections_hold_nothing_up() -> None:
    with serving(drain=60.0) as door:
        idle = door.client()
        idle.send(post("/echo"))
        idle.answer()
        silent = door.client()
        until(lambda: door.connections() == 2, "both are connected")
        draining(door)
        assert idle.at_end()
        assert silent.at_end()
        assert door.server.clean


class Process:
    """A server in a process of its own."""

    def __init__(self, *arguments: str) -> None:
        self.popen = subprocess.Popen(
            [sys.executable, str(SERVER), *arguments],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        words = self.line().split()
        assert words[0] == "ready"
        self.address = (words[1], int(words[2]))

    def line(self) -> str:
        assert self.popen.stdout is not None
        return self.popen.stdout.readline().decode().strip()

    def end(self) -> None:
        if self.popen.poll() is None:
            self.popen.kill()
        self.popen.wait()
        assert self.popen.stdout is not None
        self.popen.stdout.close()

    def ask(self, path: str) -> bytes:
        client = Client(self.address)
        try:
            client.send(post(path, b"{}", "Connection: close"))
            return client.answer().body
        finally:
            client.close()


@pytest.fixture
def processes() -> Generator[list[Process]]:
    started: list[Process] = []
    yield started
    for process in started:
        process.end()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_stop_it_exits_with_0(processes: list[Process], number: signal.Signals) -> None:
    processes.append(process := Process())
    process.popen.send_signal(number)
    assert process.popen.wait(PATIENCE) == 0


def test_hangup_reloads_and_a_second_interrupt_stops_at_once_with_1(processes: list[Process]) -> None:
    processes.append(process := Process())
    process.popen.send_signal(signal.SIGHUP)
    assert process.line() == "reload"
    client = Client(process.address)
    client.send(post("/held"))
    assert process.line() == "held"
    process.popen.send_signal(signal.SIGINT)
    until(lambda: b"draining" in process.ask("/pid"), "it drains")
    process.popen.send_signal(signal.SIGINT)
    assert process.popen.wait(PATIENCE) == 1
    client.close()


@pytest.fixture(scope="module")
def pair() -> Generator[Process]:
    """Two workers."""
    process = Process("2")
    yield process
    process.end()


def pids(process: Process) -> set[bytes]:
    return {process.ask("/pid") for _ in range(20)}


def test_workers_share_a_port(pair: Process) -> None:
    until(lambda: len(pids(pair)) == 2, "both workers answer")


def test_hangup_reaches_every_worker(pair: Process) -> None:
    until(lambda: len(pids(pair)) == 2, "both workers answer")
    pair.popen.send_signal(signal.SIGHUP)
    assert [pair.line(), pair.line()] == ["reload", "reload"]


def test_a_port_that_another_has_is_refused_to_workers_too(pair: Process) -> None:
    command = [sys.executable, str(SERVER), "2", "fine", str(pair.address[1])]
    done = subprocess.run(command, timeout=60, capture_output=True, check=False)
    assert done.returncode == 1
    assert b"Address already in use" in done.stderr


def test_a_worker_that_dies_is_started_again_and_all_stop_together(processes: list[Process]) -> None:
    processes.append(process := Process("2"))
    until(lambda: len(pids(process)) == 2, "both workers answer")
    before = pids(process)
    os.kill(int(next(iter(before))), signal.SIGKILL)

    def another() -> bool:
        try:
            return bool(pids(process) - before)
        except (OSError, AssertionError):  # what waited at the killed worker is lost with it
            return False

    until(another, "another worker answers")
    process.popen.send_signal(signal.SIGTERM)
    assert process.popen.wait(PATIENCE) == 0
    with pytest.raises(ConnectionRefusedError):
        process.ask("/pid")


def test_workers_die_with_their_parent(processes: list[Process]) -> None:
    processes.append(process := Process("2"))
    process.popen.kill()

    def gone() -> bool:
        try:
            process.ask("/pid")
        except ConnectionRefusedError:
            return True
        except (OSError, AssertionError):  # one of them is just going
            return False
        return False

    until(gone, "nobody listens any more")


def test_workers_that_cannot_start_are_not_started_for_ever() -> None:
    done = subprocess.run([sys.executable, str(SERVER), "2", "broken"], timeout=60, stdout=subprocess.PIPE, check=False)
    assert done.returncode == 7
    assert done.stdout == b""
