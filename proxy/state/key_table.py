"""What a server knows of callers' keys: read from the database as they change there, by whatever process."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable
from typing import Any

from proxy.core.key import Key, Known
from proxy.state.keys import COLUMNS, key_of
from proxy.state.state import State

_CHANGED = f"SELECT {COLUMNS} FROM keys WHERE change > ? ORDER BY made, change"
REREAD = 0.1
"""Seconds between two looks into the database because of a key that is not known."""


class KeyTable:
    """What a server knows of the keys: a dict, so that ten thousand cost a request no more than one.

    `refresh` is to be called about once a second; a key that is not known is looked for at once.
    """

    def __init__(self, state: State, clock: Callable[[], float] = time.monotonic) -> None:
        self.some = True
        """There are keys, or were, or nobody knows since they cannot be read: every caller needs one."""
        self.by_digest: dict[bytes, Known] = {}
        self.by_name: dict[str, Key] = {}
        """What the newest secret of each may do, also of those that are not good any more."""
        self.on_change: Callable[[Iterable[str]], None] = lambda names: None
        """Told of the names of keys that are not what they were."""
        self._state = state
        self._clock = clock
        self._change = 0
        self._file = 0
        """Which one was read; 0: none yet."""
        self._reread = 0.0
        self._used: set[bytes] = set()
        self.refresh()

    def find(self, digest: bytes) -> Known | None:
        """The secret of this digest."""
        known = self.by_digest.get(digest)
        if known is None:
            now = self._clock()
            if now < self._reread:
                return None
            self._reread = now + REREAD
            self.refresh()
            known = self.by_digest.get(digest)
            if known is None:
                return None
        self._used.add(digest)
        return known

    def refresh(self) -> None:
        """Read what has changed in the database."""
        found = self._state.read(_CHANGED, self._change)
        if found is not None and self._file != self._state.files:
            found = self._anew()
        if found is None:
            return
        names: dict[str, None] = {}
        for digest, name, terms, until, why, change in found:
            self.some = True
            self._change = max(self._change, change)
            try:
                key = key_of(name, terms)
            except (ValueError, TypeError, KeyError):  # a newer Wayline's words: what they allow is not known
                self.by_digest.pop(digest, None)
                continue
            self.by_digest[digest] = Known(key, until, why)
            if self.by_name.get(name) != key:
                self.by_name[name] = key
                names[name] = None
        if names:
            self.on_change(names)

    def _anew(self) -> list[tuple[Any, ...]] | None:
        """It is the first file, or another one: a key that does not stand in it is not good."""
        found = self._state.read(_CHANGED, 0)
        if found is None:
            return None
        if not self._file:
            self.some = False
        self._file, self._change = self._state.files, 0
        there = {row[0] for row in found}
        for digest in self.by_digest.keys() - there:
            del self.by_digest[digest]
        return found

    def note_use(self, now: float) -> None:
        """Put on record which of them were seen since the last time. `now` in Unix time."""
        if not self._used:
            return
        used = [(now, digest) for digest in self._used]
        self._used.clear()

        def write(db: sqlite3.Connection) -> None:
            db.executemany("UPDATE keys SET used = ? WHERE digest = ?", used)

        self._state.write(write)
