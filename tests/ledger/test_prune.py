"""What is told of requests is forgotten in time, a bite at a time; attempts never are."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.outcome import Outcome
from proxy.ledger.insert import insert
from proxy.ledger.plans import Plans
from proxy.ledger.prune import BITE, TABLES, Kept, Pruner, bite
from proxy.ledger.schema import MIGRATIONS, open_database
from proxy.ledger.sqlite import open_ledger
from proxy.ledger.why_row import encode
from tests.ledger.tellings import PLAN, TOLD

DAY = 86_400.0
NOW = 1_800_000_000.0
REQUESTS = TABLES[0]


@pytest.fixture
def connection(database: Path) -> Iterator[sqlite3.Connection]:
    with closing(open_database(database, busy=1.0)) as opened:
        yield opened


def put(connection: sqlite3.Connection, ages: list[float], now: float = NOW) -> None:
    """Requests that came in so many days ago, in this order."""
    records = [encode(TOLD._replace(request_id=str(age), started_at=now - age * DAY), None) for age in ages]
    insert(connection, "t", records, 0)


def left(connection: sqlite3.Connection) -> list[str]:
    return [name for (name,) in connection.execute("SELECT request_id FROM requests ORDER BY id")]


def test_what_is_too_old_goes(connection: sqlite3.Connection) -> None:
    put(connection, [9, 8, 7.1, 6.9, 1, 0])
    assert bite(connection, Kept(days=7), NOW, *REQUESTS) == 3
    assert left(connection) == ["6.9", "1", "0"]
    assert bite(connection, Kept(days=7), NOW, *REQUESTS) == 0


def test_of_what_is_too_much_the_oldest_goes(connection: sqlite3.Connection) -> None:
    put(connection, [5, 4, 3, 2, 1])
    assert bite(connection, Kept(rows=2), NOW, *REQUESTS) == 3
    assert left(connection) == ["2", "1"]


def test_it_is_done_in_bites_until_all_is_within_the_bounds(connection: sqlite3.Connection) -> None:
    put(connection, [9.0] * (BITE * 3 + 10), time.time())
    assert bite(connection, Kept(), time.time(), *REQUESTS) == BITE
    pruner = Pruner(Kept())
    pruner.prune(connection)
    assert left(connection) == []
    put(connection, [9.0], time.time())
    pruner.prune(connection)
    assert left(connection) == ["9.0"], "it looks only now and then"


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0, 20), max_size=40), st.integers(1, 10), st.integers(1, 20))
def test_it_comes_to_an_end_within_the_bounds(ages: list[float], days: int, rows: int) -> None:
    """Also where requests came in in another order than they ended."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        for statement in [statement for step in MIGRATIONS for statement in step]:
            connection.execute(statement)
        put(connection, ages)
        kept = Kept(days, rows)
        for _ in range(len(ages) + 1):
            if not bite(connection, kept, NOW, *REQUESTS):
                break
        else:
            raise AssertionError("it never ends")
        remaining = left(connection)
        assert len(remaining) <= rows
        assert not remaining or float(remaining[0]) <= days + 1e-6


def test_a_running_ledger_forgets_by_itself_and_keeps_its_attempts(database: Path, served: Outcome) -> None:
    ledger = open_ledger(database, kept=Kept(days=1))
    ledger.record(served)
    ledger.tell(TOLD._replace(request_id="old"))
    ledger.tell(TOLD._replace(request_id="new", started_at=time.time()))
    asyncio.run(ledger.close())
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("SELECT request_id FROM requests").fetchall() == [("new",)]
        assert connection.execute("SELECT count(*) FROM attempts").fetchone() == (1,)


def test_plans_are_forgotten_too_and_one_that_is_in_use_is_told_again(connection: sqlite3.Connection) -> None:
    told: list[bytes] = []

    def append(record: bytes) -> bool:
        told.append(record)
        return True

    plans = Plans(append)
    numbers = {plans.number(PLAN, NOW + hour * 3600.0) for hour in range(0, 200)}
    assert len(numbers) == 1 and len(told) == 200
    assert plans.number(PLAN, NOW + 199 * 3600.0 + 1) in numbers and len(told) == 200
    insert(connection, "t", told, 0)
    now = NOW + 200 * 3600.0
    assert bite(connection, Kept(days=7), now, *TABLES[1]) == 200 - 7 * 24
    assert connection.execute("SELECT count(*) FROM plans").fetchone() == (7 * 24,)
