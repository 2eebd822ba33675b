"""One request on a connection and the reply to it: connections take their requests in turn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Protocol

from proxy.core.call import Headers
from proxy.wire.door import Door
from proxy.wire.reply import Endpoint

# Status lines by status.
STATUS_LINE = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}
STATUS_LINE[529] = b"HTTP/1.1 529 Overloaded\r\n"  # Anthropic's own: no standard has it
LAST_CHUNK = b"0\r\n\r\n"


class Line(Protocol):
    """The connection, as a turn sees it."""

    door: Door
    writable: bool

    def write(self, data: bytes) -> None: ...

    def done(self, turn: Turn) -> None:
        """The reply is complete."""

    def break_off(self, turn: Turn) -> None:
        """The reply will never be complete."""


def _nothing() -> None:
    return None


class Turn:
    """The request's parts until it is handed over; then its `Reply`."""

    __slots__ = (
        "_begun",
        "_blocked",
        "_gone",
        "_head",
        "_line",
        "_on_gone",
        "_on_ready",
        "body",
        "chunked",
        "endpoint",
        "fields",
        "headers",
        "keep_alive",
        "method",
        "more",
        "path",
        "target",
        "version",
    )

    def __init__(
        self, line: Line, method: bytes, target: bytes, headers: Headers, fields: Mapping[bytes, bytes], version: str
    ) -> None:
        self.method = method
        self.target = target
        self.headers = headers
        self.fields = fields
        self.version = version
        self.path = ""
        self.body = b""
        self.endpoint: Endpoint | None = None
        """None: the ASGI app answers."""
        self.keep_alive = True
        self.chunked = version == "1.1"
        self.more = b""
        """Header lines that every reply gets (CORS)."""
        self._line: Line | None = line
        self._head: bytes | None = None
        self._begun = False
        self._gone = False
        self._blocked = False
        self._on_gone: Callable[[], None] = _nothing
        self._on_ready: Callable[[], None] = _nothing

    @property
    def gone(self) -> bool:
        return self._gone

    def whole(self, status: int, headers: bytes, body: bytes) -> None:
        line = self._line
        if line is None:
            return
        self._line = None
        line.write(
            b"%b%b%b%b%bcontent-length: %d\r\n\r\n%b"
            % (STATUS_LINE[status], line.door.date, headers, self.more, self._closing(line), len(body), body)
        )
        line.done(self)

    def start(self, status: int, headers: bytes) -> None:
        line = self._line
        if line is None:
            return
        self._begun = True
        coding = b"transfer-encoding: chunked\r\n\r\n" if self.chunked else b"\r\n"
        self.keep_alive = self.keep_alive and self.chunked
        self._head = b"".join(
            (STATUS_LINE[status], line.door.date, headers, self.more, self._closing(line), coding),
        )

    def flush(self) -> None:
        line = self._line
        if line is not None and self._head is not None:
            head, self._head = self._head, None
            line.write(head)

    def push(self, data: bytes) -> bool:
        line = self._line
        if line is None or not data:
            return True
        if self.chunked:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        if self._head is not None:
            data = self._head + data
            self._head = None
        line.write(data)
        if line.writable:
            return True
        self._blocked = True
        return False

    def end(self, data: bytes = b"") -> None:
        line = self._line
        if line is None:
            return
        self._line = None
        if self.chunked:
            data = b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data) if data else LAST_CHUNK
        if self._head is not None:
            data = self._head + data
            self._head = None
        line.write(data)
        line.done(self)

    def abandon(self) -> None:
        line = self._line
        if line is not None:
            self._line = None
            line.break_off(self)

    def watch(self, on_gone: Callable[[], None], on_ready: Callable[[], None]) -> None:
        if self._gone:
            on_gone()
            return
        self._on_gone = on_gone
        self._on_ready = on_ready

    # What the connection calls

    def head_size(self) -> int:
        """Bytes of the request's head, near enough."""
        return len(self.target) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    @property
    def unsent(self) -> bool:
        """Nothing of the reply was sent yet."""
        return not self._begun or self._head is not None

    def leave(self) -> None:
        """The client left."""
        if self._line is None:
            return
        self._line = None
        self._gone = True
        on_gone = self._on_gone
        self._on_gone = self._on_ready = _nothing  # whoever waited for this turn is let go of
        on_gone()

    def ready(self) -> None:
        """The client has caught up."""
        if self._blocked:
            self._blocked = False
            self._on_ready()

    def _closing(self, line: Line) -> bytes:
        if line.door.draining.active:
            self.keep_alive = False
        return b"" if self.keep_alive else b"connection: close\r\n"
