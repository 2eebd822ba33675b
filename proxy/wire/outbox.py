"""A reply for one who awaits it, where there is no connection of ours to write to: another server, or the caller.

outbox = Outbox()
endpoint(inbound, outbox)
await outbox.begun()                 # outbox.status, outbox.headers
while piece := await outbox.piece(): ...
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

MOST = 64 * 1024
"""Bytes that wait for a slow reader before `push` says so."""


class BrokenOff(Exception):
    """The reply will never be complete."""


def pairs(lines: bytes) -> list[tuple[bytes, bytes]]:
    """Header lines, each ended by CRLF, by name and value."""
    found = []
    for line in lines.split(b"\r\n"):
        if line:
            name, _, value = line.partition(b": ")
            found.append((name, value))
    return found


def _nothing() -> None:
    return None


class Outbox:
    """Implements `Reply`. It is read by one task; `leave` says that nobody reads it any more."""

    def __init__(self) -> None:
        self.status = 0
        """0: nothing was answered yet."""
        self.headers = b""
        self.length: int | None = None
        """Bytes of the body, where it came whole."""
        self._pieces: deque[bytes] = deque()
        self._held = 0
        self._ended = False
        self._broken = False
        self._gone = False
        self._full = False
        self._wake: asyncio.Future[None] | None = None
        self._on_gone: Callable[[], None] = _nothing
        self._on_ready: Callable[[], None] = _nothing

    # What the endpoint calls

    @property
    def gone(self) -> bool:
        return self._gone

    def whole(self, status: int, headers: bytes, body: bytes) -> None:
        self.length = len(body)
        self.start(status, headers)
        self.end(body)

    def start(self, status: int, headers: bytes) -> None:
        self.status, self.headers = status, headers

    def flush(self) -> None:
        self._rouse()

    def push(self, data: bytes) -> bool:
        if self._over or not data:
            return True
        self._pieces.append(data)
        self._held += len(data)
        self._rouse()
        self._full = self._held > MOST
        return not self._full

    def end(self, data: bytes = b"") -> None:
        if self._over:
            return
        if data:
            self._pieces.append(data)
        self._ended = True
        self._let_go()

    def abandon(self) -> None:
        if not self._over:
            self._broken = True
            self._let_go()

    def watch(self, on_gone: Callable[[], None], on_ready: Callable[[], None]) -> None:
        if self._gone:
            on_gone()
        elif not self._over:
            self._on_gone, self._on_ready = on_gone, on_ready

    # What the reader calls

    async def begun(self) -> None:
        """Until status and headers are there. Raises `BrokenOff`."""
        while not self.status:
            await self._more()

    async def piece(self) -> bytes:
        """The next bytes of the body; none at its end. Raises `BrokenOff`."""
        while not self._pieces:
            if self._ended:
                return b""
            await self._more()
        data = b"".join(self._pieces)
        self._pieces.clear()
        self._held = 0
        if self._full:
            self._full = False
            self._on_ready()
        return data

    def leave(self) -> None:
        """Nobody reads it any more: whoever answers stops. One who still waits for it gets `BrokenOff`."""
        if self._over:
            return
        self._gone = True
        on_gone = self._on_gone
        self._pieces.clear()
        self._let_go()
        on_gone()

    @property
    def _over(self) -> bool:
        return self._ended or self._broken or self._gone

    def _let_go(self) -> None:
        self._on_gone = self._on_ready = _nothing
        self._rouse()

    def _rouse(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    async def _more(self) -> None:
        if self._broken or self._gone:
            raise BrokenOff
        self._wake = asyncio.get_running_loop().create_future()
        try:
            await self._wake
        finally:
            self._wake = None
