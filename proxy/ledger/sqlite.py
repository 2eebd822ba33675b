"""The ledger in SQLite: `open_ledger(path)`, then `record` each outcome.

`record` costs the event loop about 2 us: the row goes into a journal that outlives `kill -9`, and a thread brings the
journal into the database, all that came within 0.1 s in one transaction. While the database cannot be written the rows
wait in the journal. Several processes may share one database: each has its own journal.
"""

from __future__ import annotations

import asyncio
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

from proxy.core.outcome import Outcome
from proxy.core.told import Told
from proxy.ledger import journal as journals
from proxy.ledger import why_row
from proxy.ledger.journal import DEFAULT_SIZE, Journal
from proxy.ledger.plans import Plans
from proxy.ledger.prune import USUAL, Kept
from proxy.ledger.recover import adopt
from proxy.ledger.row import encode
from proxy.ledger.schema import LedgerError, open_database
from proxy.ledger.stats import LedgerStats, Say, silent
from proxy.ledger.writer import Writer

PATIENCE = 20.0
"""Seconds that a start waits for its turn: SQLite's turns are by lot, and others may be writing without a pause."""
_CLOSE_WITHIN = 5.0


class SqliteLedger:
    """See `proxy.ledger.contract.Ledger`. To be opened in the process that uses it: it does not outlive a fork."""

    def __init__(self, writer: Writer, stats: LedgerStats, say: Say, *, tells: bool = True) -> None:
        self.stats = stats
        self._writer = writer
        self._say = say
        self._append = writer.own.append
        self._tells = tells
        self._plans = Plans(self._put)
        writer.start()

    def record(self, outcome: Outcome) -> None:
        """Put one attempt on record: when this returns, `kill -9` of this process no longer loses it."""
        planned = outcome.planned
        if planned is None:
            self._put(encode(outcome))
        else:
            plan = self._plans.number(planned, outcome.started_at) if self._tells else None
            self._put(encode(outcome, plan))

    def _put(self, payload: bytes) -> bool:
        done = self._append(payload)
        if done:
            self.stats.recorded += 1
        else:
            self.stats.refused += 1
        if self._writer.asleep:
            self._append = self._writer.wake().append
        return done

    def tell(self, told: Told) -> None:
        """Put on record why a request went where it went, in the same way. It is kept for some days only."""
        if self._tells:
            planned = told.planned
            plan = None if planned is None else self._plans.number(planned, told.started_at)
            self._put(why_row.encode(told, plan))

    async def close(self) -> None:
        """Write out what is waiting, within 5 seconds. What cannot be written stays in the journal's file."""
        self._append = self._too_late
        if not await asyncio.to_thread(self._writer.close, _CLOSE_WITHIN):
            self._say("error", "ledger.close_timeout", waiting=self.stats.waiting)

    def _too_late(self, payload: bytes) -> bool:
        self._say("error", "ledger.lost", lost=self.stats.lost + 1, more=1, error="recorded after the end")
        return False


def open_ledger(
    path: str | Path, say: Say = silent, *, journal_size: int = DEFAULT_SIZE, kept: Kept = USUAL
) -> SqliteLedger:
    """Open the database (made when there is none), take over what killed processes left, and start the writer.

    Raises `LedgerError` with a sentence for the operator. `journal_size`: bytes that rows may wait in.
    `kept`: how long it is kept why requests went where they went.
    """
    path = Path(path).absolute()
    stats = LedgerStats()
    try:
        with closing(open_database(path, busy=PATIENCE)) as connection:
            connection.execute("BEGIN IMMEDIATE")  # says now if the file is not ours to write
            connection.execute("ROLLBACK")
            dead = adopt(connection, path)
    except (sqlite3.Error, OSError) as error:
        raise LedgerError(_sentence(path, error)) from error
    stats.recorded = sum(count for _, count in dead)
    if stats.recorded:
        say("info", "ledger.recovered", rows=stats.recorded, journals=len(dead))
    own = _own_journal(path, journal_size, stats, say)
    writer = Writer(path, own, [journal for journal, _ in dead], stats, say, kept)
    return SqliteLedger(writer, stats, say, tells=kept.rows > 0)


def _own_journal(path: Path, size: int, stats: LedgerStats, say: Say) -> Journal:
    try:
        return journals.create(path, size)
    except OSError as error:
        stats.durable = False
        say("error", "ledger.not_durable", path=str(path), error=str(error))
        return journals.in_memory(size)


def _sentence(path: Path, error: Exception) -> str:
    """What is wrong, as far as it can be told from here."""
    try:
        if _is_directory(path):
            return f"The ledger {path} is a directory: name a file."
        if not _is_directory(path.parent):
            return f"The ledger {path} cannot be made: there is no directory {path.parent}."
    except OSError as refused:  # says which directory on the way, where SQLite only says that it could not
        error = refused
    return f"The ledger {path} cannot be opened: {error}."


def _is_directory(path: Path) -> bool:
    """Raises OSError where that cannot be looked up. (`Path.is_dir` does or does not, by Python's version.)"""
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
