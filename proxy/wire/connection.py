"""The way out of one client connection: writing, deadlines, stalls, leaving and closing.

One timer a connection. It is armed for the first deadline and looks at the clock when it fires: a deadline that has
moved on meanwhile is armed for again, so that a request on a kept-alive connection arms none.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import socket
import struct
import sys
import termios
from abc import abstractmethod
from asyncio import TimerHandle
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from proxy.wire.door import Door
from proxy.wire.turn import Turn

LINGER = 2.0
"""Seconds after a refusal in which what the client still sends is read and thrown away: closing at once would reset
the connection, and the client could lose the refusal (RFC 9112 section 9.6)."""
TIOCOUTQ = termios.TIOCOUTQ if sys.platform == "linux" else None
"""Asks a socket for its unacknowledged bytes (tcp(7), SIOCOUTQ)."""
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER, on, 0 s: closing resets the connection."""


class GuardedConfig(Config):
    """uvicorn's configuration and our `door`, by which the connections reach it."""

    door: Door


class Connection(HttpToolsProtocol):
    """The outbound half. `GuardedProtocol` is the whole."""

    def __init__(
        self,
        config: GuardedConfig,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.door = config.door
        self.limits = config.door.listen
        self.writable = True
        self.turn: Turn | None = None
        """The request that is being answered."""
        self.pumping = False
        """`_pump` is at work further down the stack."""
        self.closing = False
        self.sent = 0
        self.taken: int | None = None
        """Bytes that the client had taken at the last look; None when it had taken all."""
        self.deadline = 0.0
        self.timer: TimerHandle | None = None
        self.timer_at = 0.0

    # What the inbound half adds

    @abstractmethod
    def _pump(self) -> None:
        """Goes on with the next request."""

    @abstractmethod
    def _late(self) -> None:
        """The deadline for what the client owes us has passed."""

    @abstractmethod
    def _forget(self) -> None:
        """Nothing that was read is wanted any more."""

    @property
    def busy(self) -> bool:
        """A request is being answered, or the client has not taken all of an answer."""
        return self.turn is not None or self.transport.get_write_buffer_size() > 0

    # Writing

    def write(self, data: bytes) -> None:
        self.sent += len(data)
        self.transport.write(data)

    def done(self, turn: Turn) -> None:
        """The reply is complete."""
        self.turn = None
        if turn.keep_alive:
            self._until(self.limits.keep_alive)
            if not self.pumping:
                self._pump()
        else:
            self._close()

    def break_off(self, turn: Turn) -> None:
        """The reply will never be complete. A chunked one lacks its end, so that what was written may still go out;
        one that ends with the connection is reset, or its end would pass for the right one."""
        self.turn = None
        self._forget()
        if turn.chunked and not turn.unsent:
            self._close()
        else:
            self._reset()

    def pause_writing(self) -> None:
        super().pause_writing()
        self.writable = False
        self.taken = self.sent - self._untaken()
        self._until(self.limits.write_timeout)

    def resume_writing(self) -> None:
        super().resume_writing()
        self.writable = True
        self.taken = None
        if self.turn is not None:
            self.turn.ready()

    def _untaken(self) -> int:
        """Bytes that the client's machine has not acknowledged: in the transport's buffer, and in the kernel's.

        The transport alone would not do: the kernel takes nothing from it until a good part of its own buffer, up to
        some MiB, is free, which takes a slow but honest reader minutes.
        """
        waiting = self.transport.get_write_buffer_size()
        sock = self.transport.get_extra_info("socket")
        if self.closing or sock is None or TIOCOUTQ is None:
            return waiting
        with contextlib.suppress(OSError):
            (kept,) = struct.unpack("i", fcntl.ioctl(sock.fileno(), TIOCOUTQ, b"\0\0\0\0"))
            waiting += kept
        return waiting

    # Deadlines

    def _until(self, seconds: float) -> None:
        """The deadline is so many seconds from now."""
        self.deadline = deadline = self.loop.time() + seconds
        timer = self.timer
        if timer is None:
            self._arm(deadline)
        elif self.timer_at > deadline:
            timer.cancel()
            self._arm(deadline)

    def _arm(self, at: float) -> None:
        self.timer_at = at
        self.timer = self.loop.call_at(at, self._on_timer)

    def _on_timer(self) -> None:
        self.timer = None
        if self.loop.time() + 0.002 < self.deadline:
            self._arm(self.deadline)
            return
        untaken = self._untaken()
        if untaken:
            taken = self.sent - untaken
            if taken == self.taken:
                self._left()
                self.transport.abort()
                return
            self.taken = taken
            self._until(self.limits.write_timeout)
            return
        self.taken = None
        if self.closing:
            self.transport.abort()
        elif self.turn is not None:
            self._until(self.limits.write_timeout)
        else:
            self._late()

    # Leaving and closing

    def eof_received(self) -> None:
        """A half-close counts as leaving: who wants an answer stays to hear it."""
        self._left()
        self._close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.closing = True
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        self._left()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """The server stops: whoever is still being answered is cut off."""
        if self.turn is None:
            self._close()
        else:
            self._left()
            self._reset()

    def _left(self) -> None:
        self._forget()
        turn, self.turn = self.turn, None
        if turn is not None:
            turn.leave()

    def _close(self) -> None:
        """Sends what is written, then closes; a client that does not take it is cut off."""
        self.closing = True
        if not self.transport.is_closing():
            self.transport.close()
        if self.transport.get_write_buffer_size():
            self.taken = None
            self._until(self.limits.write_timeout)

    def _close_gently(self) -> None:
        """Sends what is written, then waits a little for the client to close."""
        self.closing = True
        if self.transport.is_closing():
            return
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._until(LINGER)

    def _reset(self) -> None:
        self.closing = True
        sock = self.transport.get_extra_info("socket")
        if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.transport.abort()
