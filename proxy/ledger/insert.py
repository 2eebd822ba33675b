"""Rows into the table."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Any

from proxy.ledger.row import COLUMNS, WIDTH, decode

_ONE = f"({', '.join('?' * WIDTH)})"
_MANY = 64
_GROUPS = (_MANY, 8, 1)
_STATEMENTS = {count: f"INSERT INTO attempts ({COLUMNS}) VALUES {', '.join([_ONE] * count)}" for count in _GROUPS}
_NOTE = "INSERT INTO journals VALUES (?, ?) ON CONFLICT (token) DO UPDATE SET position = excluded.position"


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
        written = 0
        values: list[Any] = []
        for record in records:
            try:
                values += decode(record)
            except ValueError:
                continue
            written += 1
            if written % _MANY == 0:
                connection.execute(_STATEMENTS[_MANY], values)
                values = []
        _insert_rest(connection, values)
        connection.execute(_NOTE, (token, position))
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return written


def _insert_rest(connection: sqlite3.Connection, values: list[Any]) -> None:
    start = 0
    for count in _GROUPS:
        while len(values) - start >= count * WIDTH:
            end = start + count * WIDTH
            connection.execute(_STATEMENTS[count], values[start:end])
            start = end


def position_of(connection: sqlite3.Connection, token: str) -> int | None:
    """How far this journal was brought in, `None` when the database knows nothing of it."""
    row = connection.execute("SELECT position FROM journals WHERE token = ?", (token,)).fetchone()
    return None if row is None else int(row[0])


def forget(connection: sqlite3.Connection, token: str) -> None:
    """The journal is gone: drop the note about it."""
    connection.execute("DELETE FROM journals WHERE token = ?", (token,))
