"""The array of numbers: in this process, or in a file that all workers share a directory for.

Each worker counts in its own file (mapped, so that counting is a store, and what a worker that died had counted stays).
Whoever is asked adds up all files. A worker that starts takes over the file of one that died, numbers included, so that
there are never more files than there were workers at once, and no counter goes down.

    magic 8 | bytes of the block list 8 | cells 8 | room for gauges 8 | the block list, JSON, padded to 8
    cells, a float each
    gauges: length 4 | crc32 4 | JSON

A living worker holds an flock on its file.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import secrets
import struct
from array import array
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeAlias
from zlib import crc32

import orjson

from proxy.ops.metrics_gauges import Gauge, merged, packed, unpacked
from proxy.ops.metrics_layout import BY_NAME, FAMILIES, Key, Layout

_HEAD = struct.Struct("=8sQQQ")
_FRAME = struct.Struct("=II")
_MAGIC = b"WM" + b"%06x" % (crc32(repr(FAMILIES).encode()) & 0xFFFFFF)
"""Names the families too: another version's numbers are not ours to add."""
_GAUGE_ROOM = 64 * 1024
_GAUGE_ROOM_BLOCK = 256


Cells: TypeAlias = "list[float] | array[float] | memoryview[float]"


class Store:
    """This worker's numbers. `cells` is counted in directly."""

    def __init__(self, layout: Layout, directory: Path | None, before: Store | None = None) -> None:
        """Raises `OSError` where the directory cannot be written. `before`: the numbers to go on from, which it takes
        the place of (where a block still exists)."""
        self.layout = layout
        self.directory = directory
        self.path: Path | None = None
        self.inherited: list[Gauge] = []
        """Counters among the gauges of those who died."""
        self._fd = -1
        if directory is None:
            self._map: mmap.mmap | None = None
            self.cells: list[float] | memoryview[float] = blank(layout)
            if before is not None:
                self._add(Numbers(before.layout.blocks, before.cells, []))
        else:
            self._open(layout, directory, before)

    def publish(self, gauges: Iterable[Gauge]) -> None:
        """Let the other workers read these."""
        if self._map is None:
            return
        data = packed(merged(gauges, self.inherited))
        if len(data) + _FRAME.size <= self._gauge_room:
            start = self._gauges_at
            self._map[start : start + _FRAME.size + len(data)] = _FRAME.pack(len(data), crc32(data)) + data

    def others(self) -> list[Numbers]:
        """What the other workers counted, living and dead; gauges that are no counters only of the living."""
        return [] if self.directory is None else [numbers for _, numbers in _read(self.directory, self.path)]

    def sums(self, others: Iterable[Numbers]) -> array[float]:
        """All workers' cells, in this layout."""
        total = array("d", self.cells)
        for numbers in others:
            _accumulate(total, self.layout, numbers)
        return total

    def close(self) -> None:
        """Let go of the file: its numbers stay for the others."""
        if isinstance(self.cells, memoryview):
            self.cells.release()
        if self._map is not None:
            self._map.close()
            os.close(self._fd)

    def _open(self, layout: Layout, directory: Path, before: Store | None) -> None:
        blocks = orjson.dumps([[name, labels, start] for (name, labels), start in layout.blocks.items()])
        blocks += b" " * (-len(blocks) % 8)
        room = _GAUGE_ROOM + _GAUGE_ROOM_BLOCK * len(layout.blocks)
        start = _HEAD.size + len(blocks)
        self._gauges_at = start + 8 * layout.size
        self._gauge_room = room
        unborn = directory / f"metrics-{secrets.token_hex(8)}.new"
        self._fd = os.open(unborn, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._fd, fcntl.LOCK_EX)
        os.ftruncate(self._fd, self._gauges_at + room)
        self._map = mmap.mmap(self._fd, self._gauges_at + room)
        self._map[:start] = _HEAD.pack(_MAGIC, len(blocks), layout.size, room) + blocks
        self.cells = memoryview(self._map)[start : self._gauges_at].cast("d")
        # The new file replaces the old one in one step, so that nobody sees the numbers twice, or not at all.
        if before is not None and before.path is not None:
            self.inherited = before.inherited
            self._add(Numbers(before.layout.blocks, before.cells, []))
            self.path = unborn.replace(before.path)
        else:
            self.path = self._take_over(directory, unborn) or unborn.replace(unborn.with_suffix(".mem"))

    def _take_over(self, directory: Path, unborn: Path) -> Path | None:
        """Take the place of one who died, its numbers added to ours."""
        for path, numbers in _read(directory, None, only_dead=True):
            self._add(numbers)
            self.inherited = numbers.gauges
            return unborn.replace(path)  # inside the loop, as it is locked only there
        return None

    def _add(self, numbers: Numbers) -> None:
        _accumulate(self.cells, self.layout, numbers)


def blank(layout: Layout) -> list[float]:
    """Cells of this process alone: adding to one takes 35 ns in a list, 155 in an array or a view."""
    return [0.0] * layout.size


class Numbers(NamedTuple):
    """Somebody's numbers, in a layout of their own."""

    blocks: dict[Key, int]
    cells: Cells
    gauges: list[Gauge]


def _accumulate(total: Cells, layout: Layout, numbers: Numbers) -> None:
    for key, start in layout.blocks.items():
        there = numbers.blocks.get(key)
        if there is not None:
            for offset in range(BY_NAME[key[0]].size):
                total[start + offset] += numbers.cells[there + offset]


def _read(directory: Path, but: Path | None, *, only_dead: bool = False) -> Iterator[tuple[Path, Numbers]]:
    """The files of the others. While a dead one's numbers are looked at, it is locked."""
    for path in sorted(directory.glob("metrics-*.mem")):
        if path == but:
            continue
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        try:
            dead = _lock(fd)
            replaced = os.fstat(fd).st_nlink == 0
            numbers = None if replaced or (only_dead and not dead) else _parsed(os.pread(fd, os.fstat(fd).st_size, 0))
            if numbers is not None:
                counters = [gauge for gauge in numbers.gauges if gauge.total] if dead else numbers.gauges
                yield path, numbers._replace(gauges=counters)
        finally:
            os.close(fd)


def _lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _parsed(data: bytes) -> Numbers | None:
    """`None` where another version wrote it."""
    if len(data) < _HEAD.size:
        return None
    magic, length, size, _ = _HEAD.unpack_from(data)
    if magic != _MAGIC:
        return None
    start = _HEAD.size + length
    end = start + 8 * size
    blocks = {(name, tuple(labels)): place for name, labels, place in orjson.loads(data[_HEAD.size : start])}
    return Numbers(blocks, memoryview(data)[start:end].cast("d"), _gauges(data, end))


def _gauges(data: bytes, start: int) -> list[Gauge]:
    length, crc = _FRAME.unpack_from(data, start)
    text = data[start + _FRAME.size : start + _FRAME.size + length]
    # It does not match while it is being written: the next look will see it.
    return unpacked(text) if length and crc == crc32(text) else []
