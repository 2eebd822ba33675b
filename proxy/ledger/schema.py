"""The database: its schema, how it grew, and how it is opened."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from proxy.write_ahead import write_ahead

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE attempts (
            id INTEGER PRIMARY KEY,
            request_id TEXT, attempt INTEGER, route TEXT, target TEXT, backend TEXT, key TEXT, model TEXT,
            ended TEXT, failure TEXT, status INTEGER, stream INTEGER,
            started_at REAL, sent REAL, first_byte REAL, first_content REAL, last REAL,
            input INTEGER, output INTEGER, cached_input INTEGER, cache_write INTEGER, reasoning INTEGER,
            usage_source TEXT, price TEXT, cost TEXT, maybe_billed INTEGER, how TEXT
        )""",
        "CREATE INDEX attempts_started_at ON attempts (started_at)",
        "CREATE TABLE journals (token TEXT PRIMARY KEY, position INTEGER) WITHOUT ROWID",
    ),
    ("ALTER TABLE attempts ADD COLUMN endpoint TEXT",),
    ("ALTER TABLE attempts ADD COLUMN agent TEXT", "ALTER TABLE attempts ADD COLUMN tags TEXT"),
    (
        """CREATE TABLE requests (
            id INTEGER PRIMARY KEY,
            request_id TEXT, started_at REAL, route TEXT, endpoint TEXT, key TEXT, agent TEXT, tags TEXT,
            stream INTEGER, ended TEXT, status INTEGER, failure TEXT, duration REAL, queued REAL, attempts INTEGER,
            plan INTEGER, more TEXT
        )""",
        "CREATE TABLE plans (id INTEGER PRIMARY KEY, number INTEGER, at REAL, plan TEXT)",
        "ALTER TABLE attempts ADD COLUMN plan INTEGER",
    ),
)
"""Step n leads from version n to n + 1. A step that was released is never changed, only followed by another.

attempts: one row for each `Outcome`, under its names. started_at is Unix time in seconds, the other times are seconds
after it; usage_source is reported, estimated or absent; price is JSON (dollars per million tokens, who states it, since
when); cost is dollars in decimal text, NULL when unknown; how is
fresh, or how a cut answer was gone on with, or spare: served, and an earlier answer went to the client. A request id
may be a client's own, so it is not unique.
endpoint is `chat`, `embed`, `rerank`, …, NULL in rows from before it was noted.
agent is the caller's word, NULL where it said none; tags is a JSON array of texts, NULL where there are none.
plans: what was planned, each by a number made of its text: a JSON object with targets, what was left out with the Unix
time until which, strategy and rule. `attempts.plan` is that number, 0 where all targets of the route were fit and in
their order, NULL where nobody noted it.
requests: a row for each request of which its attempts do not tell all, under the names of `Told`; more (asked, notes,
message) is a JSON object, NULL where there is nothing to say.
Both are kept for some days only, see prune.py. No table has an index by request_id: where ids are the clients' own, it
made a row cost three times as much, and reading a million rows takes 0.3 s.
journals: how far each was brought in, written in the same transaction as the rows, so that no row comes twice.
"""

VERSION = len(MIGRATIONS)


class LedgerError(Exception):
    """The ledger cannot be opened or read. The message is a sentence for the operator."""


def open_database(path: Path, *, busy: float) -> sqlite3.Connection:
    """A connection that may write, the schema brought up to date. `busy`: seconds to wait for another's lock.

    Raises `LedgerError` where the file is of a newer version, and `sqlite3.Error` for all else.
    """
    connection = sqlite3.connect(path, timeout=busy, isolation_level=None, check_same_thread=False)
    try:
        check_version(connection, path)
        write_ahead(connection, busy=busy)
        # NORMAL loses no acknowledged commit to kill -9; FULL would add power loss, at 90 times the cost a commit.
        connection.execute("PRAGMA synchronous = NORMAL")
        _migrate(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def check_version(connection: sqlite3.Connection, path: Path) -> int:
    """The file's schema version; `LedgerError` when it is newer than ours."""
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > VERSION:
        raise LedgerError(
            f"The ledger {path} was written by a newer Wayline (schema {version}; this one knows up to {VERSION}): "
            "update Wayline, or name another file."
        )
    return version


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    if check_version(connection, path) == VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Another worker may have done it while we waited for the lock.
        for step in MIGRATIONS[check_version(connection, path) :]:
            for statement in step:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
