"""Requests in another API's words: answers, errors and the guard's refusals come in that API's shape."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import orjson
import pytest

from proxy.core.chat import ChatRequest
from proxy.core.failure import VERDICTS, Failure, FailureKind
from proxy.engine.caller import Won
from proxy.inbound.way import Fault, Renderer, Wrong
from proxy.wire.door import Draining
from proxy.wire.errors import Refusal, refusal
from proxy.wire.rendered import Rendered
from proxy.wire.reply import Inbound, Reply, Worded
from proxy.wire.wording import worded
from tests.wire.running import Running, post, serving

K = FailureKind


class Loud:
    """An API that says everything in capitals, and calls 503 by another number."""

    name = "loud"

    def read(self, body: dict[str, Any], raw: bytes, fields: Mapping[bytes, bytes]) -> ChatRequest | Wrong:
        return Wrong("no")

    def renderer(self, request: ChatRequest, request_id: str, created: int) -> Renderer:
        return self

    def lines(self, request_id: str) -> bytes:
        return b"loud-id: %b\r\n" % request_id.encode()

    def error(self, fault: Fault) -> tuple[int, bytes]:
        told = {"LOUD": fault.message.upper(), "id": fault.request_id, "chars": fault.received_chars}
        return 529 if fault.status == 503 else fault.status, orjson.dumps(told)

    def ending(self, last: bytes) -> bytes:
        return b"" if b"BYE" in last else b"BYE"

    def whole(self, body: bytes) -> bytes:
        return body.upper()

    def push(self, data: bytes) -> bytes:
        return data.upper()

    def close(self, last: bytes) -> bytes:
        return last.upper() + b"BYE"

    def broken(self, fault: Fault) -> bytes:
        return self.error(fault)[1]


class Taken:
    """A `Reply` that keeps what it is given."""

    gone = False

    def __init__(self) -> None:
        self.status = 0
        self.headers = ""
        self.body = b""
        self.ended = False

    def whole(self, status: int, headers: bytes, body: bytes) -> None:
        self.start(status, headers)
        self.end(body)

    def start(self, status: int, headers: bytes) -> None:
        self.status, self.headers = status, headers.decode()

    def flush(self) -> None: ...

    def push(self, data: bytes) -> bool:
        self.body += data
        return True

    def end(self, data: bytes = b"") -> None:
        self.body += data
        self.ended = True

    def abandon(self) -> None: ...

    def watch(self, on_gone: Callable[[], None], on_ready: Callable[[], None]) -> None: ...


REQUEST = ChatRequest(b"", {}, "m", True, True)
OURS = Won("r", "t", 1, None, ())
THEIRS = OURS._replace(native="loud")


@pytest.fixture
def taken() -> Taken:
    return Taken()


@pytest.fixture
def answer(taken: Taken) -> Rendered:
    return Rendered(taken, "req_1", "r", Loud(), REQUEST)


def test_a_whole_answer_is_rendered(answer: Rendered, taken: Taken) -> None:
    answer.whole(b"abc", OURS)
    assert (taken.status, taken.body) == (200, b"ABC")
    assert "loud-id: req_1\r\n" in taken.headers and "x-wayline-target: t\r\n" in taken.headers


def test_a_stream_is_rendered_and_ends_as_that_api_ends(answer: Rendered, taken: Taken) -> None:
    answer.open(OURS)
    assert answer.push(b"one ")
    answer.close(b"last ")
    assert taken.body == b"ONE LAST BYE"
    assert b"[DONE]" not in taken.body and taken.ended


def test_what_the_upstream_says_in_that_api_itself_is_handed_on_untouched(answer: Rendered, taken: Taken) -> None:
    answer.whole(b"abc", THEIRS)
    assert taken.body == b"abc"


@pytest.mark.parametrize(("last", "whole"), [(b"two BYE", b"one two BYE"), (b"two ", b"one two BYE")])
def test_an_upstreams_own_stream_has_one_end(answer: Rendered, taken: Taken, last: bytes, whole: bytes) -> None:
    answer.open(THEIRS)
    answer.push(b"one ")
    answer.push(last)
    answer.close()
    assert taken.body == whole


def test_a_keep_alive_is_a_comment_before_anything_is_rendered(answer: Rendered, taken: Taken) -> None:
    answer.comment()
    answer.open(OURS)
    answer.push(b"x")
    assert taken.body == b": wayline\n\nX"
    assert "loud-id: req_1" in taken.headers


@pytest.mark.parametrize("kind", list(FailureKind))
def test_every_failure_is_told_in_that_apis_words(kind: FailureKind, answer: Rendered, taken: Taken) -> None:
    answer.refuse(Failure(kind, ""), 2.0, "t", 1)
    status = VERDICTS[kind].status
    assert taken.status == (529 if status == 503 else status)
    told = json.loads(taken.body)
    assert told["LOUD"].isupper() and told["id"] == "req_1"
    assert ("retry-after: 2\r\n" in taken.headers) == (status in (429, 503))


def test_a_failure_after_comments_or_content_is_told_in_the_stream(answer: Rendered, taken: Taken) -> None:
    answer.comment()
    answer.refuse(Failure(K.RESET, ""), None, "t", 1)
    assert json.loads(taken.body.removeprefix(b": wayline\n\n"))["chars"] == 0


@pytest.mark.parametrize("won", [OURS, THEIRS])
def test_a_cut_stream_says_so_whoever_spoke(won: Won, answer: Rendered, taken: Taken) -> None:
    answer.open(won)
    answer.push(b"\n")
    answer.broken(Failure(K.TRUNCATED, ""), 12)
    assert json.loads(taken.body)["chars"] == 12
    assert b"BYE" not in taken.body


def test_a_refusal_of_ours_keeps_its_header_lines() -> None:
    told = worded(Loud(), refusal(503, "No.", "full", more=b"retry-after: 1\r\n"), "req_1")
    assert told.status == 529
    assert told.headers == b"content-type: application/json\r\nretry-after: 1\r\nloud-id: req_1\r\n"


# The guard, on sockets ------------------------------------------------------------------------------------------


def _raises(inbound: Inbound, reply: Reply) -> None:
    raise RuntimeError("a bug")


@pytest.fixture
def loud() -> Any:
    words: Callable[[Refusal], Refusal] = partial(worded, Loud())
    endpoints = {("POST", "/loud"): Worded(lambda _, reply: reply.whole(200, b"", b"hi"), words)}
    endpoints["POST", "/raises"] = Worded(_raises, words)
    with serving(endpoints, max_body=100) as running:
        yield running


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (post("/loud"), 200),
        (post("/loud?beta=true"), 200),
        (post("/loud", b"x" * 101), 413),
        (post("/loud", b"{}", "Content-Encoding: gzip"), 415),
        (b"GET /loud HTTP/1.1\r\nHost: a\r\n\r\n", 405),
        (b"POST /loud?x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (post("/raises"), 500),
    ],
)
def test_what_the_guard_refuses_on_such_a_path_is_told_in_its_words(
    loud: Running, request_: bytes, status: int
) -> None:
    answer = loud.ask(request_)
    assert answer.status == status
    if status != 200:
        assert json.loads(answer.body)["LOUD"].isupper()
        assert answer.headers["content-type"] == "application/json"


def test_other_paths_keep_openais_shape(loud: Running) -> None:
    assert "error" in json.loads(loud.ask(post("/echo", b"x" * 101)).body)


def test_draining_is_told_in_its_words_with_a_time_to_come_back(loud: Running) -> None:
    client = loud.client()
    client.send(post("/held"))
    loud.held.took()
    other = loud.client()
    draining: Draining = loud.server.door.draining
    loud.call(lambda: setattr(draining, "active", True))
    other.send(post("/loud"))
    answer = other.answer()
    assert (answer.status, answer.headers["retry-after"]) == (529, "1")
    assert json.loads(answer.body)["LOUD"] == "THE GATEWAY IS SHUTTING DOWN."
