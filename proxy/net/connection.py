"""One connection to an upstream: an asyncio protocol that carries one call after the other."""

from __future__ import annotations

import asyncio
import select
from time import monotonic
from typing import TYPE_CHECKING, cast

from proxy.core.call import HttpCall
from proxy.core.failure import Failure
from proxy.net.errors import BOMB, COMPRESSION, ENCODING, TRUNCATED, dial_failure, ended_cleanly, lost
from proxy.net.inflate import Bomb, Broken, Inflate
from proxy.net.response import ResponseReader

if TYPE_CHECKING:
    from proxy.net.pool import HttpFlight, Pool

LOOK_AFTER = 1.0
"""Seconds of rest after which a connection is looked at before it is used: an EOF may stand in its socket that the
event loop has not come to. It costs a system call, so a busy connection is spared it."""
JOIN_LIMIT = 64 * 1024
"""A body up to this size is sent in one piece with its head; copying a larger one costs more than a second buffer."""

SENT = HttpCall(b"")
"""Stands for a call that is out and will not be sent again, so that its body is not kept while the answer comes."""

_COMPRESSED = frozenset({b"gzip", b"x-gzip", b"deflate"})
_DROPPED_HEADERS = frozenset({b"content-encoding", b"content-length"})


class Connection(asyncio.Protocol):
    """Owned by its pool. `flight` is the call that it carries now; without one it rests or is being closed."""

    __slots__ = (
        "_clogged",
        "_held",
        "_inflate",
        "_reader",
        "_rested",
        "_used",
        "expires",
        "flight",
        "pool",
        "transport",
    )

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.flight: HttpFlight | None = None
        self.transport: asyncio.Transport | None = None
        self.expires = 0.0
        self._rested = 0.0
        self._used = False
        self._held = False
        self._clogged = False
        self._inflate: Inflate | None = None
        self._reader = ResponseReader()

    # What the flight and the pool ask for.

    def begin(self, flight: HttpFlight) -> None:
        """Send a flight's call."""
        self.flight = flight
        flight.connection = self
        call = flight.call
        pool = self.pool
        head = call.head if pool.proxy is None else pool.head(call)
        body = call.body
        self._inflate = None
        self._reader.begin(bodiless=head.startswith(b"HEAD "))
        if not call.repeatable:
            flight.call = SENT
        transport = self.transport
        if transport is None or transport.is_closing():
            self.fail(dial_failure(ConnectionResetError()))  # nothing was sent
        elif not body and call.repeatable:
            transport.write(head + b"\r\n")
        elif len(body) <= JOIN_LIMIT:
            transport.write(b"%bcontent-length: %d\r\n\r\n%b" % (head, len(body), body))
        else:
            transport.writelines((b"%bcontent-length: %d\r\n\r\n" % (head, len(body)), body))

    def rest(self, seconds: float) -> None:
        """Nothing to do for now; worth keeping for so long."""
        self._used = True
        self._rested = monotonic()
        self.expires = self._rested + seconds

    def fit(self) -> bool:
        """It can be used again, as far as can be known without sending."""
        now = monotonic()
        transport = self.transport
        if now >= self.expires or transport is None or transport.is_closing():
            return False
        return now - self._rested < LOOK_AFTER or not _readable(transport)

    def pause(self) -> None:
        if not self._held and self.transport is not None:
            self._held = True
            self.transport.pause_reading()

    def resume(self) -> None:
        if self._held and self.transport is not None:
            self._held = False
            self.transport.resume_reading()

    def close(self) -> None:
        """Let it go in peace."""
        self.flight = None
        if self.transport is not None:
            if self._clogged:
                self.transport.abort()
            else:
                self.transport.close()

    def abort(self) -> None:
        """Close it now, whatever is under way. No sink hears of it."""
        self.flight = None
        if self.transport is not None:
            self.transport.abort()

    def fail(self, failure: Failure) -> None:
        """End the call under way, if there is one, and the connection with it."""
        flight = self.flight
        if flight is not None:
            if self._reader.headed:
                failure = failure._replace(status=self._reader.status)
            self.abort()
            flight.fail(failure)

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.pool.connections.add(self)
        self.pool.opened += 1

    def data_received(self, data: bytes) -> None:
        flight = self.flight
        if flight is None:
            # Nobody asked: whatever comes after this would be taken for the next call's answer.
            self.pool.forget(self)
            self.abort()
            return
        reader = self._reader
        was_headed = reader.headed
        reader.feed(data)
        if not was_headed and reader.headed and not self._head(flight):
            return
        parts = reader.parts
        if parts:
            data = parts[0] if len(parts) == 1 else b"".join(parts)
            parts.clear()
            if self._inflate is None:
                flight.sink.on_data(data)
            else:
                self._inflated(flight, data)
            if self.flight is not flight:
                return
        if reader.done:
            self._finish(flight)
        elif reader.problem is not None:
            self.fail(reader.problem)

    def eof_received(self) -> None:
        self._ended(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended(exc)
        self.pool.lost(self)
        self._reader.release()

    def pause_writing(self) -> None:
        self._clogged = True

    def resume_writing(self) -> None:
        self._clogged = False

    # How a call goes on and ends.

    def _head(self, flight: HttpFlight) -> bool:
        """Hand the head on. False when the call ended there."""
        reader = self._reader
        headers = reader.headers
        refused = False
        if reader.encoding:
            if reader.encoding in _COMPRESSED:
                self._inflate = Inflate(reader.encoding)
                headers = [header for header in headers if header[0] not in _DROPPED_HEADERS]
            else:
                refused = reader.encoding != b"identity"
        flight.sink.on_head(reader.status, headers)
        if refused and self.flight is flight:
            self.fail(ENCODING)
        return self.flight is flight

    def _inflated(self, flight: HttpFlight, data: bytes) -> None:
        inflate = cast(Inflate, self._inflate)
        try:
            for piece in inflate.feed(data):
                flight.sink.on_data(piece)
                if self.flight is not flight:
                    return
        except Bomb:
            self.fail(BOMB)
        except Broken:
            self.fail(COMPRESSION)

    def _finish(self, flight: HttpFlight) -> None:
        """The answer is whole. The connection is free before the sink hears of it, for a call made from there."""
        if self._inflate is not None and not self._inflate.complete():
            self.fail(TRUNCATED)
            return
        self.flight = None
        sink = flight.finish()
        if self._held:
            self.resume()
        reader = self._reader
        if reader.keep and not reader.extra and not self._clogged:
            self.pool.give(self, reader.keep_for)
        else:
            self.close()
        sink.on_end()

    def _ended(self, error: Exception | None) -> None:
        """The peer sent EOF, or the connection broke."""
        flight = self.flight
        if flight is None:
            self.pool.forget(self)
            return
        reader = self._reader
        if reader.headed and reader.until_eof and ended_cleanly(error):
            self._finish(flight)
            return
        if not reader.heard and self._used and not flight.retried and flight.call.repeatable:
            self.abort()
            flight.again()
            return
        self.fail(lost(error, heard=reader.heard))


def _readable(transport: asyncio.Transport) -> bool:
    """Something stands in the socket: EOF, or bytes that nobody asked for."""
    poll = select.poll()
    poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)
    return bool(poll.poll(0))
