"""The log tells of each request and each happening in a line; it shows no key, and holds nothing up."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import orjson
import pytest

from proxy.core.failure import FailureKind
from proxy.core.outcome import Ended, Finish
from proxy.core.secret import Secret
from proxy.ops import log as log_
from proxy.ops.log import Log
from proxy.ops.log_lines import Happening, PrettyLines
from proxy.ops.log_scrub import Scrubber


class Pipe:
    """Both ends of a pipe, and what came out of it."""

    def __init__(self) -> None:
        self.out, self.into = os.pipe()

    def lines(self) -> list[dict[str, Any]]:
        """All that was written, once the writer is done."""
        os.close(self.into)
        self.into = -1
        data = b""
        while piece := os.read(self.out, 65536):
            data += piece
        return [orjson.loads(line) for line in data.splitlines()]

    def close(self) -> None:
        for fd in (self.out, self.into):
            if fd >= 0:
                os.close(fd)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    yield made
    made.close()


def test_a_request_is_one_json_line(pipe: Pipe, finished: Finish) -> None:
    log = Log(fd=pipe.into)
    log.observe_finish(finished)
    log.close()
    assert pipe.lines() == [
        {
            "time": "2026-09-21T14:13:21.750Z",
            "level": "info",
            "event": "request",
            "request_id": "req-1",
            "endpoint": "chat",
            "route": "chat",
            "target": "openai/mini",
            "status": 200,
            "ended": "served",
            "attempts": 1,
            "stream": True,
            "duration_s": 1.5,
            "first_content_s": 0.8,
            "cost_usd": 0.25,
            "key": "team-a",
        }
    ]


def test_what_is_not_so_with_most_requests_stands_where_it_is(pipe: Pipe, finished: Finish) -> None:
    log = Log(fd=pipe.into)
    log.observe_finish(finished._replace(agent="scout", tags=("a",), queued=0.25, strategy="cheapest", rule=2))
    log.close()
    (line,) = pipe.lines()
    more = {name: line[name] for name in ("agent", "queued_s", "strategy", "rule")}
    assert more == {"agent": "scout", "queued_s": 0.25, "strategy": "cheapest", "rule": 2}
    pretty = PrettyLines(colour=False).request(finished._replace(queued=0.25, strategy="cheapest"), Scrubber())
    assert b"  queued 0.25 s  cheapest  " in pretty


@pytest.mark.parametrize(
    ("status", "ended", "failure", "level"),
    [
        (502, Ended.FAILED, FailureKind.REFUSED, "error"),
        (200, Ended.CUT, FailureKind.TRUNCATED, "error"),
        (429, Ended.FAILED, FailureKind.RATE_LIMITED, "warning"),
        (499, Ended.CANCELLED, FailureKind.CLIENT_GONE, "info"),
    ],
)
def test_what_failed_says_how_and_how_loud(
    pipe: Pipe, finished: Finish, status: int, ended: Ended, failure: FailureKind, level: str
) -> None:
    log = Log(fd=pipe.into)
    log.observe_finish(finished._replace(status=status, ended=ended, failure=failure, cost=None))
    log.close()
    (line,) = pipe.lines()
    assert (line["level"], line["status"], line["ended"], line["failure"]) == (
        level,
        status,
        ended.value,
        failure.value,
    )
    assert line["cost_usd"] is None


def test_events_keep_their_order_and_bear_any_field(pipe: Pipe) -> None:
    log = Log(fd=pipe.into)
    log.event("info", "serve.listening", host="127.0.0.1", port=8080)
    log.event("error", "odd.fields", level="shadowed", path=os.sep, odd="\ud800", big=2**70, many=(1, "a"), none=None)
    log.close()
    first, second = pipe.lines()
    assert (first["event"], first["host"], first["port"]) == ("serve.listening", "127.0.0.1", 8080)
    assert (second["level"], second["odd"], second["many"], second["none"]) == ("error", "?", [1, "a"], None)
    assert second["big"] == pytest.approx(2**70)


def test_no_key_gets_into_a_line(pipe: Pipe, finished: Finish) -> None:
    secret = Secret("open sesame")
    log = Log(fd=pipe.into, secrets=["first-secret"])
    log.hide([secret.reveal(), "x"])
    texts = [
        "the upstream said: open sesame is not a key",
        "sk-proj-abcdefgh12345678",
        "Authorization: Bearer abcdefghijk.lmn",
        "key AIzaSyA-1234567890abcdefgh",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln",
    ]
    log.event(
        "error",
        "trouble",
        reason=texts[0],
        more=texts,
        nested={"api_key": "short"},
        authorization="plain",
        secret=secret,
    )
    log.observe_finish(finished._replace(request_id="sk-abcdefgh12345678", route="open sesame", key="box of x"))
    log.close()
    told = b"".join(orjson.dumps(line) for line in pipe.lines()).decode()
    for bare in ("sesame", "abcdefgh", "AIza", "eyJ", "short", "plain"):
        assert bare not in told
    assert "box of x" in told, "a secret too short to be one hides nothing"
    assert "the upstream said: *** is not a key" in told


def test_a_reader_that_stands_still_holds_nobody_up_and_the_loss_is_said(
    pipe: Pipe, finished: Finish, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_, "LIMIT", 500)
    monkeypatch.setattr(log_, "LINGER", 0.001)
    log = Log(fd=pipe.into)
    before = time.perf_counter()
    for _ in range(5000):
        log.observe_finish(finished)
    log.event("info", "the.last")
    assert time.perf_counter() - before < 2.5  # of five, if each line were waited for
    dropped = log.dropped
    assert dropped > 0
    threading.Thread(target=log.close).start()
    found = _all_lines(pipe, lambda: log._thread.is_alive())
    requests = [line for line in found if line["event"] == "request"]
    said = [line for line in found if line["event"] == "log.dropped"]
    assert said[-1]["in_all"] == dropped
    assert sum(line["lines"] for line in said) == dropped
    assert len(requests) + len([line for line in found if line["event"] == "the.last"]) + dropped == 5001


def test_a_pipe_that_nobody_reads_any_more_is_survived(pipe: Pipe, finished: Finish) -> None:
    log = Log(fd=pipe.into)
    os.close(pipe.out)
    pipe.out = -1
    for _ in range(10):
        log.observe_finish(finished)
    log.close()
    assert log.dropped == 10


def test_a_nonblocking_descriptor_loses_nothing(pipe: Pipe, finished: Finish) -> None:
    os.set_blocking(pipe.into, False)
    log = Log(fd=pipe.into)
    for _ in range(2000):
        log.observe_finish(finished)
    threading.Thread(target=log.close).start()
    assert len(_all_lines(pipe, lambda: log._thread.is_alive())) == 2000


def test_what_is_waiting_at_exit_is_written() -> None:
    """Also when nobody closes the log."""
    program = "from proxy.ops.log import Log; Log().event('info', 'the.last', n=1)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, timeout=30)
    assert orjson.loads(done.stdout)["event"] == "the.last"


def test_on_a_terminal_it_reads_well() -> None:
    finish = Finish(
        "req-1",
        "chat",
        "here/smol",
        2,
        200,
        True,
        "chat",
        0.0,
        1.5,
        0.8,
        Ended.CUT,
        FailureKind.RESET,
        Decimal("1E-7"),
        "me",
    )
    plain = PrettyLines(colour=False).request(finish, Scrubber()).decode()
    assert plain[8:] == (
        "  200  chat → here/smol  1.50 s  first 0.80 s  2 attempts  cut  reset  $0.0000001  me  req-1\n"
    )
    event = PrettyLines(colour=False).happening(Happening(0.0, "warning", "a.b", {"x": "1\x1b[2J\n2"}), Scrubber())
    assert event[8:] == b"  a.b  x=1 [2J 2\n", "an upstream's text is not obeyed by the terminal"
    assert "\x1b[31m200\x1b[0m" in PrettyLines(colour=True).request(finish, Scrubber()).decode()


def _all_lines(pipe: Pipe, alive: Callable[[], bool]) -> list[dict[str, Any]]:
    """Read as the writer writes, until its thread has ended."""
    os.set_blocking(pipe.out, False)
    data = b""
    while True:
        last = not alive()
        try:
            data += os.read(pipe.out, 65536)
        except BlockingIOError:
            if last:
                return [orjson.loads(line) for line in data.splitlines()]
            threading.Event().wait(0.005)
