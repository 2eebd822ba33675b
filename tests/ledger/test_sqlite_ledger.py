"""What goes into the ledger comes out of the database: complete, exact, once."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.failure import FailureKind
from proxy.core.outcome import Ended, Outcome
from proxy.core.usage import Source, Usage
from proxy.ledger.contract import Ledger
from proxy.ledger.null import NullLedger
from proxy.ledger.row import COLUMNS, MAX_ROW, decode, encode
from proxy.ledger.schema import VERSION, LedgerError
from proxy.ledger.sqlite import open_ledger

Rows = Callable[[str], list[tuple[Any, ...]]]


def test_every_field_of_an_outcome_is_on_record(database: Path, served: Outcome, rows: Rows) -> None:
    ledger = open_ledger(database)
    ledger.record(served)
    asyncio.run(ledger.close())
    (row,) = rows(COLUMNS)
    found = dict(zip(COLUMNS.split(", "), row, strict=True))
    price = orjson.loads(found.pop("price"))
    assert found == {
        "request_id": "req-1",
        "attempt": 1,
        "route": "chat",
        "target": "openai/gpt-4o-mini",
        "backend": "openai",
        "key": "team-a",
        "model": "gpt-4o-mini-2024-07-18",
        "ended": "served",
        "failure": None,
        "status": 200,
        "stream": 1,
        "started_at": 1_790_000_000.25,
        "sent": 0.001,
        "first_byte": 0.3,
        "first_content": 0.31,
        "last": 1.5,
        "input": 120,
        "output": 45,
        "cached_input": 20,
        "cache_write": 0,
        "reasoning": 0,
        "usage_source": "reported",
        "cost": str(served.cost),
        "maybe_billed": 0,
        "how": "fresh",
        "endpoint": "chat",
        "agent": "scout",
        "tags": '["nightly","team"]',
        "plan": 0,
    }
    assert price == {
        "input": "0.15",
        "output": "0.60",
        "cached_input": "0.075",
        "origin": "genai-prices",
        "dated": "2024-07-18",
    }


def test_what_is_unknown_is_null_and_never_zero(database: Path, served: Outcome, rows: Rows) -> None:
    ledger = open_ledger(database)
    ledger.record(
        served._replace(
            ended=Ended.FAILED,
            failure=FailureKind.FIRST_TIMEOUT,
            status=None,
            first_byte=None,
            first_content=None,
            usage=None,
            price=None,
            cost=None,
            maybe_billed=True,
        )
    )
    asyncio.run(ledger.close())
    unknown = "status, first_byte, first_content, input, output, cached_input, cache_write, reasoning, price, cost"
    assert rows(unknown) == [(None,) * 10]
    assert rows("ended, failure, usage_source, maybe_billed") == [("failed", "first_timeout", "absent", 1)]


def test_an_estimated_usage_is_marked_as_such(database: Path, served: Outcome, rows: Rows) -> None:
    ledger = open_ledger(database)
    ledger.record(served._replace(usage=Usage(7, 3, source=Source.ESTIMATED)))
    asyncio.run(ledger.close())
    assert rows("input, output, usage_source") == [(7, 3, "estimated")]


def test_two_requests_may_bear_the_same_id(database: Path, served: Outcome, rows: Rows) -> None:
    """A request id can be the client's own, so it is no reason to take two rows for one."""
    ledger = open_ledger(database)
    ledger.record(served)
    ledger.record(served)
    asyncio.run(ledger.close())
    assert len(rows("id")) == 2


def test_rows_reach_the_database_while_the_server_runs(database: Path, served: Outcome, rows: Rows) -> None:
    """Nobody has to close the ledger to see them, and once they are there the writer sleeps without a timer."""
    ledger = open_ledger(database)
    for number in range(700):
        ledger.record(served._replace(request_id=f"r{number}"))
    _until(lambda: ledger.stats.waiting == 0)
    assert rows("request_id") == [(f"r{number}",) for number in range(700)]
    _until(lambda: ledger._writer.asleep)
    asyncio.run(ledger.close())


def test_closing_twice_or_without_a_row_leaves_only_the_database(database: Path) -> None:
    ledger = open_ledger(database)
    asyncio.run(ledger.close())
    asyncio.run(ledger.close())
    assert [path.name for path in database.parent.iterdir()] == ["wayline.db"]
    assert not [thread for thread in threading.enumerate() if thread.name == "wayline-ledger"]


def test_a_row_after_the_end_is_counted_and_said(database: Path, served: Outcome, heard: Any) -> None:
    ledger = open_ledger(database, heard)
    asyncio.run(ledger.close())
    ledger.record(served)
    assert ledger.stats.lost == 1
    assert heard.names() == ["ledger.lost"]


def test_several_ledgers_share_one_database(database: Path, served: Outcome, rows: Rows) -> None:
    ledgers = [open_ledger(database) for _ in range(3)]
    for number in range(300):
        ledgers[number % 3].record(served._replace(request_id=f"r{number}"))
    for ledger in ledgers:
        asyncio.run(ledger.close())
    assert sorted(rows("request_id")) == sorted((f"r{number}",) for number in range(300))


@settings(max_examples=60, deadline=None)
@given(
    model=st.text(max_size=40) | st.just("\ud800") | st.just("m" * (MAX_ROW + 1)),
    usage=st.none() | st.builds(Usage, st.integers(), st.integers(), st.integers(0, 9), source=st.sampled_from(Source)),
    first=st.none() | st.floats(),
    cost=st.none() | st.decimals(allow_nan=False, allow_infinity=False),
)
def test_whatever_an_upstream_says_makes_a_row(
    served: Outcome, model: str, usage: Usage | None, first: float | None, cost: Decimal | None
) -> None:
    data = encode(served._replace(model=model, usage=usage, first_content=first, cost=cost))
    assert len(data) <= MAX_ROW
    row = dict(zip(COLUMNS.split(", "), decode(data), strict=True))
    assert row["request_id"] == "req-1"
    assert row["cost"] is None if cost is None else Decimal(row["cost"]) == cost
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("SELECT ?, ?, ?", (row["model"], row["input"], row["first_content"]))


def test_a_path_that_cannot_be_is_an_error_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("once upon a time " * 100)
    with pytest.raises(LedgerError, match="there is no directory"):
        open_ledger(tmp_path / "nowhere" / "wayline.db")
    with pytest.raises(LedgerError, match="is a directory"):
        open_ledger(tmp_path)
    with pytest.raises(LedgerError, match="file is not a database"):
        open_ledger(tmp_path / "text.db")


def test_a_newer_schema_is_refused(database: Path) -> None:
    asyncio.run(open_ledger(database).close())
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (VERSION,)
        connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    with pytest.raises(LedgerError, match="newer Wayline"):
        open_ledger(database)


def test_no_ledger_keeps_nothing(served: Outcome) -> None:
    ledger: Ledger = NullLedger()
    ledger.record(served)
    asyncio.run(ledger.close())


def _until(true: Callable[[], bool]) -> None:
    """Wait for another thread, 10 s at most."""
    pause = threading.Event()
    for _ in range(1000):
        if true():
            return
        pause.wait(0.01)
    raise AssertionError("it never came true")
