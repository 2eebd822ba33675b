"""What the workers of one server tell each other of probes, so that each thing is asked once for all of them.

A file in the directory that they share: how often it was written, 8 bytes, and then JSON. Whoever looks or writes holds
its flock for some microseconds. A worker that wants to ask something claims it first; one that dies meanwhile holds its
claim no longer than an answer could take. Times are those of the machine's monotonic clock, which all processes read
alike.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import orjson

from proxy.core.failure import FailureKind

NAME = "probes.json"
MOST = 10_000
"""Things of which something is known; the oldest make room."""
_HEAD = 8


class _Row(NamedTuple):
    """Of one thing that is asked."""

    number: int = 0
    """One more with each probe of it."""
    at: float = -1e9
    """When the last one ended."""
    until: float = 0.0
    """A worker asks it, until then at the longest."""
    ok: bool | None = None
    cause: str = ""
    seconds: float = 0.0
    times: int = 0
    """Probes in a row that said the same."""


class News(NamedTuple):
    """What probes of other workers have found."""

    key: str
    ok: bool | None
    cause: FailureKind | None
    seconds: float
    times: int
    """So many of them in a row since we last heard of it."""


class Bulletin:
    """One for each worker."""

    def __init__(self, directory: Path) -> None:
        """Raises `OSError` where it cannot be written."""
        self._fd = os.open(directory / NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._heard: dict[str, int] = {}
        """Probes of which we know, by what was asked."""
        self._written = b""

    def claim(self, key: str, every: float, longest: float, now: float) -> bool:
        """We ask this now, which may take `longest` seconds. False: another worker does, or did within `every`."""
        with self._locked():
            rows = self._rows()
            row = rows.get(key, _Row())
            if row.at > now - every or row.until > now:
                return False
            self._write({**rows, key: row._replace(until=now + longest)})
        return True

    def leave(self, key: str) -> None:
        """It was not asked after all."""
        with self._locked():
            rows = self._rows()
            if key in rows:
                self._write({**rows, key: rows[key]._replace(until=0.0)})

    def tell(self, key: str, ok: bool | None, cause: FailureKind | None, seconds: float, now: float) -> None:
        """What was found, to the other workers."""
        with self._locked():
            rows = self._rows()
            row = rows.pop(key, _Row())
            times = row.times + 1 if row.number and row.ok is ok else 1
            if len(rows) >= MOST:
                del rows[min(rows, key=lambda one: rows[one].at)]
            said = "" if cause is None else cause.value
            # Of what is not known (any more) it begins beyond all that others may have heard before.
            number = row.number + 1 if row.number else int(now * 1000)
            rows[key] = _Row(number, now, 0.0, ok, said, seconds, times)
            self._heard[key] = number
            self._write(rows)

    def news(self) -> list[News]:
        """What others have told since the last look. To be called about once a second: mostly nothing is new."""
        if os.pread(self._fd, _HEAD, 0) == self._written:
            return []
        with self._locked():
            self._written = os.pread(self._fd, _HEAD, 0)
            rows = self._rows()
        found = [
            News(key, row.ok, FailureKind(row.cause) if row.cause else None, row.seconds, min(new, row.times))
            for key, row in rows.items()
            if (new := row.number - self._heard.get(key, 0)) > 0
        ]
        self._heard = {key: row.number for key, row in rows.items()}
        return found

    def close(self) -> None:
        """No more of it."""
        os.close(self._fd)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        fcntl.flock(self._fd, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._fd, fcntl.LOCK_UN)

    def _rows(self) -> dict[str, _Row]:
        size = os.fstat(self._fd).st_size
        try:
            return {key: _Row(*row) for key, row in orjson.loads(os.pread(self._fd, size, _HEAD)).items()}
        except orjson.JSONDecodeError:  # nothing was written yet, or its writer was killed in the midst of it
            return {}

    def _write(self, rows: dict[str, _Row]) -> None:
        written = int.from_bytes(os.pread(self._fd, _HEAD, 0), "little") + 1
        said = orjson.dumps(rows, default=tuple)
        with suppress(OSError):  # the disk is full: then each worker asks for itself
            os.ftruncate(self._fd, _HEAD)
            os.pwrite(self._fd, written.to_bytes(_HEAD, "little") + said, 0)
