"""What leaves for a backend, and where to: values that net/ sends without looking inside."""

from __future__ import annotations

from typing import NamedTuple

Headers = list[tuple[bytes, bytes]]
"""Response headers in order of arrival, names in lower case."""


class Origin(NamedTuple):
    """Where a connection goes. With `uds` set the connection is to that Unix socket and `host` only names it."""

    scheme: str
    host: str
    port: int
    uds: str = ""


class HttpCall:
    """One HTTP/1.1 request, ready but for its framing.

    `head` is the request line and the header lines, each ended by CRLF, without Content-Length and without
    the blank line at the end: net/ adds those. It is made once per target when the configuration is loaded.
    It contains the key, so no form of this object prints it.
    """

    __slots__ = ("body", "head", "repeatable")

    def __init__(self, head: bytes, body: bytes = b"", *, repeatable: bool = False) -> None:
        self.head = head
        self.body = body
        self.repeatable = repeatable
        """True where HTTP allows sending it again after a stale connection (GET; RFC 9110 section 9.2.2)."""

    def __repr__(self) -> str:
        line = self.head.split(b"\r\n", 1)[0].decode("latin-1")
        return f"HttpCall({line!r}, {len(self.body)} bytes)"
