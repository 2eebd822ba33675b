"""What comes back, and every way in which it can end, against real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from proxy.core.call import HttpCall
from proxy.core.failure import FailureKind
from tests.net.raw import OK, H, Peer, Upstream, answering, ask, engine, once, start, until

Run = Callable[[Coroutine[Any, Any, None]], None]


ENDS = [
    ("content length", H + b"Content-Length: 2\r\n\r\nhi", None),
    ("chunked", H + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", None),
    ("end of connection", H + b"\r\nhi", None),
    ("HTTP/1.0", b"HTTP/1.0 200 OK\r\n\r\nhi", None),
    ("nothing", b"", FailureKind.EMPTY_REPLY),
    ("half a head", b"HTTP/1.1 200 O", FailureKind.TRUNCATED),
    ("only an interim answer", b"HTTP/1.1 100 Continue\r\n\r\n", FailureKind.TRUNCATED),
    ("short content length", H + b"Content-Length: 9\r\n\r\nhi", FailureKind.TRUNCATED),
    ("no last chunk", H + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n", FailureKind.TRUNCATED),
    ("cut in a chunk", H + b"Transfer-Encoding: chunked\r\n\r\n9\r\nhi", FailureKind.TRUNCATED),
    ("garbage", b"\x15\x03\x01\x00\x02", FailureKind.MALFORMED),
    ("garbage for a chunk", H + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\nzz\r\n", FailureKind.MALFORMED),
    ("both framings", H + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nhi", FailureKind.MALFORMED),
    ("a coding under chunked", H + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", FailureKind.MALFORMED),
    ("switching protocols", b"HTTP/1.1 101 X\r\nUpgrade: a\r\nConnection: upgrade\r\n\r\n", FailureKind.MALFORMED),
    ("interim answers without end", b"HTTP/1.1 102 X\r\n\r\n" * 9 + OK, FailureKind.MALFORMED),
    ("a head too large", H + b"A: " + b"b" * 70_000 + b"\r\n\r\n", FailureKind.OVERSIZE),
    ("too many headers", H + b"A: b\r\n" * 201 + b"\r\n", FailureKind.OVERSIZE),
    (
        "chunk extensions without end",
        H + b"Transfer-Encoding: chunked\r\n\r\n2;" + b"x" * 300_000,
        FailureKind.OVERSIZE,
    ),
    ("brotli", H + b"Content-Encoding: br\r\nContent-Length: 2\r\n\r\nhi", FailureKind.MALFORMED),
]


@pytest.mark.parametrize(("answer", "kind"), [case[1:] for case in ENDS], ids=[case[0] for case in ENDS])
def test_every_way_an_answer_can_end_has_its_name(run: Run, answer: bytes, kind: FailureKind | None) -> None:
    async def main() -> None:
        async with Upstream(once(answer)) as upstream, engine() as net:
            heard = await ask(net, upstream.origin)
            assert heard.kind is kind
            assert heard.calls[-1] == ("end" if kind is None else "failure")
            if kind is None:
                assert heard.body == b"hi"
            await until(lambda: net.stats().open == 0)

    run(main())


def test_a_reset_is_told_from_an_end_before_and_within_the_answer(run: Run) -> None:
    async def main() -> None:
        go = asyncio.Event()

        async def script(peer: Peer) -> None:
            await peer.request()
            if peer.number == 2:
                await peer.say(H + b"\r\nhi")
                await go.wait()
            peer.reset()

        async with Upstream(script) as upstream, engine() as net:
            assert (await ask(net, upstream.origin)).kind is FailureKind.RESET
            heard, _ = start(net, upstream.origin)
            await heard.data_came.wait()
            go.set()
            await heard.ended.wait()
            assert heard.kind is FailureKind.RESET
            assert heard.failure is not None
            assert heard.failure.status == 200

    run(main())


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_that_cannot_have_a_body_ends_with_its_head(run: Run, status: int) -> None:
    async def main() -> None:
        answer = b"HTTP/1.1 %d X\r\nContent-Length: 5\r\n\r\n" % status
        async with Upstream(answering(answer)) as upstream, engine() as net:
            for _ in range(2):
                heard = await ask(net, upstream.origin)
                assert (heard.calls, heard.status) == (["head", "end"], status)
            assert upstream.accepted == 1

    run(main())


def test_the_answer_to_head_has_no_body(run: Run) -> None:
    async def main() -> None:
        call = HttpCall(b"HEAD / HTTP/1.1\r\nHost: a\r\n", repeatable=True)
        async with Upstream(answering(H + b"Content-Length: 5\r\n\r\n")) as upstream, engine() as net:
            assert (await ask(net, upstream.origin, call)).calls == ["head", "end"]
            assert (await ask(net, upstream.origin, call)).calls == ["head", "end"]

    run(main())


def test_interim_answers_are_skipped(run: Run) -> None:
    async def main() -> None:
        interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n"
        async with Upstream(answering(interim + OK)) as upstream, engine() as net:
            heard = await ask(net, upstream.origin)
            assert (heard.status, heard.body) == (200, b"hi")
            assert heard.headers == [(b"content-length", b"2")]

    run(main())


def test_a_redirect_is_an_answer_like_any_other(run: Run) -> None:
    async def main() -> None:
        answer = b"HTTP/1.1 302 X\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
        async with Upstream(answering(answer)) as upstream, engine() as net:
            heard = await ask(net, upstream.origin)
            assert (heard.status, heard.calls) == (302, ["head", "end"])
            assert net.stats().opened == 1

    run(main())
