"""AWS's binary event stream: bytes in, messages out.

    total length (4) | headers' length (4) | CRC32 of those 8 (4) | headers | payload | CRC32 of all before (4)

Numbers are big-endian. A header is its name's length (1), name, type (1) and value.
https://docs.aws.amazon.com/AmazonS3/latest/API/RESTSelectObjectAppendix.html describes it;
https://smithy.io/2.0/aws/amazon-eventstream.html is the specification.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from zlib import crc32

from proxy.core.dialect import Malformed, TooLarge
from proxy.core.sse import MAX_EVENT

Message = tuple[Mapping[str, str], bytes]
"""Those headers that are texts, by name, and the payload."""

_PRELUDE = struct.Struct(">III")
_OVERHEAD = _PRELUDE.size + 4
_STRING = 7
_SIZES = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
"""Bytes of a value by its type: true, false, byte, short, integer, long, timestamp, UUID. The two others say theirs."""
_MEASURED = frozenset({6, _STRING})
_KNOWN = 64
"""Different header blocks that are kept apart: those of a stream's events hardly differ."""


class EventStream:
    """Cuts one stream into messages. Holds at most one unfinished message, of `limit` bytes."""

    __slots__ = ("_headers", "_limit", "_need", "_tail")

    def __init__(self, limit: int = MAX_EVENT) -> None:
        self._limit = limit
        self._tail = bytearray()
        self._need = _PRELUDE.size
        """So many bytes are needed before it is worth looking again."""
        self._headers: dict[bytes, Mapping[str, str]] = {}

    @property
    def pending(self) -> bool:
        """A message has begun and not ended."""
        return bool(self._tail)

    def feed(self, data: bytes) -> list[Message]:
        """The messages that these bytes complete. Raises `TooLarge` when one is larger than the limit, `Malformed`
        when its checksums or lengths are wrong."""
        if self._tail:
            self._tail += data
            if len(self._tail) < self._need:
                return []
            data = bytes(self._tail)
            self._tail.clear()
        found: list[Message] = []
        at, size = 0, len(data)
        while size - at >= _PRELUDE.size:
            total = self._total(data, at)
            if size - at < total:
                self._need = total
                break
            found.append(self._message(data, at, total))
            at += total
        else:
            self._need = _PRELUDE.size
        self._tail += data[at:]
        return found

    def _total(self, data: bytes, at: int) -> int:
        total, headers, check = _PRELUDE.unpack_from(data, at)
        if total > self._limit:
            raise TooLarge(f"an event of the upstream is larger than {self._limit} bytes")
        if total < _OVERHEAD + headers or crc32(data[at : at + 8]) != check:
            raise Malformed("an event of the upstream begins with wrong lengths or a wrong checksum")
        size: int = total
        return size

    def _message(self, data: bytes, at: int, total: int) -> Message:
        end = at + total - 4
        if crc32(data[at:end]) != int.from_bytes(data[end : end + 4], "big"):
            raise Malformed("an event of the upstream has a wrong checksum")
        start = at + _PRELUDE.size
        middle = start + int.from_bytes(data[at + 4 : at + 8], "big")
        block = data[start:middle]
        headers = self._headers.get(block)
        if headers is None:
            headers = _read_headers(block)
            if len(self._headers) < _KNOWN:
                self._headers[block] = headers
        return headers, data[middle:end]


def _read_headers(block: bytes) -> Mapping[str, str]:
    found: dict[str, str] = {}
    at = 0
    try:
        while at < len(block):
            after = at + 1 + block[at]
            name, kind = block[at + 1 : after].decode(), block[after]
            at = after + 1
            if kind in _MEASURED:
                size = int.from_bytes(block[at : at + 2], "big")
                at += 2
            else:
                size = _SIZES[kind]
            if at + size > len(block):
                raise IndexError
            if kind == _STRING:
                found[name] = block[at : at + size].decode()
            at += size
    except (IndexError, KeyError, UnicodeDecodeError) as error:
        raise Malformed("the headers of an event of the upstream cannot be read") from error
    return found
