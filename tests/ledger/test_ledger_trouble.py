"""A disk that is locked, full or broken stops no request: rows wait, a counter counts, a line says so; then all is
written."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from proxy.core.outcome import Outcome
from proxy.ledger import schema, writer
from proxy.ledger.sqlite import SqliteLedger, open_ledger

Rows = Callable[[str], list[tuple[Any, ...]]]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same in less time."""
    monkeypatch.setattr(writer, "LINGER", 0.005)
    monkeypatch.setattr(writer, "BUSY", 0.01)
    monkeypatch.setattr(writer, "_PATIENCE", (0.02,))


def _record(ledger: SqliteLedger, outcome: Outcome, numbers: range) -> None:
    for number in numbers:
        ledger.record(outcome._replace(request_id=f"r{number}"))


def _until(true: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(1000):
        if true():
            return
        pause.wait(0.01)
    raise AssertionError("it never came true")


def test_a_locked_database(database: Path, served: Outcome, rows: Rows, heard: Any) -> None:
    ledger = open_ledger(database, heard)
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        before = time.perf_counter()
        _record(ledger, served, range(50))
        assert time.perf_counter() - before < 2.0, "recording waits for nobody"
        _until(lambda: ledger.stats.errors >= 2)
        assert ledger.stats.waiting == 50
        other.execute("ROLLBACK")
    _until(lambda: ledger.stats.waiting == 0)
    asyncio.run(ledger.close())
    assert len(rows("id")) == 50
    assert heard.names() == ["ledger.trouble", "ledger.well"], "said once, not at every try"
    assert "locked" in str(heard.events[0][2]["error"])


def test_a_full_disk(database: Path, served: Outcome, rows: Rows, heard: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    full = True

    def small(path: Path, *, busy: float) -> sqlite3.Connection:
        connection = schema.open_database(path, busy=busy)
        if full:
            connection.execute("PRAGMA max_page_count = 8")
        return connection

    monkeypatch.setattr(writer, "open_database", small)
    ledger = open_ledger(database, heard)
    _record(ledger, served, range(400))
    _until(lambda: ledger.stats.errors > 0)
    assert "full" in str(heard.events[0][2]["error"])
    assert ledger.stats.waiting > 0
    full = False
    _until(lambda: ledger.stats.waiting == 0)
    asyncio.run(ledger.close())
    assert rows("request_id") == [(f"r{number}",) for number in range(400)]
    assert ledger.stats.lost == 0


def test_a_broken_file_is_left_behind_when_it_was_moved_away(
    database: Path, served: Outcome, rows: Rows, heard: Any
) -> None:
    ledger = open_ledger(database, heard)
    broken = database.with_name("broken")
    broken.write_bytes(b"\xff" * 8192)
    broken.replace(database)
    _record(ledger, served, range(20))
    _until(lambda: ledger.stats.errors > 0)
    assert "not a database" in str(heard.events[0][2]["error"])
    database.replace(broken)
    _until(lambda: ledger.stats.waiting == 0)
    asyncio.run(ledger.close())
    assert len(rows("id")) == 20


def test_beyond_the_bound_rows_are_counted_as_lost_and_said(
    database: Path, served: Outcome, rows: Rows, heard: Any
) -> None:
    ledger = open_ledger(database, heard, journal_size=16 * 1024)
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        _record(ledger, served, range(100))
        lost = ledger.stats.lost
        assert 0 < lost < 100
        _until(lambda: "ledger.lost" in heard.names())
        other.execute("ROLLBACK")
    _until(lambda: ledger.stats.waiting == 0)
    asyncio.run(ledger.close())
    assert len(rows("id")) == 100 - lost
    assert heard.events[heard.names().index("ledger.lost")][2]["lost"] == lost


def test_what_cannot_be_written_at_the_end_is_brought_in_at_the_next_start(
    database: Path, served: Outcome, rows: Rows, heard: Any
) -> None:
    ledger = open_ledger(database, heard)
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        _record(ledger, served, range(5))
        asyncio.run(ledger.close())
        other.execute("ROLLBACK")
    assert "ledger.left_in_journal" in heard.names()
    assert rows("id") == []
    asyncio.run(open_ledger(database, heard).close())
    assert rows("request_id") == [(f"r{number}",) for number in range(5)]
    assert "ledger.recovered" in heard.names()


_SMALL_FILES = """
import asyncio, resource, sys, threading
from proxy.core.outcome import Ended, Outcome
from proxy.ledger import writer
from proxy.ledger.sqlite import open_ledger

writer.LINGER, writer._PATIENCE, writer._SHOUT_EVERY = 0.005, (0.02,), 0.0
said = []
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (256 * 1024, hard))
ledger = open_ledger(sys.argv[1], lambda level, name, **fields: said.append(name))
assert not ledger.stats.durable and said == ["ledger.not_durable"], said

def until(true):
    for _ in range(1000):
        if true():
            return
        threading.Event().wait(0.01)
    raise AssertionError((said, ledger.stats.waiting))

def record(number):
    ledger.record(Outcome(f"r{number}", 1, "chat", "a/b", "a", Ended.SERVED, None, 200, False, 1.0, 0.0, None, None,
                          1.0, None, None, None, False, "", ""))

for number in range(4000):
    record(number)
until(lambda: ledger.stats.errors > 0)
assert ledger.stats.waiting > 0 and ledger.stats.lost == 0
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
until(lambda: ledger.stats.waiting == 0 and "ledger.durable" in said)
record(4000)
assert ledger.stats.durable
record(4001)
asyncio.run(ledger.close())
assert ledger.stats.lost == 0
"""


def test_no_room_for_the_journal_and_then_none_for_the_database(database: Path, rows: Rows) -> None:
    """RLIMIT_FSIZE: rows wait in plain memory, and go to a journal file as soon as one can be made."""
    subprocess.run([sys.executable, "-c", _SMALL_FILES, str(database)], check=True, timeout=60)
    assert rows("request_id") == [(f"r{number}",) for number in range(4002)]
    assert [path.name for path in database.parent.iterdir()] == ["wayline.db"]


def test_a_place_that_may_not_be_looked_into_is_an_error_at_the_start_in_a_sentence(tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    (locked / "inner").mkdir(parents=True)
    code = """if True:
        import os, sys
        from proxy.ledger.schema import LedgerError
        from proxy.ledger.sqlite import open_ledger
        if os.geteuid() == 0:  # whom no mode keeps out
            os.seteuid(65534)
        try:
            open_ledger(sys.argv[1])
        except LedgerError as error:
            print(error)
    """
    path = locked / "inner" / "wayline.db"
    locked.chmod(0)
    try:
        done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False)
    finally:
        locked.chmod(0o700)
    assert done.stdout.startswith(f"The ledger {path} cannot be opened: ")
    assert "Permission denied" in done.stdout
    assert done.stderr == ""
