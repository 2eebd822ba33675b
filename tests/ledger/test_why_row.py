"""What is told of a request gets into the database as it was told, whatever was told."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.choice.choose import Choice
from proxy.core.choice.wish import Wish
from proxy.core.outcome import Outcome
from proxy.core.told import Note, Told
from proxy.ledger import plans
from proxy.ledger.journal import in_memory
from proxy.ledger.prune import Kept
from proxy.ledger.row import encode as encode_attempt
from proxy.ledger.sqlite import open_ledger
from proxy.ledger.why_row import COLUMNS, MARK, decode, encode
from tests.ledger.tellings import CHOICE, CHOSEN, PLAN, STARTED, TOLD


def read(told: Told) -> dict[str, Any]:
    row = dict(zip(COLUMNS.split(", "), decode(encode(told, 7)), strict=True))
    row["more"] = None if row["more"] is None else orjson.loads(row["more"])
    return row


def test_all_that_is_told_is_on_record() -> None:
    notes = (Note("limit", "key team-a", "58 of 60 requests a minute"),)
    assert read(CHOSEN._replace(queued=0.25, notes=notes, message="words")) == {
        "request_id": "req-1",
        "started_at": STARTED,
        "route": "chat",
        "endpoint": "chat",
        "key": "team-a",
        "agent": "scout",
        "tags": '["nightly","team"]',
        "stream": True,
        "ended": "served",
        "status": 200,
        "failure": None,
        "duration": 1.5,
        "queued": 0.25,
        "attempts": 1,
        "plan": 7,
        "more": {
            "asked": {"exclude": ["azure"]},
            "notes": [["limit", "key team-a", "58 of 60 requests a minute"]],
            "message": "words",
        },
    }


def test_where_there_is_nothing_to_say_nothing_is_said() -> None:
    row = read(TOLD._replace(agent="", tags=()))
    assert [row[name] for name in ("more", "agent", "tags", "queued")] == [None] * 4


def test_words_of_the_caller_stand_as_it_said_them() -> None:
    wish = Wish(
        max_cost=Decimal("0.01"),
        max_latency=1.5,
        only=frozenset("ba"),
        free=True,
        agent="scout",
        headers=((b"x-secret", b"never told"),),
    )
    row = read(TOLD._replace(wish=wish))
    assert row["more"] == {"asked": {"max_cost": "0.01", "max_latency_ms": 1500.0, "only": ["a", "b"], "free": True}}
    assert b"never told" not in encode(TOLD._replace(wish=wish), None)
    many = Wish(exclude=frozenset(str(number) for number in range(100)))
    assert len(read(TOLD._replace(wish=many))["more"]["asked"]["exclude"]) == 11


texts = st.text(max_size=30) | st.just("\ud800") | st.just("x" * 10_000)


@settings(max_examples=60, deadline=None)
@given(texts, texts)
def test_whatever_is_told_makes_a_row(words: str, message: str) -> None:
    data = encode(CHOSEN._replace(notes=(Note("limit", "", words),) * 100, message=message), None)
    assert len(data) < 32 * 1024
    values = decode(data)
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute(f"SELECT {', '.join('?' * len(values))}", values)


def test_the_kinds_of_records_are_never_taken_for_each_other(served: Outcome) -> None:
    """Also where a client calls its request `w`."""
    assert not encode_attempt(served._replace(request_id="w")).startswith((MARK, plans.MARK))
    with pytest.raises(ValueError, match="not a record"):
        decode(MARK + orjson.dumps([1, 2]))
    with pytest.raises(ValueError, match="unexpected end"):
        decode(MARK + b"{")
    with pytest.raises(ValueError, match="not a record"):
        plans.decode(plans.MARK + b"[]")


def test_all_kinds_reach_the_database_in_one_go(database: Path, served: Outcome) -> None:
    ledger = open_ledger(database)
    ways: list[Choice | None] = [None, CHOICE]
    for number in range(300):
        ledger.record(served._replace(request_id=f"r{number}", planned=ways[number % 2], started_at=time.time()))
        ledger.tell(TOLD._replace(request_id=f"r{number}", started_at=time.time()))
    assert ledger.stats.recorded == 602
    asyncio.run(ledger.close())
    assert ledger.stats.rows == 602
    with closing(sqlite3.connect(database)) as connection:
        one, other = connection.execute("SELECT number, plan FROM plans ORDER BY id").fetchall()
        assert [orjson.loads(text).get("strategy") for _, text in (one, other)] == [None, "cheapest"]
        attempts = connection.execute("SELECT request_id, plan FROM attempts ORDER BY id").fetchall()
        assert attempts == [(f"r{number}", other[0] if number % 2 else 0) for number in range(300)]
        requests = connection.execute("SELECT request_id, plan FROM requests ORDER BY id").fetchall()
        assert requests == [(f"r{number}", one[0]) for number in range(300)]


def test_nothing_is_kept_where_the_configuration_says_so(database: Path, served: Outcome) -> None:
    """And nothing is claimed, then."""
    ledger = open_ledger(database, kept=Kept(rows=0))
    ledger.tell(TOLD)
    ledger.record(served._replace(planned=CHOICE))
    ledger.record(served)
    asyncio.run(ledger.close())
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("SELECT plan FROM attempts ORDER BY id").fetchall() == [(None,), (0,)]
        assert connection.execute("SELECT count(*) FROM requests, plans").fetchone() == (0,)


def test_a_record_fits_the_journal_of_a_busy_server() -> None:
    """The ring takes a second of a thousand requests a second many times over."""
    journal = in_memory()
    count = 0
    while journal.append(encode(CHOSEN, 2**53)):
        count += 1
    journal.close(remove=True)
    assert count > 30_000
    assert PLAN.targets
