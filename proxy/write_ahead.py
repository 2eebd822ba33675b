"""SQLite files that several processes open at the same moment."""

from __future__ import annotations

import sqlite3
import time

_PRIMARY = 0xFF
AGAIN = 0.01
"""Seconds between two tries."""


def write_ahead(connection: sqlite3.Connection, *, busy: float) -> None:
    """Switch a file to a write-ahead log. Two who do that at once to a new file could wait for each other for ever:
    SQLite tells one of them at once that it is locked, whatever its timeout is (sqlite.org/c3ref/busy_handler.html). It
    is tried again for `busy` seconds, then `sqlite3.OperationalError`."""
    until = time.monotonic() + busy
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & _PRIMARY != sqlite3.SQLITE_BUSY or time.monotonic() >= until:
                raise
            time.sleep(AGAIN)
        else:
            return
