"""Kept responses in SQLite: read on the event loop by primary key, written by a thread.

Reading one takes 30 us from a file that the system has in memory. What is not written yet is read from memory, so that
a client may go on at once; with several workers another one sees it when it is written, some milliseconds later.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Protocol

import orjson

from proxy.core.memory import Kept
from proxy.store.schema import StoreError, open_database

MAX_CHAIN = 1000
"""Responses that one may go on from, one after the other."""
MAX_WAITING = 1000
"""Responses that wait to be written; beyond that what comes is not kept, and said so."""
PRUNE_EVERY = 3600.0
"""Seconds between two looks for what is too old."""
DAY = 86_400.0
_PRUNE = 500
"""Rows taken out at a time, so that nobody waits long for the lock."""
_CLOSE_WITHIN = 5.0

_STILL_USED = """
    WITH RECURSIVE before(id) AS (
        SELECT :id UNION SELECT r.previous FROM responses r JOIN before ON r.owner = :owner AND r.id = before.id
    )
    UPDATE responses SET used = :now WHERE owner = :owner AND id IN before
"""
"""What a living conversation goes on from lives as long as it does."""

Write = Callable[[sqlite3.Connection], None]


class Say(Protocol):
    """Where the store reports trouble: an event line of the log. Called from the writer's thread too."""

    def __call__(self, level: str, name: str, /, **fields: object) -> None: ...


class SqliteStore:
    """See `proxy.core.memory.Memory`. To be opened in the process that uses it, and closed."""

    def __init__(self, path: str | Path, days: float, say: Say, now: Callable[[], float] = time.time) -> None:
        """`days`: what was not used for so long is forgotten. Raises `StoreError`."""
        self._path = Path(path).absolute()
        self._days = days
        self._say = say
        self._now = now
        try:
            self._reading = open_database(self._path, busy=0.1)
            self._writing = open_database(self._path, busy=5.0)
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"The store {self._path} cannot be opened: {error}.") from error
        self._waiting: dict[tuple[str, str], Kept | None] = {}
        """What is not written yet; `None`: forgotten."""
        self._lock = threading.Lock()
        self._jobs: SimpleQueue[tuple[tuple[str, str], Kept | None, Write] | None] = SimpleQueue()
        self._pruned = 0.0
        self._thread = threading.Thread(target=self._work, name="store")
        self._thread.start()

    def find(self, owner: str, id_: str) -> Kept | None:
        key = (owner, id_)
        if key in self._waiting:
            return self._waiting[key]
        row = self._read(
            "SELECT input, response, previous FROM responses WHERE owner = ? AND id = ? AND used >= ?", owner, id_
        )
        return None if row is None else Kept(tuple(orjson.loads(row[0])), orjson.loads(row[1]), row[2])

    def chain(self, owner: str, id_: str) -> tuple[Kept, ...] | None:
        found: list[Kept] = []
        while id_:
            kept = self.find(owner, id_)
            if kept is None or len(found) >= MAX_CHAIN:
                return None
            found.append(kept)
            id_ = kept.previous
        return tuple(reversed(found))

    def item(self, owner: str, id_: str) -> Mapping[str, Any] | None:
        for (whose, _), kept in reversed(list(self._waiting.items())):
            if whose == owner and kept is not None and (item := _item_in(kept, id_)) is not None:
                return item
        row = self._read(
            "SELECT r.response, r.id FROM items i JOIN responses r ON r.owner = i.owner AND r.id = i.response "
            "WHERE i.owner = ? AND i.id = ? AND r.used >= ?",
            owner,
            id_,
        )
        if row is None or self._waiting.get((owner, row[1]), ...) is None:
            return None
        return _item_in(Kept((), orjson.loads(row[0])), id_)

    def keep(self, owner: str, kept: Kept) -> None:
        id_ = str(kept.response.get("id"))
        if len(self._waiting) >= MAX_WAITING:
            self._say("error", "store.full", waiting=len(self._waiting))
            return
        row = (owner, id_, kept.previous, self._now(), orjson.dumps(kept.input), orjson.dumps(kept.response))
        items = [(owner, item["id"], id_) for item in _output(kept) if isinstance(item.get("id"), str)]

        def write(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM items WHERE owner = ? AND response = ?", (owner, id_))
            connection.execute("INSERT OR REPLACE INTO responses VALUES (?, ?, ?, ?, ?, ?)", row)
            connection.executemany("INSERT OR REPLACE INTO items VALUES (?, ?, ?)", items)
            connection.execute(_STILL_USED, {"owner": owner, "id": kept.previous, "now": row[3]})

        self._put((owner, id_), kept, write)

    def forget(self, owner: str, id_: str) -> bool:
        if self.find(owner, id_) is None:
            return False

        def write(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM responses WHERE owner = ? AND id = ?", (owner, id_))
            connection.execute("DELETE FROM items WHERE owner = ? AND response = ?", (owner, id_))

        self._put((owner, id_), None, write)
        return True

    async def close(self) -> None:
        """Write out what is waiting, within 5 seconds."""
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join, _CLOSE_WITHIN)
        if self._thread.is_alive():
            self._say("error", "store.close_timeout", waiting=len(self._waiting))
            return
        self._reading.close()
        self._writing.close()

    def _read(self, query: str, owner: str, id_: str) -> Any:
        try:
            return self._reading.execute(query, (owner, id_, self._oldest())).fetchone()
        except sqlite3.Error as error:
            self._say("error", "store.unreadable", error=str(error))
            return None

    def _oldest(self) -> float:
        return self._now() - self._days * DAY

    def _put(self, key: tuple[str, str], kept: Kept | None, write: Write) -> None:
        with self._lock:
            self._waiting.pop(key, None)  # the last one stands last
            self._waiting[key] = kept
        self._jobs.put((key, kept, write))

    def _work(self) -> None:
        """On the thread: one job after the other."""
        while True:
            self._prune()
            job = self._jobs.get()
            if job is None:
                return
            key, kept, write = job
            self._write(write)
            with self._lock:
                if self._waiting.get(key, ...) is kept:  # nothing newer came for it
                    del self._waiting[key]

    def _write(self, write: Write) -> None:
        connection = self._writing
        try:
            connection.execute("BEGIN IMMEDIATE")
            write(connection)
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._say("error", "store.unwritten", error=str(error))
            if connection.in_transaction:
                connection.execute("ROLLBACK")

    def _prune(self) -> None:
        now = self._now()
        if now - self._pruned < PRUNE_EVERY:
            return
        self._pruned = now
        oldest = self._oldest()

        def write(connection: sqlite3.Connection) -> None:
            old = connection.execute(
                "DELETE FROM responses WHERE rowid IN (SELECT rowid FROM responses WHERE used < ? LIMIT ?) "
                "RETURNING owner, id",
                (oldest, _PRUNE),
            ).fetchall()
            connection.executemany("DELETE FROM items WHERE owner = ? AND response = ?", old)
            if len(old) == _PRUNE:
                self._pruned = 0.0  # there may be more

        self._write(write)


def _output(kept: Kept) -> Iterable[Mapping[str, Any]]:
    output = kept.response.get("output")
    return [item for item in (output if isinstance(output, list) else ()) if isinstance(item, dict)]


def _item_in(kept: Kept, id_: str) -> Mapping[str, Any] | None:
    return next((item for item in _output(kept) if item.get("id") == id_), None)
