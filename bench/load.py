"""The load generator: asyncio.Protocol on prebuilt bytes; responses are parsed by httptools so that framing is real."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import cast

import httptools


class Counts:
    """What has come back so far. Latencies are in seconds; those of streams are not kept."""

    def __init__(self) -> None:
        self.answers = 0
        self.events = 0
        self.begun = 0
        """Answers whose first body byte has come."""
        self.failures = 0
        self.latencies: list[float] = []


class Caller(asyncio.Protocol):
    """One connection that sends the same request again whenever its answer is complete."""

    def __init__(self, request: bytes, counts: Counts, *, once: bool = False) -> None:
        self._request = request
        self._counts = counts
        self._once = once
        self._stopping = False
        self._body = False
        self._tail = b""
        self.finished = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._parser = httptools.HttpResponseParser(self)
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._stopping:
            self._counts.failures += 1
        if not self.finished.done():
            self.finished.set_result(None)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.abort()

    def on_body(self, data: bytes) -> None:
        """Counts events: ends of lines that are followed by an empty one, also where a cut falls between."""
        if not self._body:
            self._body = True
            self._counts.begun += 1
        joined = self._tail + data
        self._counts.events += joined.count(b"\n\n")
        self._tail = b"\n" if joined.endswith(b"\n") and not joined.endswith(b"\n\n") else b""

    def on_message_complete(self) -> None:
        """An answer is whole."""
        if self._parser.get_status_code() == 200 and self._body:
            self._counts.answers += 1
            self._counts.latencies.append(time.perf_counter() - self._sent)
        else:
            self._counts.failures += 1
        if self._once or self._stopping:
            self.stop()
        else:
            self._send()

    def stop(self) -> None:
        """Hangs up."""
        self._stopping = True
        self._transport.abort()

    def _send(self) -> None:
        self._body = False
        self._sent = time.perf_counter()
        self._transport.write(self._request)


@contextlib.asynccontextmanager
async def load(
    port: int, request: bytes, connections: int, counts: Counts, *, spread: float = 0.0, once: bool = False
) -> AsyncIterator[list[Caller]]:
    """Keeps `connections` calls under way within the block; they begin within `spread` seconds.

    With `once` each connection makes one call and hangs up.
    """
    loop = asyncio.get_running_loop()
    callers: list[Caller] = []
    try:
        for _ in range(connections):
            _, caller = await loop.create_connection(lambda: Caller(request, counts, once=once), "127.0.0.1", port)
            callers.append(caller)
            if spread:
                await asyncio.sleep(spread / connections)
        yield callers
    finally:
        for caller in callers:
            caller.stop()
        await asyncio.gather(*(caller.finished for caller in callers))


async def once(port: int, request: bytes) -> bool:
    """Sends one request over a new connection; true when the answer was a good one. Raises OSError."""
    counts = Counts()
    loop = asyncio.get_running_loop()
    _, caller = await loop.create_connection(lambda: Caller(request, counts, once=True), "127.0.0.1", port)
    await caller.finished
    return counts.answers == 1


async def until(true: Callable[[], bool]) -> None:
    """Waits until it holds. Raises TimeoutError after 30 seconds."""
    async with asyncio.timeout(30):
        while not true():  # noqa: ASYNC110 - looking now and then costs less than telling at each answer
            await asyncio.sleep(0.01)


def percentile(values: Sequence[float], part: float) -> float:
    """The value below which `part` of all lie; 0 where there are none."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * part), len(ordered) - 1)] if ordered else 0.0
