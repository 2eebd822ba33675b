"""Rows into the table."""

from __future__ import annotations

import sqlite3
from typing import Any

from proxy.ledger.row import COLUMNS, WIDTH

_ONE = f"({', '.join('?' * WIDTH)})"
_GROUPS = (256, 32, 4, 1)
_STATEMENTS = {count: f"INSERT INTO attempts ({COLUMNS}) VALUES {', '.join([_ONE] * count)}" for count in _GROUPS}
_NOTE = "INSERT INTO journals VALUES (?, ?) ON CONFLICT (token) DO UPDATE SET position = excluded.position"


def insert(connection: sqlite3.Connection, token: str, rows: list[list[Any]], position: int) -> None:
    """Rows of one journal, and how far it is now brought in, in one transaction. Raises `sqlite3.Error`.

    Many rows go into one statement: sqlite3 lets the interpreter's lock go around each step and has to win it back from
    a busy event loop, which with a statement a row (`executemany`) cost up to 90 us a row and made a batch of 500 take
    0.2 to 0.4 s; so it is 7 to 15 us and 20 ms.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        start = 0
        for count in _GROUPS:
            while len(rows) - start >= count:
                values: list[Any] = []
                for row in rows[start : start + count]:
                    values += row
                connection.execute(_STATEMENTS[count], values)
                start += count
        connection.execute(_NOTE, (token, position))
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def position_of(connection: sqlite3.Connection, token: str) -> int | None:
    """How far this journal was brought in, `None` when the database knows nothing of it."""
    row = connection.execute("SELECT position FROM journals WHERE token = ?", (token,)).fetchone()
    return None if row is None else int(row[0])


def forget(connection: sqlite3.Connection, token: str) -> None:
    """The journal is gone: drop the note about it."""
    connection.execute("DELETE FROM journals WHERE token = ?", (token,))
