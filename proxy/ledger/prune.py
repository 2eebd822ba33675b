"""Forgets why requests went where they went: what is old, or too much. Attempts are kept for good."""

from __future__ import annotations

import sqlite3
import time
from typing import NamedTuple

EVERY = 5.0
"""Seconds between two looks."""
BITE = 500
"""Rows that go in one transaction, so that other workers get their turn; a few milliseconds."""
_BITES = 40
"""A look removes at most so many: more in a second than comes in."""
_DAY = 86_400.0
TABLES = (("requests", "started_at"), ("plans", "at"))
"""With the column that says when."""


class Kept(NamedTuple):
    """The bounds of the tables `requests` and `plans`, of each."""

    days: int = 7
    rows: int = 1_000_000
    """About 500 bytes each on the disk."""


USUAL = Kept()


class Pruner:
    """One for each writer. `prune` is called after each group of rows."""

    def __init__(self, kept: Kept) -> None:
        self._kept = kept
        self._next = 0.0

    def prune(self, connection: sqlite3.Connection) -> None:
        """Remove some of what is too old or too many, now and then. Raises `sqlite3.Error`."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + EVERY
        for _ in range(_BITES):
            if not sum(bite(connection, self._kept, time.time(), *table) for table in TABLES):
                return


def bite(connection: sqlite3.Connection, kept: Kept, now: float, table: str, came: str) -> int:
    """Remove the oldest rows that are beyond the bounds, a bite of them; how many. `now`: Unix time in seconds; `came`:
    the column with the time.

    A row's place is that of its time, near enough: rows are removed at one end and added at the other.
    """
    oldest = connection.execute(f"SELECT id, {came} FROM {table} ORDER BY id LIMIT 1").fetchone()
    if oldest is None:
        return 0
    first, at = oldest
    last = connection.execute(f"SELECT max(id) FROM {table}").fetchone()[0]
    since = now - kept.days * _DAY
    beyond = last - kept.rows
    if first > beyond and at >= since:
        return 0
    done = connection.execute(
        f"DELETE FROM {table} WHERE id < ? AND (id <= ? OR {came} < ?)", (first + BITE, beyond, since)
    )
    return done.rowcount
