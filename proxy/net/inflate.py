"""Bounded decompression of a body that came compressed although `identity` was asked for."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

SLICE = 64 * 1024
"""Bytes given out at a time, so that what is held here stays small whatever the ratio."""
FREE_RIDE = 1024 * 1024
"""Up to this many bytes any ratio is allowed."""
MAX_RATIO = 100
"""Beyond them at most this many bytes come out per byte that went in. JSON text stays under 20; deflate's own limit,
which bombs come near, is 1032 (RFC 1951 by its longest match)."""

_ZLIB_OR_GZIP = zlib.MAX_WBITS | 32
_RAW = -zlib.MAX_WBITS


class Bomb(ValueError):
    """More came out than any honest answer holds."""


class Broken(ValueError):
    """These bytes are not what the encoding's name says."""


class Inflate:
    """Decompresses one body. Encodings: `gzip`, `x-gzip`, and `deflate` in both its readings (zlib, and raw as some
    servers send; RFC 9110 section 8.4.1.2)."""

    __slots__ = ("_decoder", "_first", "_in", "_out", "_raw_allowed")

    def __init__(self, encoding: bytes) -> None:
        self._decoder = zlib.decompressobj(_ZLIB_OR_GZIP)
        self._raw_allowed = encoding == b"deflate"
        self._first = b""
        self._in = 0
        self._out = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The pieces that these bytes complete. Raises `Bomb` and `Broken`."""
        self._in += len(data)
        if self._raw_allowed:
            self._first += data
            if len(self._first) < 2:
                return
            data = self._first
            self._choose(data)
        more = False
        while data or more:
            if self._decoder.eof:
                if data:
                    raise Broken
                return
            try:
                piece = self._decoder.decompress(data, SLICE)
            except zlib.error as error:
                raise Broken from error
            data = self._decoder.unconsumed_tail or self._decoder.unused_data
            more = len(piece) == SLICE  # zlib may hold output back though all input is taken
            self._out += len(piece)
            if self._out > FREE_RIDE and self._out > self._in * MAX_RATIO:
                raise Bomb
            if piece:
                yield piece

    def _choose(self, first: bytes) -> None:
        """A zlib stream starts with method 8 and a multiple of 31 (RFC 1950 section 2.2); anything else is raw."""
        self._raw_allowed = False
        self._first = b""
        if first[0] & 0x0F != 8 or (first[0] << 8 | first[1]) % 31:
            self._decoder = zlib.decompressobj(_RAW)

    def complete(self) -> bool:
        """The compressed stream had its own end, or there was no body at all."""
        return self._decoder.eof or not self._in
