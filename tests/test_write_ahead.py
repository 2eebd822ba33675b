"""Several processes that open a new SQLite file at the same moment all get in."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from proxy.write_ahead import write_ahead


class Locked(sqlite3.Connection):
    """Is locked for some tries."""

    times = 0
    code = sqlite3.SQLITE_BUSY

    def execute(self, *args: Any) -> sqlite3.Cursor:
        if self.times:
            self.times -= 1
            error = sqlite3.OperationalError("database is locked")
            error.sqlite_errorcode = self.code
            raise error
        return super().execute(*args)


@pytest.fixture
def locked(tmp_path: Path) -> Callable[..., Locked]:
    def opened(times: int, code: int = sqlite3.SQLITE_BUSY) -> Locked:
        connection = sqlite3.connect(tmp_path / "new.db", factory=Locked)
        connection.times, connection.code = times, code
        return connection

    return opened


def test_a_file_that_another_switches_at_this_moment_is_tried_again(locked: Callable[..., Locked]) -> None:
    connection = locked(3, sqlite3.SQLITE_BUSY | 2 << 8)  # SQLITE_BUSY_SNAPSHOT: the cause stands above the eighth bit
    write_ahead(connection, busy=60.0)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


@pytest.mark.parametrize(("busy", "code"), [(0.0, sqlite3.SQLITE_BUSY), (60.0, sqlite3.SQLITE_IOERR)])
def test_what_stays_locked_or_is_broken_is_told(locked: Callable[..., Locked], busy: float, code: int) -> None:
    connection = locked(1, code)
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        write_ahead(connection, busy=busy)
    connection.close()
