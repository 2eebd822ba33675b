"""The database of kept responses: its schema, and how it is opened."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from proxy.write_ahead import write_ahead

VERSION = 1
SCHEMA = (
    """CREATE TABLE responses (
        owner TEXT NOT NULL, id TEXT NOT NULL, previous TEXT NOT NULL, used REAL NOT NULL,
        input BLOB NOT NULL, response BLOB NOT NULL, UNIQUE (owner, id)
    )""",
    "CREATE INDEX responses_used ON responses (used)",
    "CREATE TABLE items (owner TEXT, id TEXT, response TEXT, PRIMARY KEY (owner, id)) WITHOUT ROWID",
    "CREATE INDEX items_response ON items (owner, response)",
)
"""responses: `input` and `response` are JSON; `used` is the Unix time in seconds at which it was kept, or gone on from
last. items: which response holds the output item of that id."""


class StoreError(Exception):
    """The store cannot be opened. The message is a sentence for the operator."""


def open_database(path: Path, *, busy: float) -> sqlite3.Connection:
    """A connection. `busy`: seconds to wait for another's lock. Raises `StoreError`, `sqlite3.Error`."""
    connection = sqlite3.connect(path, timeout=busy, isolation_level=None, check_same_thread=False)
    try:
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if version > VERSION:
            raise StoreError(f"The store {path} was written by a newer Wayline: update Wayline, or name another file.")
        write_ahead(connection, busy=busy)
        connection.execute("PRAGMA synchronous = NORMAL")  # kill -9 loses no commit
        if not version:
            _make(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _make(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        if not connection.execute("PRAGMA user_version").fetchone()[0]:  # another worker may have been faster
            for statement in SCHEMA:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
