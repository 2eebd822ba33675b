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

from proxy.state.schema import open_database

Write = Callable[[sqlite3.Connection], None]
"""Runs in a transaction of its own."""
_CLOSE_WITHIN = 5.0


class Say(Protocol):
    """Where trouble is reported: an event line of the log. Called from the writing thread too."""

    def __call__(self, level: str, name: str, /, **fields: object) -> None: ...


class State:
    """To be opened in the process that uses it, and closed. Several processes may have the same file open."""

    def __init__(self, path: str | Path, say: Say) -> None:
        """Raises `StateError`."""
        self.path = Path(path).absolute()
        self._say = say
        self._reading = open_database(self.path, busy=0.1)
        self._writing = open_database(self.path, busy=5.0)
        self._jobs: SimpleQueue[Write | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="state", daemon=True)
        self._thread.start()

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """What a query finds, as far as it is written. Nothing where the file cannot be read; the log says so."""
        try:
            return self._reading.execute(query, values).fetchall()
        except sqlite3.Error as error:
            self._say("error", "state.unreadable", path=str(self.path), error=str(error))
            return []

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

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                self._writing.execute("BEGIN IMMEDIATE")
                job(self._writing)
                self._writing.execute("COMMIT")
            except sqlite3.Error as error:
                self._say("error", "state.unwritten", path=str(self.path), error=str(error))
                if self._writing.in_transaction:
                    self._writing.execute("ROLLBACK")


def _all(connection: sqlite3.Connection, statement: str, rows: Iterable[tuple[object, ...]]) -> None:
    connection.executemany(statement, rows)
