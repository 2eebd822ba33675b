"""Rows into the tables."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Any

from proxy.ledger import plans, row, why_row

_MANY = 64
_GROUPS = (_MANY, 8, 1)
_NOTE = "INSERT INTO journals VALUES (?, ?) ON CONFLICT (token) DO UPDATE SET position = excluded.position"


class _Rows:
    """Those of one table that wait for a statement."""

    def __init__(self, table: str, columns: str, width: int) -> None:
        one = f"({', '.join('?' * width)})"
        self._statements = {
            count: f"INSERT INTO {table} ({columns}) VALUES {', '.join([one] * count)}" for count in _GROUPS
        }
        self._width = width
        self._full = _MANY * width

    def add(self, connection: sqlite3.Connection, values: list[Any], more: list[Any]) -> list[Any]:
        """One more row; what waits then."""
        values += more
        if len(values) < self._full:
            return values
        connection.execute(self._statements[_MANY], values)
        return []

    def finish(self, connection: sqlite3.Connection, values: list[Any]) -> None:
        """Write the rest."""
        start = 0
        for count in _GROUPS:
            while len(values) - start >= count * self._width:
                end = start + count * self._width
                connection.execute(self._statements[count], values[start:end])
                start = end


_ATTEMPTS = _Rows("attempts", row.COLUMNS, row.WIDTH)
_REQUESTS = _Rows("requests", why_row.COLUMNS, why_row.WIDTH)
_PLANS = _Rows("plans", plans.COLUMNS, plans.WIDTH)


def insert(connection: sqlite3.Connection, token: str, records: Iterable[bytes], position: int) -> int:
    """Records of one journal, and how far it is now brought in, in one transaction. Gives the number of rows: a record
    that is no row is left out. Raises `sqlite3.Error`.

    Many rows go into one statement: sqlite3 lets the interpreter's lock go around each step and has to win it back from
    a busy event loop, which with a statement a row (`executemany`) cost up to 90 us a row and made a batch of 500 take
    0.2 to 0.4 s. But not too many: with the values of 500 rows alive at once, over half of the time went into memory
    that was not in the processor's caches.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        written = _take(connection, records)
        connection.execute(_NOTE, (token, position))
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return written


def _take(connection: sqlite3.Connection, records: Iterable[bytes]) -> int:
    attempts: list[Any] = []
    requests: list[Any] = []
    planned: list[Any] = []
    written = 0
    for record in records:
        try:
            if record.startswith(why_row.MARK):
                requests = _REQUESTS.add(connection, requests, why_row.decode(record))
            elif record.startswith(plans.MARK):
                planned = _PLANS.add(connection, planned, plans.decode(record))
            else:
                attempts = _ATTEMPTS.add(connection, attempts, row.decode(record))
        except ValueError:
            continue
        written += 1
    _ATTEMPTS.finish(connection, attempts)
    _REQUESTS.finish(connection, requests)
    _PLANS.finish(connection, planned)
    return written


def position_of(connection: sqlite3.Connection, token: str) -> int | None:
    """How far this journal was brought in, `None` when the database knows nothing of it."""
    found = connection.execute("SELECT position FROM journals WHERE token = ?", (token,)).fetchone()
    return None if found is None else int(found[0])


def forget(connection: sqlite3.Connection, token: str) -> None:
    """The journal is gone: drop the note about it."""
    connection.execute("DELETE FROM journals WHERE token = ?", (token,))
