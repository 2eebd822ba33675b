"""A ledger that an older version wrote goes on as it is: its rows stay, and what it did not note is NULL in them."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import orjson
import pytest

from proxy.core.outcome import Outcome
from proxy.ledger.row import COLUMNS, WIDTH, decode, encode
from proxy.ledger.schema import MIGRATIONS, VERSION
from proxy.ledger.sqlite import open_ledger


@pytest.mark.parametrize("version", range(1, VERSION))
def test_rows_from_before_a_column_stay_and_new_ones_have_it(tmp_path: Path, served: Outcome, version: int) -> None:
    path = tmp_path / "wayline.db"
    with closing(sqlite3.connect(path)) as connection:
        for statement in [statement for step in MIGRATIONS[:version] for statement in step]:
            connection.execute(statement)
        connection.execute("INSERT INTO attempts (request_id) VALUES ('old')")
        connection.execute(f"PRAGMA user_version = {version}")
        connection.commit()
    ledger = open_ledger(path)
    ledger.record(served._replace(endpoint="rerank", agent="scout", tags=("a", "b")))
    asyncio.run(ledger.close())
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT request_id, endpoint, agent, tags FROM attempts ORDER BY id").fetchall()
    assert rows == [("old", None, None, None), ("req-1", "rerank", "scout", '["a","b"]')]


@pytest.mark.parametrize("width", [26, 27])
def test_a_row_that_an_older_version_left_in_its_journal_is_brought_in(served: Outcome, width: int) -> None:
    old = orjson.dumps(orjson.loads(encode(served._replace(agent="scout")))[:width])
    row = dict(zip(COLUMNS.split(", "), decode(old), strict=True))
    assert (row["endpoint"], row["agent"]) == (None if width == 26 else "chat", None)
    assert row["plan"] is None, "nobody noted it, so that nothing is claimed of it"
    assert row["how"] == "fresh"


@pytest.mark.parametrize("width", [25, 28, 29, WIDTH + 1])
def test_what_no_version_wrote_is_no_row(width: int) -> None:
    with pytest.raises(ValueError, match="not a row"):
        decode(orjson.dumps([None] * width))
