"""The thread that brings journals into the database, a group of rows at a time."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from pathlib import Path
from time import monotonic

from proxy.ledger import journal as journals
from proxy.ledger.insert import forget, insert
from proxy.ledger.journal import Journal
from proxy.ledger.prune import USUAL, Kept, Pruner
from proxy.ledger.schema import LedgerError, open_database
from proxy.ledger.stats import LedgerStats, Say

LINGER = 0.1
"""Seconds that rows wait for others to be written with."""
BUSY = 1.0
"""Seconds to wait for another process's transaction."""
GROUP = 512
"""Rows of a transaction at most, so that other workers, and the event loop, get their turn."""
_PATIENCE = (0.25, 0.5, 1.0, 2.0, 5.0)
"""Seconds between tries while the database cannot be written."""
_LAST_TRIES = 3
_SHOUT_EVERY = 30.0
_TROUBLE = (sqlite3.Error, OSError, LedgerError)


class Writer:
    """Owns the database connection and takes from the journals. All but `wake` and `close` runs in its thread."""

    def __init__(
        self, path: Path, own: Journal, dead: list[Journal], stats: LedgerStats, say: Say, kept: Kept = USUAL
    ) -> None:
        self.own = own
        """The journal that is appended to now. Changed by `wake` only, so by the appending thread."""
        self.asleep = False
        """`wake` has to be called after an append. Set before the last look at the journals, so no append is missed."""
        self._path = path
        self._stats = stats
        self._say = say
        self._pruner = Pruner(kept)
        self._sources = [own, *dead]
        self._spare: Journal | None = None
        self._connection: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None
        self._failures = 0
        self._next_shout = 0.0
        self._next_journal = 0.0
        self._lost_said = 0
        self._awake = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="wayline-ledger", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> Journal:
        """There is something to write. Called by the appending thread; returns the journal to append to from now on."""
        self.asleep = False
        if self._spare is not None:
            self._sources.append(self._spare)
            self.own, self._spare = self._spare, None
            self._stats.durable = True
        self._awake.set()
        return self.own

    def close(self, seconds: float) -> bool:
        """Write out what is waiting and stop; False when that took too long. Nothing is appended any more."""
        self._closing.set()
        self._awake.set()
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._closing.is_set():
            if self._pending():
                self._closing.wait(self._pause())
                self._try()
            else:
                self._doze()
        for _ in range(_LAST_TRIES):
            if not self._pending() or self._try():
                break
        self._leave()

    def _pause(self) -> float:
        if self._failures == 0:
            return LINGER
        return _PATIENCE[min(self._failures, len(_PATIENCE)) - 1]

    def _doze(self) -> None:
        self._awake.clear()
        self.asleep = True
        if not self._pending() and not self._closing.is_set():
            self._awake.wait()
        self.asleep = False

    def _pending(self) -> bool:
        return len(self._sources) > 1 or self.own.written != self.own.taken or self._stats.lost != self._lost_said

    def _try(self) -> bool:
        try:
            connection = self._connected()
            for journal in self._sources[:]:
                self._bring_in(connection, journal)
            self._pruner.prune(connection)
        except _TROUBLE as error:
            self._trouble(error)
            return False
        if self._failures:
            self._failures = 0
            self._next_shout = 0.0
            self._say("info", "ledger.well", rows=self._stats.rows, waiting=self._stats.waiting)
        self._shout_lost()
        if self.own.path is None and self._spare is None:
            self._make_durable()
        return True

    def _bring_in(self, connection: sqlite3.Connection, journal: Journal) -> None:
        retired = journal is not self.own  # asked first: from then on nothing is appended to it
        while True:
            records, position = journal.take(GROUP)
            if not records:
                break
            written = insert(connection, journal.token, records, position)
            journal.done(position)
            self._stats.rows += written
            self._stats.unreadable += len(records) - written
        if retired:
            forget(connection, journal.token)
            self._sources.remove(journal)
            journal.close(remove=True)

    def _connected(self) -> sqlite3.Connection:
        """The connection to the file that the path names now: one that was moved away is not written to any more."""
        if self._connection is not None and self._identity != _identity(self._path):
            self._disconnect()
        if self._connection is None:
            self._connection = open_database(self._path, busy=BUSY)
            self._identity = _identity(self._path)
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _trouble(self, error: Exception) -> None:
        self._failures += 1
        self._stats.errors += 1
        self._disconnect()
        if monotonic() >= self._next_shout:
            self._next_shout = monotonic() + _SHOUT_EVERY
            self._say(
                "error",
                "ledger.trouble",
                path=str(self._path),
                error=str(error),
                waiting=self._stats.waiting,
                lost=self._stats.lost,
            )
        self._shout_lost()

    def _shout_lost(self) -> None:
        lost = self._stats.lost
        if lost != self._lost_said:
            self._say("error", "ledger.lost", lost=lost, more=lost - self._lost_said)
            self._lost_said = lost

    def _make_durable(self) -> None:
        """There was no room for a journal file: is there now? It is taken into use at the next `wake`."""
        if monotonic() < self._next_journal:
            return
        self._next_journal = monotonic() + _SHOUT_EVERY
        try:
            self._spare = journals.create(self._path)
        except OSError as error:
            self._say("error", "ledger.not_durable", path=str(self._path), error=str(error))
        else:
            self._say("info", "ledger.durable", path=str(self._path))

    def _leave(self) -> None:
        """Let go of everything; what could not be written stays in its journal's file for the next start."""
        waiting = self._stats.waiting
        if waiting and self.own.path is None:
            self._stats.unreadable += waiting
            self._shout_lost()
        elif waiting:
            self._say("error", "ledger.left_in_journal", path=str(self.own.path), rows=waiting)
        elif self._connection is not None:
            # When this fails, a note about a journal that is no more stays behind and does no harm.
            with contextlib.suppress(sqlite3.Error):
                forget(self._connection, self.own.token)
        for journal in self._sources:
            journal.close(remove=journal.written == journal.taken)
        if self._spare is not None:
            self._spare.close(remove=True)
        self._disconnect()


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino
