"""How calls go out, and what the sink may do in its callbacks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from proxy.core.call import HttpCall, Origin
from proxy.core.failure import FailureKind
from proxy.net.settings import NetSettings
from tests.net.raw import GET, OK, POST, H, Heard, Peer, Upstream, answering, ask, engine, start, until

Run = Callable[[Coroutine[Any, Any, None]], None]


def test_a_call_goes_out_with_its_length_and_comes_back_whole(run: Run) -> None:
    seen: list[bytes] = []

    async def script(peer: Peer) -> None:
        seen.append(await peer.request())
        await peer.say(H + b"X-A: 1\r\nContent-Length: 2\r\n\r\nhi")
        await peer.closed()

    async def main() -> None:
        async with Upstream(script) as upstream, engine() as net:
            heard = await ask(net, upstream.origin)
            assert (heard.calls, heard.status, heard.body) == (["head", "data", "end"], 200, b"hi")
            assert heard.headers == [(b"x-a", b"1"), (b"content-length", b"2")]
        assert seen == [b'POST /v1/x HTTP/1.1\r\nHost: upstream\r\ncontent-length: 7\r\n\r\n{"a":1}']

    run(main())


def test_a_get_has_no_content_length_and_a_post_without_body_has_one(run: Run) -> None:
    seen: list[bytes] = []

    async def script(peer: Peer) -> None:
        for _ in range(2):
            seen.append(await peer.request())
            await peer.say(OK)

    async def main() -> None:
        async with Upstream(script) as upstream, engine() as net:
            await ask(net, upstream.origin, GET)
            await ask(net, upstream.origin, HttpCall(POST.head, b""))
        assert b"length" not in seen[0]
        assert seen[1].endswith(b"\r\ncontent-length: 0\r\n\r\n")

    run(main())


def test_a_unix_socket_is_an_origin(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        async with Upstream(answering(OK), uds=str(tmp_path / "s")) as upstream, engine() as net:
            assert (await ask(net, upstream.origin)).body == b"hi"
            assert (await ask(net, upstream.origin)).body == b"hi"
            assert upstream.accepted == 1

    run(main())


def test_a_missing_unix_socket_is_refused_without_its_path_in_the_message(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        async with engine() as net:
            heard = await ask(net, Origin("http", "worker", 80, str(tmp_path / "none")))
            assert heard.failure is not None
            assert heard.kind is FailureKind.REFUSED
            assert str(tmp_path) not in heard.failure.message

    run(main())


def test_a_call_beyond_the_limit_of_connections_fails_as_busy_and_not_before_send_returns(run: Run) -> None:
    async def main() -> None:
        async with Upstream(answering(b"")) as upstream, engine(NetSettings(max_open=1)) as net:
            first, flight = start(net, upstream.origin)
            second, _ = start(net, upstream.origin)
            assert second.calls == []
            await second.ended.wait()
            assert second.kind is FailureKind.BUSY
            flight.abort()
            await until(lambda: net.stats()[:3] == (0, 0, 0))
            third, _ = start(net, upstream.origin)
            await until(lambda: net.stats().open == 1)
            assert (first.calls, third.calls) == ([], [])

    run(main())


def test_a_refused_connection_says_so(run: Run) -> None:
    async def main() -> None:
        async with Upstream(answering(OK)) as upstream:
            port = upstream.port
        async with engine() as net:
            heard = await ask(net, Origin("http", "127.0.0.1", port))
            assert (heard.calls, heard.kind) == (["failure"], FailureKind.REFUSED)
            assert heard.failure is not None
            assert "127" not in heard.failure.message

    run(main())


def test_a_call_made_from_on_end_goes_out_on_the_same_connection(run: Run) -> None:
    async def main() -> None:
        async with Upstream(answering(OK)) as upstream, engine() as net:
            second = Heard()

            def then(name: str) -> None:
                if name == "end":
                    net.send(upstream.origin, POST, second, connect=5)

            first, _ = start(net, upstream.origin)
            first.then = then
            await second.ended.wait()
            assert second.body == b"hi"
            assert upstream.accepted == 1

    run(main())


def test_a_call_made_from_on_failure_is_a_call_like_any_other(run: Run) -> None:
    async def main() -> None:
        async with Upstream(answering(OK)) as upstream, engine() as net:
            second = Heard()

            def then(name: str) -> None:
                net.send(upstream.origin, POST, second, connect=5)

            first, _ = start(net, Origin("http", "127.0.0.1", 1))
            first.then = then
            await second.ended.wait()
            assert (first.calls, second.body) == (["failure"], b"hi")

    run(main())


def test_a_large_body_goes_out_whole(run: Run) -> None:
    body = b"x" * 5_000_000

    async def script(peer: Peer) -> None:
        got = await peer.request()
        await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n%d" % (len(got) - got.index(b"\r\n\r\n") - 4))
        await peer.closed()

    async def main() -> None:
        async with Upstream(script) as upstream, engine() as net:
            assert (await ask(net, upstream.origin, HttpCall(POST.head, body))).body == b"5000000"

    run(main())


def test_an_answer_before_the_request_is_taken_is_given_and_its_connection_not_used_again(run: Run) -> None:
    async def script(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        await peer.say(b"HTTP/1.1 413 X\r\nContent-Length: 2\r\n\r\nno")
        await asyncio.sleep(60)

    async def main() -> None:
        async with Upstream(script) as upstream, engine() as net:
            heard = await ask(net, upstream.origin, HttpCall(POST.head, b"x" * 20_000_000))
            assert (heard.status, heard.body) == (413, b"no")
            assert net.stats().idle == 0
            await until(lambda: net.stats().open == 0)

    run(main())
