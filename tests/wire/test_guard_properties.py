"""However a client's bytes are cut, and whatever they are: the same answers, within the same bounds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import pairwise
from typing import Any, cast

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from uvicorn.server import ServerState

from proxy.config.values import Listen
from proxy.wire.connection import GuardedConfig
from proxy.wire.guard import MAX_HELD, MAX_QUEUED, GuardedProtocol
from proxy.wire.reply import Endpoint, Inbound, Reply
from proxy.wire.server import configure
from tests.wire.running import JSON, echo, post


class Pipe:
    """A transport that writes down what it is given."""

    def __init__(self) -> None:
        self.out = b""
        self.closed = False

    def write(self, data: bytes) -> None:
        assert not self.closed, "written to after it was closed"
        self.out += data

    def close(self) -> None:
        self.closed = True

    abort = close

    def write_eof(self) -> None:
        self.closed = True

    def can_write_eof(self) -> bool:
        return True

    def is_closing(self) -> bool:
        return self.closed

    def get_write_buffer_size(self) -> int:
        return 0

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default


class Talk:
    """One connection without a socket."""

    def __init__(self, config: GuardedConfig, loop: asyncio.AbstractEventLoop) -> None:
        self.pipe = Pipe()
        self.line = GuardedProtocol(config, ServerState(), {}, loop)
        self.line.connection_made(cast(asyncio.Transport, self.pipe))

    def hear(self, data: bytes) -> None:
        if not self.pipe.closed:
            self.line.data_received(data)

    def over(self) -> None:
        self.line.connection_lost(None)


def with_loop(test: Callable[[asyncio.AbstractEventLoop, GuardedConfig], None], **limits: Any) -> None:
    loop = asyncio.new_event_loop()
    try:
        endpoints: dict[tuple[str, str], Endpoint] = {("POST", "/echo"): echo, ("POST", "/later"): Later()}
        config = configure(Listen(port=0, **limits), Starlette(), endpoints)
        config.load()
        config.door.date = b"date: now\r\n"
        test(loop, config)
    finally:
        loop.close()


class Later:
    """An endpoint that answers when told to."""

    def __init__(self) -> None:
        self.replies: list[Reply] = []

    def __call__(self, inbound: Inbound, reply: Reply) -> None:
        self.replies.append(reply)


def chunked(pieces: list[bytes]) -> bytes:
    head = b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces if piece) + b"0\r\n\r\n"


upgrade = st.sampled_from([(), ("Connection: Upgrade", "Upgrade: h2c")])
plain = st.builds(lambda body, more: post("/echo", body, *more), st.binary(max_size=60), upgrade)
pieces = st.builds(chunked, st.lists(st.binary(max_size=20), max_size=5))
bad = st.sampled_from([b"GET /echo HTTP/1.1\r\nHost: a\r\n\r\n", b"rubbish\r\n\r\n", b"POST /echo HTTP/1.1\r\n\r\n"])
conversations = st.builds(
    lambda good, end: b"".join(good) + end, st.lists(plain | pieces, max_size=5), bad | st.just(b"")
)


def cut(raw: bytes, at: list[int]) -> list[bytes]:
    edges = sorted({0, len(raw), *(place % (len(raw) + 1) for place in at)})
    return [raw[left:right] for left, right in pairwise(edges)]


@settings(max_examples=150, deadline=None)
@given(conversations, st.lists(st.integers(0, 5000), max_size=8))
def test_the_cuts_between_bytes_change_nothing(raw: bytes, at: list[int]) -> None:
    def compare(loop: asyncio.AbstractEventLoop, config: GuardedConfig) -> None:
        outs = []
        for parts in ([raw], cut(raw, at), [bytes([byte]) for byte in raw]):
            talk = Talk(config, loop)
            for part in parts:
                talk.hear(part)
            outs.append((talk.pipe.out, talk.pipe.closed))
            talk.over()
        assert outs[0] == outs[1] == outs[2]

    with_loop(compare)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.binary(max_size=200) | conversations, max_size=4), st.lists(st.integers(0, 5000), max_size=5))
def test_any_bytes_at_all_get_only_whole_answers_or_none(blobs: list[bytes], at: list[int]) -> None:
    def feed(loop: asyncio.AbstractEventLoop, config: GuardedConfig) -> None:
        talk = Talk(config, loop)
        for part in cut(b"".join(blobs), at):
            talk.hear(part)
        rest = talk.pipe.out
        while rest:
            head, _, rest = rest.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 ")
            length = int(head.partition(b"content-length: ")[2].split(b"\r\n")[0])
            body, rest = rest[:length], rest[length:]
            assert len(body) == length
            if not head.startswith(b"HTTP/1.1 200"):
                assert orjson.loads(body)["error"]["message"]
                assert rest == b""
        talk.over()

    with_loop(feed)


@settings(max_examples=60, deadline=None)
@given(st.lists(plain | st.just(post("/later")), min_size=1, max_size=300), st.integers(1, 40_000))
def test_what_waits_behind_a_request_is_bounded_however_it_comes(requests: list[bytes], size: int) -> None:
    def flood(loop: asyncio.AbstractEventLoop, config: GuardedConfig) -> None:
        talk = Talk(config, loop)
        raw = b"".join([post("/later"), *requests])
        for start in range(0, len(raw), size):
            talk.hear(raw[start : start + size])
            assert len(talk.line.queue) <= MAX_QUEUED
            assert sum(len(held) for held in talk.line.held) <= MAX_HELD
        later = config.door.hot[b"/later"].methods[b"POST"]
        assert isinstance(later, Later)
        answered = 0
        while answered < len(later.replies):
            later.replies[answered].whole(200, JSON, b"%d" % answered)
            answered += 1
        assert talk.line.turn is None
        talk.over()

    with_loop(flood)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=3000), min_size=1, max_size=40), st.integers(100, 20_000))
def test_no_more_of_a_body_is_kept_than_its_bound(parts: list[bytes], bound: int) -> None:
    def fill(loop: asyncio.AbstractEventLoop, config: GuardedConfig) -> None:
        talk = Talk(config, loop)
        raw = chunked(parts)
        for start in range(0, len(raw), 500):
            talk.hear(raw[start : start + 500])
            assert len(talk.line.body) <= bound
        total = sum(len(part) for part in parts)
        assert talk.pipe.out.startswith(b"HTTP/1.1 200" if total <= bound else b"HTTP/1.1 413")
        talk.over()

    with_loop(fill, max_body=bound)
