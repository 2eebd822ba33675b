"""A ledger that 0.1 wrote goes on as it is: its rows stay, and what it did not note is NULL in them."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import orjson
import pytest

from proxy.core.outcome import Outcome
from proxy.ledger.row import COLUMNS, WIDTH, decode, encode
from proxy.ledger.schema import MIGRATIONS
from proxy.ledger.sqlite import open_ledger


def test_rows_from_before_a_column_stay_and_new_ones_have_it(tmp_path: Path, served: Outcome) -> None:
    path = tmp_path / "wayline.db"
    with closing(sqlite3.connect(path)) as connection:
        for statement in MIGRATIONS[0]:
            connection.execute(statement)
        connection.execute("INSERT INTO attempts (request_id) VALUES ('old')")
        connection.execute("PRAGMA user_version = 1")
        connection.commit()
    ledger = open_ledger(path)
    ledger.record(served._replace(endpoint="rerank"))
    asyncio.run(ledger.close())
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT request_id, endpoint FROM attempts ORDER BY id").fetchall()
    assert rows == [("old", None), ("req-1", "rerank")]


def test_a_row_that_an_older_version_left_in_its_journal_is_brought_in(served: Outcome) -> None:
    old = orjson.dumps(orjson.loads(encode(served))[:-1])
    assert dict(zip(COLUMNS.split(", "), decode(old), strict=True))["endpoint"] is None
    with pytest.raises(ValueError, match="not a row"):
        decode(orjson.dumps([None] * (WIDTH - 2)))
