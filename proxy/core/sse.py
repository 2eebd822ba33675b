"""Server-sent events out of bytes, however the bytes are cut (WHATWG HTML, section 9.2.6).

A chunk that holds whole `data: …` events and nothing else, or events of an `event: …` and a `data: …` line, which is
how a live stream nearly always arrives, is only sliced. Everything else goes line by line: CR, LF and CRLF, comments,
several data lines, other fields, a byte order mark.
"""

from __future__ import annotations

from proxy.core.dialect import TooLarge

Frame = tuple[bytes, bytes, bytes]
"""One event: its data, the same as it may be sent on (`data: …` and a blank line, LF only), and its name or nothing."""

MAX_EVENT = 1024 * 1024
_LF = 10
_BOM = b"\xef\xbb\xbf"


class SseFramer:
    """Cuts one stream into events. Holds at most one unfinished event, of `limit` bytes."""

    __slots__ = ("_at_start", "_clean", "_data", "_limit", "_name", "_size", "_skip_lf", "_tail")

    def __init__(self, limit: int = MAX_EVENT) -> None:
        self._limit = limit
        self._tail = bytearray()
        """The line that is not ended yet."""
        self._data: list[bytes] = []
        self._size = 0
        self._name = b""
        self._skip_lf = False
        """The last byte was a CR, so that an LF now belongs to it."""
        self._at_start = True
        self._clean = True
        """Nothing is held: the next byte begins an event."""

    def feed(self, data: bytes) -> list[Frame]:
        """The events that these bytes complete. Raises `TooLarge` when one is larger than the limit."""
        if self._clean and data.startswith(b"data: ") and data.find(b"\r") < 0:
            size = len(data)
            if data.find(b"\n") == size - 2 and data[-1] == _LF and size <= self._limit:
                self._at_start = False
                return [(data[6:-2], data, b"")]
            if data.endswith(b"\n\n"):
                self._at_start = False
                return self._blocks(data)
        elif self._clean and data.startswith(b"event: ") and data.endswith(b"\n\n") and data.find(b"\r") < 0:
            self._at_start = False
            return self._blocks(data)
        return self._lines(data)

    def pending(self) -> bytes:
        """The data of an event that the end of the stream left without its blank line; by the standard it is void."""
        parts = list(self._data)
        name, _, value = bytes(self._tail).partition(b":")
        if name == b"data":
            parts.append(value.removeprefix(b" "))
        return b"\n".join(parts)

    def _blocks(self, data: bytes) -> list[Frame]:
        """Whole events, ended by LF only."""
        frames: list[Frame] = []
        limit = self._limit - 2
        for block in data[:-2].split(b"\n\n"):
            if block.startswith(b"data: ") and block.find(b"\n") < 0 and len(block) <= limit:
                frames.append((block[6:], block + b"\n\n", b""))
                continue
            name, found, payload = block.partition(b"\ndata: ")
            plain = found and name.startswith(b"event: ") and len(block) <= limit
            if plain and name.find(b"\n") < 0 and payload.find(b"\n") < 0:
                frames.append((payload, b"data: " + payload + b"\n\n", name[7:]))
            else:
                frames += self._lines(block + b"\n\n")
        return frames

    def _lines(self, data: bytes) -> list[Frame]:
        frames: list[Frame] = []
        if self._skip_lf and data:
            self._skip_lf = False
            data = data.removeprefix(b"\n")
        for line in data.splitlines(keepends=True):
            if line[-1] not in b"\r\n":
                self._tail += line
                self._bound(self._size + len(self._tail))
                break
            text = line.rstrip(b"\r\n")
            if self._tail:
                text = bytes(self._tail) + text
                self._tail.clear()
            self._line(text, frames)
        if data.endswith(b"\r"):
            self._skip_lf = True
        self._clean = not (self._tail or self._data or self._name or self._skip_lf)
        return frames

    def _line(self, line: bytes, frames: list[Frame]) -> None:
        self._bound(self._size + len(line))
        if self._at_start:
            self._at_start = False
            line = line.removeprefix(_BOM)
        if not line:
            if self._data:
                payload = b"\n".join(self._data)
                frames.append((payload, b"data: " + payload.replace(b"\n", b"\ndata: ") + b"\n\n", self._name))
            self._data.clear()
            self._size = 0
            self._name = b""
            return
        field, _, value = line.partition(b":")
        if field == b"data":
            self._data.append(value.removeprefix(b" "))
            self._size += len(line) + 1
            self._bound(self._size + 1)
        elif field == b"event":
            self._name = value.removeprefix(b" ")

    def _bound(self, size: int) -> None:
        if size > self._limit:
            raise TooLarge(f"an event of the upstream is larger than {self._limit} bytes")
