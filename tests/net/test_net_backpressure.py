"""What cannot be passed on is not read: a slow reader costs its upstream time, and the proxy next to no memory."""

from __future__ import annotations

import asyncio
import ssl
import tracemalloc
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from proxy.core.call import Headers
from proxy.core.failure import Failure
from proxy.net.flight import Flight
from proxy.net.settings import NetSettings
from tests.net.raw import OK, POST, H, Peer, Upstream, answering, ask, engine, start

Run = Callable[[Coroutine[Any, Any, None]], None]
PEM = Path(__file__).parents[1] / "fixtures" / "tls" / "localhost.pem"
PIECE = b"x" * 65536
TOTAL = 200 * 1024 * 1024


class SlowReader:
    """Pauses at each piece, and resumes a turn of the loop later: never holds more than one."""

    def __init__(self) -> None:
        self.flight: Flight | None = None
        self.taken = 0
        self.largest = 0
        self.reads = 0
        self.ended = asyncio.Event()

    def on_head(self, status: int, headers: Headers) -> None:
        pass

    def on_data(self, data: bytes) -> None:
        assert self.flight is not None
        self.taken += len(data)
        self.largest = max(self.largest, len(data))
        self.reads += 1
        self.flight.pause()
        asyncio.get_running_loop().call_soon(self.flight.resume)

    def on_end(self) -> None:
        self.ended.set()

    def on_failure(self, failure: Failure) -> None:
        raise AssertionError(failure)


async def flood(peer: Peer) -> None:
    """200 MiB as fast as they are taken."""
    await peer.request()
    await peer.say(H + b"Content-Length: %d\r\n\r\n" % TOTAL)
    for _ in range(TOTAL // len(PIECE)):
        await peer.say(PIECE)
    await peer.closed()


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_a_slow_reader_of_200_mib_costs_less_than_4_mib(run: Run, tls: bool) -> None:
    async def main() -> None:
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(PEM)
        settings = NetSettings(tls=ssl.create_default_context(cafile=str(PEM)))
        async with Upstream(flood, tls=server if tls else None) as upstream, engine(settings) as net:
            reader = SlowReader()
            tracemalloc.start()
            try:
                reader.flight = net.send(upstream.origin, POST, reader, connect=5)
                async with asyncio.timeout(60):
                    await reader.ended.wait()
                peak = tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()
            assert reader.taken == TOTAL
            assert peak < 4 * 1024 * 1024  # the upstream's own buffers, in the same process, included

    run(main())


def test_while_paused_nothing_comes_and_the_upstream_is_held_up(run: Run) -> None:
    async def main() -> None:
        sent = 0

        async def script(peer: Peer) -> None:
            nonlocal sent
            await peer.request()
            await peer.say(H + b"Content-Length: %d\r\n\r\n" % TOTAL)
            for _ in range(TOTAL // len(PIECE)):
                await peer.say(PIECE)
                sent += len(PIECE)

        async with Upstream(script) as upstream, engine() as net:
            heard, flight = start(net, upstream.origin)
            heard.then = lambda name: flight.pause()
            await heard.data_came.wait()
            before = -1
            while before != sent:  # until the kernel's buffers are full
                before = sent
                await asyncio.sleep(0.05)
            assert sent < TOTAL / 4
            assert len(heard.body) < 1024 * 1024
            flight.abort()

    run(main())


def test_a_connection_that_was_paused_at_its_answers_end_reads_again_for_the_next(run: Run) -> None:
    async def main() -> None:
        async with Upstream(answering(OK)) as upstream, engine() as net:
            heard, flight = start(net, upstream.origin)
            heard.then = lambda name: flight.pause()
            await heard.ended.wait()
            assert (await ask(net, upstream.origin)).body == b"hi"
            assert upstream.accepted == 1

    run(main())
