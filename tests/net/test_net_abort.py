"""Leaving: a call, an upstream that does not read, the whole engine."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from proxy.core.call import HttpCall
from proxy.core.failure import FailureKind
from tests.net.raw import OK, POST, H, Peer, Upstream, answering, ask, engine, start, until

Run = Callable[[Coroutine[Any, Any, None]], None]


def test_abort_closes_the_connection_at_once_and_silences_the_sink(run: Run) -> None:
    async def main() -> None:
        gone: asyncio.Queue[None] = asyncio.Queue()

        async def script(peer: Peer) -> None:
            await peer.request()
            await peer.say(H + b"Content-Length: 100\r\n\r\nhi")
            await peer.closed()
            gone.put_nowait(None)

        async with Upstream(script) as upstream, engine() as net:
            heard, flight = start(net, upstream.origin)
            await heard.data_came.wait()
            flight.abort()
            flight.abort()
            await asyncio.wait_for(gone.get(), 0.25)
            assert heard.calls == ["head", "data"]
            assert net.stats()[:2] == (0, 0)

    run(main())


@pytest.mark.parametrize("where", ["head", "data"])
def test_abort_from_inside_a_callback_is_the_last_thing_the_sink_hears(run: Run, where: str) -> None:
    async def main() -> None:
        async with Upstream(answering(OK)) as upstream, engine() as net:
            heard, flight = start(net, upstream.origin)
            heard.then = lambda name: flight.abort() if name == where else None
            await until(lambda: where in heard.calls and net.stats().open == 0)
            assert heard.calls[-1] == where

    run(main())


def test_abort_while_connecting_stops_it(run: Run) -> None:
    async def main() -> None:
        async with Upstream(answering(OK)) as upstream, engine() as net:
            at_once, flight = start(net, upstream.origin)
            flight.abort()
            later, flight = start(net, upstream.origin)
            await asyncio.sleep(0)
            flight.abort()
            await until(lambda: net.stats()[:3] == (0, 0, 0))
            assert (at_once.calls, later.calls) == ([], [])

    run(main())


def test_abort_after_the_end_does_not_touch_the_connections_next_call(run: Run) -> None:
    async def main() -> None:
        go = asyncio.Event()

        async def script(peer: Peer) -> None:
            await peer.request()
            await peer.say(OK)
            await peer.request()
            await go.wait()
            await peer.say(OK)
            await peer.closed()

        async with Upstream(script) as upstream, engine() as net:
            first, flight = start(net, upstream.origin)
            await first.ended.wait()
            second, _ = start(net, upstream.origin)
            flight.abort()
            flight.pause()
            flight.resume()
            go.set()
            await second.ended.wait()
            assert second.calls == ["head", "data", "end"]
            assert upstream.accepted == 1

    run(main())


def test_closing_the_engine_fails_what_is_under_way_and_what_comes_later(run: Run) -> None:
    async def main() -> None:
        async with Upstream(answering(b"")) as upstream, engine() as net:
            sent, _ = start(net, upstream.origin)
            await until(lambda: net.stats().open == 1)
            dialing, _ = start(net, upstream.origin)
            await net.close()
            later = await ask(net, upstream.origin)
            assert {sent.kind, dialing.kind, later.kind} == {FailureKind.DRAINING}
            assert net.stats()[:3] == (0, 0, 0)

    run(main())


async def deaf(peer: Peer) -> None:
    """Reads no more than its stream's own buffer takes."""
    await asyncio.Event().wait()


def test_an_upstream_that_does_not_take_the_request_can_be_left(run: Run) -> None:
    async def main() -> None:
        async with engine() as net, Upstream(deaf) as upstream:
            heard, flight = start(net, upstream.origin, HttpCall(POST.head, b"x" * 20_000_000))
            await until(lambda: net.stats().open == 1)
            flight.abort()
            await until(lambda: net.stats().open == 0)
            assert heard.calls == []

    run(main())


def test_a_call_that_is_over_keeps_neither_its_sink_nor_its_body(run: Run) -> None:
    async def main() -> None:
        async with Upstream(answering(OK)) as upstream, engine() as net:
            heard, flight = start(net, upstream.origin)
            await heard.ended.wait()
            gone = weakref.ref(heard)
            del heard
            assert gone() is None
            assert "0 bytes" in repr(flight.call)

    run(main())


def test_a_call_whose_task_is_cancelled_by_others_still_fails(run: Run) -> None:
    async def main() -> None:
        async with Upstream(answering(OK)) as upstream, engine() as net:
            before = asyncio.all_tasks()
            heard, _ = start(net, upstream.origin)
            for task in asyncio.all_tasks() - before:
                task.cancel()
            await heard.ended.wait()
            assert heard.kind is FailureKind.DRAINING

    run(main())
