"""Reads one HTTP/1.1 response after the other from a connection's bytes: no I/O, no callbacks to anyone above."""

from __future__ import annotations

import re

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from proxy.core.call import Headers
from proxy.core.failure import Failure
from proxy.net.errors import FRAMING_TOO_LARGE, HEAD_TOO_LARGE, MALFORMED

HEAD_LIMIT = 64 * 1024
"""Bytes of all heads of a response together, interim ones included. curl allows 300 KiB, nginx 4 to 8, Node 16."""
MAX_HEADERS = 200
"""Lines. Apache allows 100; the providers send up to 40."""
MAX_INTERIM = 8
"""1xx responses before the final one."""
BARREN_LIMIT = 64 * 1024
"""Bytes of chunk sizes, chunk extensions and trailers that may come without a byte of body between them."""

_READ_HERE = frozenset({b"content-length", b"transfer-encoding", b"content-encoding", b"keep-alive"})
_TIMEOUT = re.compile(rb"timeout\s*=\s*(\d{1,6})", re.IGNORECASE)


class _Stop(Exception):
    """Raised into the parser so that it stops; why is in the reader's fields."""


class ResponseReader:
    """Fed with bytes, it holds what they completed. What came of the body stands in `parts`, which the caller empties.

    Nothing is called from inside the parser: the caller looks at the fields after `feed`, so that whatever it does
    then (abort, send again on the same connection) cannot disturb a parse that is under way.
    """

    __slots__ = (
        "_barren",
        "_bodiless",
        "_fields",
        "_interim",
        "_interims",
        "_parser",
        "done",
        "encoding",
        "extra",
        "headed",
        "headers",
        "keep",
        "keep_for",
        "on_body",
        "parts",
        "problem",
        "status",
        "until_eof",
    )

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.on_body = self.parts.append  # called by the parser for each chunk: no Python frame for it
        self._fields: Headers = []
        self._parser = HttpResponseParser(self)
        self.begin()

    def begin(self, *, bodiless: bool = False) -> None:
        """Get ready for the next response. `bodiless`: it answers a HEAD request."""
        self._bodiless = bodiless
        self._barren = 0
        self._interim = False
        self._interims = 0
        self.status = 0
        self.headers: Headers = []
        self.headed = False
        """The final response's head is complete."""
        self.done = False
        """The response is complete by its own framing."""
        self.keep = False
        """The server keeps the connection open after it."""
        self.keep_for: float | None = None
        """Seconds that the server said it keeps an idle connection."""
        self.until_eof = False
        """The body ends where the connection does."""
        self.encoding = b""
        self.extra = False
        """More came than the response."""
        self.problem: Failure | None = None

    @property
    def heard(self) -> bool:
        """Any byte of the response has come."""
        return self.headed or self._barren > 0

    def feed(self, data: bytes) -> None:
        """Take what came. Never raises: what is wrong is in `problem`, after whatever came right before it."""
        was_headed = self.headed
        if not was_headed and self._barren + len(data) > HEAD_LIMIT:
            self._feed_within(HEAD_LIMIT - self._barren, data)
            return
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):
            if self.done:
                self.extra = True
            elif self.problem is None:
                self.problem = MALFORMED
        if self.parts or self.headed is not was_headed:
            self._barren = 0
        else:
            self._barren += len(data)
            if self._barren > BARREN_LIMIT and was_headed and not self.done and self.problem is None:
                self.problem = FRAMING_TOO_LARGE

    def _feed_within(self, rest: int, data: bytes) -> None:
        """The head may take `rest` bytes more: it must be complete by then."""
        self.feed(data[:rest])
        if self.headed and self.problem is None:
            self.feed(data[rest:])
        else:
            self.problem = self.problem or HEAD_TOO_LARGE

    def release(self) -> None:
        """Break the circle between reader and parser, so that a closed connection is freed without the collector."""
        del self._parser

    # The parser's callbacks.

    def on_message_begin(self) -> None:
        if self.done:
            raise _Stop

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        fields, self._fields = self._fields, []
        status = self._parser.get_status_code()
        if status < 200:
            # 101 answers an Upgrade, and we never ask for one.
            self._interims += 1
            if status < 100 or status == 101 or self._interims > MAX_INTERIM:
                raise _Stop
            self._interim = True
            return
        if status > 599:
            raise _Stop
        if len(fields) > MAX_HEADERS:
            self.problem = HEAD_TOO_LARGE
            raise _Stop
        framed = status in (204, 304)
        for name, value in fields:
            if name in _READ_HERE:
                framed |= self._read(name, value)
        self.status = status
        self.headers = fields
        self.headed = True
        self.until_eof = not framed
        self.keep = self._parser.should_keep_alive()
        if self._bodiless:
            # The parser cannot be told that no body follows; the connection is not used again.
            self.done, self.keep, self.until_eof = True, False, False
            raise _Stop

    def _read(self, name: bytes, value: bytes) -> bool:
        """Take note of a header that this engine acts on. True where it frames the body."""
        if name == b"content-length":
            return True  # the parser checks it, also against Transfer-Encoding (RFC 9112 section 6.3)
        if name == b"transfer-encoding":
            if value.strip().lower() != b"chunked":
                raise _Stop
            return True
        if name == b"content-encoding":
            self.encoding = value.strip().lower() if not self.encoding else b"several"
        elif found := _TIMEOUT.search(value):
            self.keep_for = float(found[1])
        return False

    def on_message_complete(self) -> None:
        if self._interim:
            self._interim = False
        else:
            self.done = True
