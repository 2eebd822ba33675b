"""The open database: read on the caller's thread, written by one of its own."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Protocol

from proxy.state.schema import StateError, open_database

Write = Callable[[sqlite3.Connection], None]
"""Runs in a transaction of its own."""
_CLOSE_WITHIN = 5.0
_Identity = tuple[int, int] | None
"""Of a file; `None`: there is none."""


class Say(Protocol):
    """Where trouble is reported: an event line of the log. Called from the writing thread too."""

    def __call__(self, level: str, name: str, /, **fields: object) -> None: ...


class State:
    """To be opened in the process that uses it, and closed. Several processes may have the same file open. Where
    another file takes its place (a backup that is put back), that one is used from then on."""

    def __init__(self, path: str | Path, say: Say) -> None:
        """Raises `StateError`."""
        self.path = Path(path).absolute()
        self._say = say
        self.files = 1
        """The number of the file that is read, from 1: what was read of one says nothing of the next."""
        self._reading = open_database(self.path, busy=0.1)
        self._read_of = self._written_of = _identity(self.path)
        self._writing = open_database(self.path, busy=5.0)
        self._jobs: SimpleQueue[Write | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="state", daemon=True)
        self._thread.start()

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """What a query finds, as far as it is written. Nothing where the file cannot be read; the log says so."""
        return self.read(query, *values) or []

    def read(self, query: str, *values: object) -> list[tuple[Any, ...]] | None:
        """The same. `None`: the file cannot be read."""
        try:
            now = _identity(self.path)
            if now != self._read_of:
                self._moved(now)
            return self._reading.execute(query, values).fetchall()
        except (sqlite3.Error, StateError) as error:
            self._say("error", "state.unreadable", path=str(self.path), error=str(error))
            return None

    def write(self, job: Write) -> None:
        """Do it soon, after all that was asked for before. Never blocks and never raises."""
        self._jobs.put(job)

    async def written(self) -> None:
        """Wait until all that was asked for so far is written."""
        done = asyncio.Event()
        loop = asyncio.get_running_loop()

        def tell(_: sqlite3.Connection) -> None:
            loop.call_soon_threadsafe(done.set)

        self._jobs.put(tell)
        await done.wait()

    def learnt(self, kind: str) -> dict[str, bytes]:
        """All that is kept under this word, by name."""
        return dict(self.rows("SELECT name, value FROM learnt WHERE kind = ?", kind))

    def keep(self, kind: str, values: Mapping[str, bytes]) -> None:
        """Keep these under their names, in place of what was there."""
        now = time.time()
        rows = [(kind, name, value, now) for name, value in values.items()]
        self.write(lambda db: _all(db, "INSERT OR REPLACE INTO learnt VALUES (?, ?, ?, ?)", rows))

    def forget(self, kind: str, names: Iterable[str]) -> None:
        """Keep nothing of these any more."""
        rows = [(kind, name) for name in names]
        self.write(lambda db: _all(db, "DELETE FROM learnt WHERE kind = ? AND name = ?", rows))

    async def close(self) -> None:
        """Write out what is waiting, within 5 seconds."""
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join, _CLOSE_WITHIN)
        if self._thread.is_alive():
            self._say("error", "state.close_timeout", path=str(self.path))
            return
        self._reading.close()
        self._writing.close()

    def _moved(self, now: _Identity) -> None:
        """The path names another file than the one that is read, or none."""
        if now is None:
            self._say("error", "state.gone", path=str(self.path))
        else:
            fresh = open_database(self.path, busy=0.1)
            self._reading.close()
            self._reading = fresh
            self.files += 1
            self._say("warning", "state.replaced", path=str(self.path))
        self._read_of = now

    def _writable(self) -> sqlite3.Connection:
        now = _identity(self.path)
        if now is not None and now != self._written_of:
            fresh = open_database(self.path, busy=5.0)
            self._writing.close()
            self._writing, self._written_of = fresh, now
        return self._writing

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                connection = self._writable()
                connection.execute("BEGIN IMMEDIATE")
                job(connection)
                connection.execute("COMMIT")
            except (sqlite3.Error, StateError) as error:
                self._say("error", "state.unwritten", path=str(self.path), error=str(error))
                if self._writing.in_transaction:
                    self._writing.execute("ROLLBACK")


def _identity(path: Path) -> _Identity:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _all(connection: sqlite3.Connection, statement: str, rows: Iterable[tuple[object, ...]]) -> None:
    connection.executemany(statement, rows)
