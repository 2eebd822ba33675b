"""The journal: what was recorded and is not yet in the database, in memory that outlives the process.

A file of fixed size, mapped shared and used as a ring. What was stored in a shared mapping belongs to the kernel, so
that `kill -9` does not take it along, and the file's blocks are allocated when it is made, so that a disk that fills up
later cannot make a store fail (it would be a SIGBUS). A record costs a copy instead of a system call: 0.8 us with its
checksum, where one `os.write` to an append-only file takes 1.6 us before its checksum, needs space at that moment,
and may wait for the disk.

    page 0      magic 8 | token 16 | ring size 8 | position brought in 8
    ring        length 4 | crc32 4 | payload, again and again

A *position* counts bytes since the journal was made; its place in the ring is its remainder by the ring's size. The
crc is seeded with the record's position: what an earlier lap left behind, or a copy that was cut short, does not match.
A record is never split: where one does not fit before the ring's end, a mark says to go on at its start.

A living owner holds an flock on its file, so nobody else takes it. One thread appends, one other takes.
"""

from __future__ import annotations

import contextlib
import fcntl
import glob
import mmap
import os
import secrets
import struct
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

MAGIC = b"WAYLJ001"
DEFAULT_SIZE = 32 * 1024 * 1024
"""About 80,000 rows: what waits while the disk is unwell. Only the part in use is in memory."""

_PAGE = 4096
_HEAD = struct.Struct("<II")
_HEAD_SIZE = 8
_WRAP = 0xFFFFFFFF
_U32 = 0xFFFFFFFF
_RELEASE = 1024 * 1024
_SIZE_WORD, _TAKEN_WORD = 3, 4


class Journal:
    """One ring. `path` is `None` where it is in this process's memory only."""

    def __init__(self, memory: mmap.mmap, token: str, path: Path | None, fd: int | None) -> None:
        self.token = token
        self.path = path
        self._fd = fd
        self._map = memory
        self._words = memoryview(memory)[:_PAGE].cast("Q")
        self._size = self._words[_SIZE_WORD]
        self.taken = self._words[_TAKEN_WORD]
        """Position up to which everything is in the database."""
        self.written = self.taken
        self._released = 0

    def append(self, payload: bytes) -> bool:
        """Put one record in; False when there is no room. When it returns True, `kill -9` no longer loses it."""
        position = self.written
        size = self._size
        offset = position % size
        length = len(payload) + _HEAD_SIZE
        if offset + length > size:
            position += size - offset
            if position + length - self.taken > size:
                return False
            self._mark_wrap(offset)
            offset = 0
        elif position + length - self.taken > size:
            return False
        offset += _PAGE
        # One copy of the whole record: cut short anywhere, its crc does not match.
        self._map[offset : offset + length] = _HEAD.pack(len(payload), crc32(payload, position & _U32)) + payload
        self.written = position + length
        return True

    def take(self, limit: int) -> tuple[list[bytes], int]:
        """Up to `limit` records that are not in the database yet, and the position after them."""
        records: list[bytes] = []
        position, end, size, memory = self.taken, self.written, self._size, self._map
        while position < end and len(records) < limit:
            start = _PAGE + position % size
            if start + _HEAD_SIZE > _PAGE + size:
                position += _PAGE + size - start
                continue
            length = _HEAD.unpack_from(memory, start)[0]
            if length == _WRAP:
                position += _PAGE + size - start
                continue
            start += _HEAD_SIZE
            records.append(memory[start : start + length])
            position += _HEAD_SIZE + length
        return records, position

    def done(self, position: int) -> None:
        """Everything before this position is in the database: its room is free again."""
        self.taken = position
        self._words[_TAKEN_WORD] = position
        if position - self._released >= _RELEASE:
            self._released = position
            # The pages stay in the kernel; they no longer count as this process's memory.
            self._map.madvise(mmap.MADV_DONTNEED)

    def close(self, *, remove: bool) -> None:
        """Let go of it. `remove` when everything in it is in the database."""
        if remove and self.path is not None:
            with contextlib.suppress(FileNotFoundError):
                self.path.unlink()
        self._words.release()
        self._map.close()
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def start_from(self, position: int) -> int:
        """Find what a dead process left in it from this position on; the number of records found."""
        self.taken = position
        self.written, count = self._end(position)
        return count

    def _mark_wrap(self, offset: int) -> None:
        if offset + _HEAD_SIZE <= self._size:
            position = self.written
            self._map[_PAGE + offset : _PAGE + offset + _HEAD_SIZE] = _HEAD.pack(_WRAP, position & _U32)

    def _end(self, position: int) -> tuple[int, int]:
        """The position after the last whole record, and how many there are."""
        size, start, count = self._size, position, 0
        while position - start < size:
            offset = position % size
            if offset + _HEAD_SIZE > size:
                position += size - offset
                continue
            length, crc = _HEAD.unpack_from(self._map, _PAGE + offset)
            if length == _WRAP and crc == position & _U32:
                position += size - offset
                continue
            body = _PAGE + offset + _HEAD_SIZE
            if not 0 < length <= size - offset - _HEAD_SIZE:
                break
            if crc != crc32(self._map[body : body + length], position & _U32):
                break
            position += _HEAD_SIZE + length
            count += 1
        return position, count


def in_memory(size: int = DEFAULT_SIZE) -> Journal:
    """A journal that dies with the process: for when the disk has no room for one."""
    memory = mmap.mmap(-1, _PAGE + size)
    token = secrets.token_hex(8)
    _write_header(memory, size, token)
    return Journal(memory, token, None, None)


def create(database: Path, size: int = DEFAULT_SIZE) -> Journal:
    """A new journal beside the database. Raises `OSError` where the disk has no room for it."""
    while True:
        token = secrets.token_hex(8)
        path = database.with_name(f"{database.name}-{token}.journal")
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            # Another process may have taken the file for a dead one's before it was locked: then make another.
            if not _lock(fd):
                os.close(fd)
                continue
            _allocate(fd, _PAGE + size)
            memory = mmap.mmap(fd, _PAGE + size)
        except OSError:
            os.close(fd)
            path.unlink(missing_ok=True)
            raise
        _write_header(memory, size, token)
        return Journal(memory, token, path, fd)


def files(database: Path) -> list[Path]:
    """Every journal beside the database, of the living and the dead."""
    return sorted(database.parent.glob(f"{glob.escape(database.name)}-*.journal"))


def dead(database: Path) -> Iterator[Journal]:
    """The journals of processes that are gone, locked for us now. What is no journal yet is removed."""
    for path in files(database):
        try:
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        journal = _adopt(path, fd)
        if journal is None:
            os.close(fd)
        else:
            yield journal


def _adopt(path: Path, fd: int) -> Journal | None:
    if not _lock(fd):
        return None  # its owner lives
    status = os.fstat(fd)
    if status.st_nlink == 0:
        return None  # another process brought it in meanwhile
    magic = os.pread(fd, len(MAGIC), 0)
    if magic == MAGIC:
        memory = mmap.mmap(fd, status.st_size)
        token = memory[8:24].decode("ascii", "replace")
        if memoryview(memory)[:_PAGE].cast("Q")[_SIZE_WORD] == status.st_size - _PAGE:
            return Journal(memory, token, path, fd)
        memory.close()
    elif not magic.startswith(MAGIC[:5]):
        path.unlink()  # its maker died before the first record
    return None  # of another version: left for whoever can read it


def _lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _allocate(fd: int, size: int) -> None:
    """Give the file its blocks now. Raises `OSError` where there is no room."""
    if hasattr(os, "posix_fallocate"):  # not on macOS
        os.posix_fallocate(fd, 0, size)
        return
    zeros = bytes(1024 * 1024)
    for start in range(0, size, len(zeros)):
        os.pwrite(fd, zeros[: size - start], start)


def _write_header(memory: mmap.mmap, size: int, token: str) -> None:
    memory[8:24] = token.encode("ascii")
    struct.pack_into("=QQ", memory, 24, size, 0)
    memory[0:8] = MAGIC  # last: a file without it is no journal yet
