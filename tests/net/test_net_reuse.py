"""When a connection is used again, and when not."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from proxy.core.call import Origin
from proxy.core.failure import FailureKind
from proxy.net.connection import LOOK_AFTER
from proxy.net.httpnet import HttpNet
from proxy.net.settings import NetSettings
from tests.net.raw import GET, OK, H, Peer, Upstream, answering, ask, engine, start, until

Run = Callable[[Coroutine[Any, Any, None]], None]


def test_a_connection_is_used_again_without_a_task_and_its_request_is_out_before_send_returns(run: Run) -> None:
    async def main() -> None:
        async with Upstream(answering(OK)) as upstream, engine() as net:
            await ask(net, upstream.origin)
            assert net.stats().idle == 1
            tasks = len(asyncio.all_tasks())
            heard, _ = start(net, upstream.origin)
            assert len(asyncio.all_tasks()) == tasks
            assert net.stats().idle == 0
            await heard.ended.wait()
            assert heard.body == b"hi"
            assert upstream.accepted == 1
            assert net.stats() == (1, 1, 0, 1)

    run(main())


NOT_KEPT = [
    b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi",
    H + b"Connection: close\r\nContent-Length: 2\r\n\r\nhi",
    H + b"Content-Length: 2\r\n\r\nhiHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
    H + b"Content-Length: 2\r\n\r\nhi!",
    H + b"Connection: close\r\nContent-Length: 2\r\n\r\nhi!",
    H + b"Keep-Alive: timeout=1\r\nContent-Length: 2\r\n\r\nhi",
]


@pytest.mark.parametrize("answer", NOT_KEPT)
def test_a_connection_is_not_used_again_where_that_is_not_safe(run: Run, answer: bytes) -> None:
    async def main() -> None:
        async with Upstream(answering(answer)) as upstream, engine() as net:
            for count in (1, 2):
                heard = await ask(net, upstream.origin)
                assert (heard.calls, heard.body) == (["head", "data", "end"], b"hi")
                assert net.stats().idle == 0
                assert upstream.accepted == count

    run(main())


def test_http_1_0_with_keep_alive_is_kept(run: Run) -> None:
    async def main() -> None:
        answer = b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi"
        async with Upstream(answering(answer)) as upstream, engine() as net:
            await ask(net, upstream.origin)
            await ask(net, upstream.origin)
            assert upstream.accepted == 1

    run(main())


@pytest.mark.parametrize("last_words", [b"", b"HTTP/1.1 408 Request Timeout\r\n\r\n"])
def test_an_idle_connection_that_the_peer_ends_or_speaks_on_is_dropped_at_once(run: Run, last_words: bytes) -> None:
    async def main() -> None:
        go = asyncio.Event()

        async def script(peer: Peer) -> None:
            await peer.request()
            await peer.say(OK)
            await go.wait()
            if last_words:
                await peer.say(last_words)
                await peer.closed()

        async with Upstream(script) as upstream, engine() as net:
            await ask(net, upstream.origin)
            assert net.stats().idle == 1
            go.set()
            await until(lambda: net.stats()[:2] == (0, 0))
            assert (await ask(net, upstream.origin)).body == b"hi"
            assert upstream.accepted == 2

    run(main())


def dying(peer_number_that_lives: int) -> Callable[[Peer], Coroutine[Any, Any, None]]:
    """Answers once on each connection, and closes on the second request without a word."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(OK)
        await peer.request()
        if peer.number == peer_number_that_lives:
            await peer.say(OK)
            await peer.closed()

    return script


def test_a_get_on_a_dead_pooled_connection_is_sent_once_more_on_a_new_one(run: Run) -> None:
    async def main() -> None:
        async with Upstream(dying(2)) as upstream, engine() as net:
            await ask(net, upstream.origin)
            assert (await ask(net, upstream.origin, GET)).body == b"hi"
            assert upstream.accepted == 2

    run(main())


def test_a_get_is_sent_again_once_only_and_never_on_a_new_connection(run: Run) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        if peer.number == 1:
            await peer.say(OK)
            await peer.request()

    async def main() -> None:
        async with Upstream(script) as upstream, engine() as net:
            await ask(net, upstream.origin)
            assert (await ask(net, upstream.origin, GET)).kind is FailureKind.EMPTY_REPLY
            assert upstream.accepted == 2
            assert (await ask(net, upstream.origin, GET)).kind is FailureKind.EMPTY_REPLY
            assert upstream.accepted == 3

    run(main())


def test_a_post_on_a_dead_pooled_connection_is_not_sent_twice(run: Run) -> None:
    async def main() -> None:
        async with Upstream(dying(2)) as upstream, engine() as net:
            await ask(net, upstream.origin)
            heard = await ask(net, upstream.origin)
            assert heard.calls == ["failure"]
            assert heard.kind is FailureKind.EMPTY_REPLY
            assert upstream.accepted == 1

    run(main())


def test_idle_connections_expire(run: Run) -> None:
    async def main() -> None:
        async with Upstream(answering(OK)) as upstream, engine(NetSettings(idle=0.02)) as net:
            await ask(net, upstream.origin)
            await asyncio.sleep(0.03)  # the expiry is what is tested
            await ask(net, upstream.origin)
            assert upstream.accepted == 2

    run(main())


def test_no_more_idle_connections_are_kept_than_set(run: Run) -> None:
    async def main() -> None:
        async with Upstream(answering(OK)) as upstream, engine(NetSettings(max_idle=2)) as net:
            calls = [start(net, upstream.origin)[0] for _ in range(5)]
            for heard in calls:
                await heard.ended.wait()
            await until(lambda: net.stats().open == 2)
            assert net.stats().idle == 2

    run(main())


def test_an_end_that_the_event_loop_has_not_come_to_is_seen_before_a_rested_connection_is_used(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.setblocking(False)
            async with engine() as net:
                origin = Origin("http", "127.0.0.1", listener.getsockname()[1])
                first, _ = start(net, origin)
                peer, _ = await loop.sock_accept(listener)
                await loop.sock_recv(peer, 1000)
                await loop.sock_sendall(peer, OK)
                await first.ended.wait()
                rest_all(net)
                peer.close()  # and not a turn of the loop between this and the next call
                second, _ = start(net, origin)
                peer, _ = await loop.sock_accept(listener)
                await loop.sock_recv(peer, 1000)
                await loop.sock_sendall(peer, OK)
                await second.ended.wait()
                assert second.body == b"hi"
                peer.close()

    run(main())


def rest_all(net: HttpNet) -> None:
    """As if the idle connections had rested long enough to be looked at."""
    for pool in net._pools.values():
        for connection in pool.idle:
            connection._rested -= LOOK_AFTER


def test_a_rested_connection_that_lives_is_used(run: Run) -> None:
    async def main() -> None:
        async with Upstream(answering(OK)) as upstream, engine() as net:
            await ask(net, upstream.origin)
            rest_all(net)
            await ask(net, upstream.origin)
            assert upstream.accepted == 1

    run(main())


def test_what_has_expired_is_closed_without_another_call(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.net.pool.SWEEP", 0.005)

    async def main() -> None:
        async with Upstream(answering(OK)) as upstream, engine(NetSettings(idle=0.03)) as net:
            await ask(net, upstream.origin)
            assert net.stats().open == 1
            await until(lambda: net.stats()[:2] == (0, 0))
            await ask(net, upstream.origin)
            await until(lambda: net.stats()[:2] == (0, 0))

    run(main())


def test_a_burst_uses_the_newest_connections_first(run: Run) -> None:
    async def main() -> None:
        numbers: list[int] = []

        async def script(peer: Peer) -> None:
            while True:
                await peer.request()
                numbers.append(peer.number)
                await peer.say(OK)

        async with Upstream(script) as upstream, engine() as net:
            for heard in [start(net, upstream.origin)[0] for _ in range(3)]:
                await heard.ended.wait()
            await until(lambda: net.stats().idle == 3)
            for _ in range(3):
                await ask(net, upstream.origin)
            assert len(set(numbers[3:])) == 1

    run(main())
