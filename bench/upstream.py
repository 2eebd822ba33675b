"""The mock upstream: as lean as Python can make it, checks nothing. `python -m bench.upstream PORT ERROR_PORT`

What it answers is said by a mark in the prompt (see `bench.traffic`), so that it works behind gateways that rewrite the
request. On ERROR_PORT every answer is a 500. `GET /stats` gives counts, and when its last stream connection was closed.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import cast

import uvloop

from bench import traffic


class Stats:
    """Counts of this process. `last_closed` is CLOCK_MONOTONIC, the same in all processes."""

    def __init__(self) -> None:
        self.requests = 0
        self.streams = 0
        """Streams under way."""
        self.last_closed = 0.0

    def response(self) -> bytes:
        """For `GET /stats`."""
        now = {"requests": self.requests, "streams": self.streams, "last_closed": self.last_closed}
        return traffic.response(traffic.dumps(now))


class Line(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self, stats: Stats, failing: bool) -> None:
        self._stats = stats
        self._failing = failing
        self._head = b""
        self._parts: list[bytes] = []
        self._missing = 0
        self._left = 0
        self._every = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._loop = asyncio.get_running_loop()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._stats.streams -= 1
            self._stats.last_closed = time.monotonic()

    def data_received(self, data: bytes) -> None:
        if self._missing:
            self._parts.append(data)
            self._missing -= len(data)
        else:
            data = self._head + data
            end = data.find(b"\r\n\r\n")
            if end < 0:
                self._head = data
                return
            self._head = b""
            self._parts = [data[end + 4 :]]
            self._missing = _length(data[:end].lower()) - len(self._parts[0])
            if data.startswith(b"GET "):
                self._transport.write(self._stats.response())
                return
        if self._missing <= 0:
            self._missing = 0
            self._answer(b"".join(self._parts) if len(self._parts) > 1 else self._parts[0])

    def _answer(self, body: bytes) -> None:
        self._stats.requests += 1
        mark = body.find(b"@")
        kind = body[mark + 1 : mark + 2]
        if self._failing or kind == b"e":
            self._transport.write(traffic.ERROR_RESPONSE)
        elif kind == b"s":
            self._left = int(body[mark + 2 : mark + 8])
            self._every = int(body[mark + 9 : mark + 14]) / 1000
            self._stats.streams += 1
            self._transport.write(traffic.STREAM_HEAD + traffic.ROLE)
            self._timer = self._loop.call_later(self._every, self._word)
        else:
            self._transport.write(traffic.LARGE_RESPONSE if kind == b"l" else traffic.PLAIN_RESPONSE)

    def _word(self) -> None:
        if self._left:
            self._left -= 1
            self._transport.write(traffic.WORD)
            self._timer = self._loop.call_later(self._every, self._word)
        else:
            self._timer = None
            self._stats.streams -= 1
            self._transport.write(traffic.FINISH)


def _length(head: bytes) -> int:
    at = head.find(b"content-length:")
    return int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0


async def serve(port: int, error_port: int) -> None:
    """Serves until the process is ended."""
    stats = Stats()
    loop = asyncio.get_running_loop()
    good = await loop.create_server(lambda: Line(stats, False), "127.0.0.1", port, backlog=4096)
    bad = await loop.create_server(lambda: Line(stats, True), "127.0.0.1", error_port, backlog=4096)
    await asyncio.gather(good.serve_forever(), bad.serve_forever())


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), int(sys.argv[2])))
