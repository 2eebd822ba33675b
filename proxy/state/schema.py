"""The database of what outlives a process: its tables, and how it is opened."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from proxy.write_ahead import write_ahead

VERSION = 1
TABLES: tuple[str, ...] = (
    """CREATE TABLE IF NOT EXISTS learnt (
        kind TEXT NOT NULL, name TEXT NOT NULL, value BLOB NOT NULL, at REAL NOT NULL, PRIMARY KEY (kind, name)
    ) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS vitals (
        target TEXT NOT NULL, size INTEGER NOT NULL, part INTEGER NOT NULL, counts BLOB NOT NULL,
        PRIMARY KEY (target, size, part)
    ) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS keys (
        digest BLOB PRIMARY KEY, name TEXT NOT NULL, prefix TEXT NOT NULL, terms TEXT NOT NULL,
        made REAL NOT NULL, until REAL, why TEXT NOT NULL, used REAL, change INTEGER NOT NULL
    ) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS keys_change ON keys (change)",
    """CREATE TABLE IF NOT EXISTS feedback (
        request_id TEXT NOT NULL, key TEXT NOT NULL, route TEXT NOT NULL, target TEXT NOT NULL, score REAL NOT NULL,
        comment TEXT, at REAL NOT NULL, PRIMARY KEY (request_id, key)
    ) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS judged (
        day INTEGER NOT NULL, route TEXT NOT NULL, spent INTEGER NOT NULL, PRIMARY KEY (day, route)
    ) WITHOUT ROWID""",
)
"""learnt: what a part of Wayline knows of the thing of that name, in a form that this part alone reads; `at` is the
Unix time in seconds at which it was written.
vitals: what a target did in one part of time, see engine/vitals.py. size: seconds that the part is long; part: which
since 1970; counts are packed.
keys: a row for each secret of a caller's key, see keys.py. digest is its SHA-256; prefix is how it begins; terms is
JSON, what the key may do; from `until` on it is not good, `why` says what happens then; used: when it was seen last,
about; change grows with each change of a row. Times are Unix times in seconds.
feedback: what callers said of answers, each of its own; score from 0 to 1; comment is NULL unless the configuration
wants comments kept.
judged: millionths of a US dollar that the judge of that route spent on that day since 1970."""


class StateError(Exception):
    """The database cannot be opened. The message is a sentence for the operator."""


def open_database(path: Path, *, busy: float) -> sqlite3.Connection:
    """A connection that may write. `busy`: seconds to wait for another's lock. Raises `StateError`."""
    try:
        connection = sqlite3.connect(path, timeout=busy, isolation_level=None, check_same_thread=False)
    except sqlite3.Error as error:
        raise StateError(f"{path} cannot be opened: {error}.") from error
    try:
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if version > VERSION:
            raise StateError(f"{path} was written by a newer Wayline: update Wayline, or name another file.")
        write_ahead(connection, busy=busy)
        connection.execute("PRAGMA synchronous = NORMAL")  # kill -9 loses no commit
        connection.execute("BEGIN IMMEDIATE")
        for statement in TABLES:
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except (sqlite3.Error, StateError) as error:
        connection.close()
        if isinstance(error, StateError):
            raise
        raise StateError(f"{path} cannot be opened: {error}.") from error
    return connection
