"""Why a request went where it went gets into the database as it was told, whatever was told."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from decimal import Decimal
from math import inf
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.choice.choose import Choice
from proxy.core.choice.wish import Wish
from proxy.core.outcome import Outcome
from proxy.core.plan import Plan
from proxy.core.told import Note, Told
from proxy.ledger.journal import in_memory
from proxy.ledger.prune import Kept
from proxy.ledger.row import encode as encode_attempt
from proxy.ledger.sqlite import open_ledger
from proxy.ledger.why_row import COLUMNS, MARK, MOST, decode, encode, encode_short
from tests.ledger.tellings import CHOICE, CHOSEN, STARTED, TOLD, target


def read(told: Told) -> dict[str, Any]:
    row = dict(zip(COLUMNS.split(", "), decode(encode(told)), strict=True))
    for name in ("plan", "more"):
        row[name] = None if row[name] is None else orjson.loads(row[name])
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
        "plan": {
            "targets": ["openai/gpt-4o-mini", "groq/llama"],
            "strategy": "cheapest",
            "rule": 2,
            "use": "large",
            "behind": [["groq/llama", "answers up to 4,096 < 5,000"]],
            "left_out": [
                ["xai/grok", "cooling (rate_limited)", STARTED + 12],
                ["here/smollm2", "context 8,192 < 30,000", None],
            ],
        },
        "more": {
            "asked": {"exclude": ["azure"]},
            "notes": [["limit", "key team-a", "58 of 60 requests a minute"]],
            "message": "words",
        },
    }


def test_in_short_it_is_the_plan_alone() -> None:
    """Of one whose first target served: the rest is as its attempt says."""
    assert CHOSEN.plan is not None
    short = decode(encode_short("req-1", STARTED, CHOSEN.plan, CHOICE, "large", CHOSEN.clock))
    row = dict(zip(COLUMNS.split(", "), short, strict=True))
    assert orjson.loads(row.pop("plan")) == read(CHOSEN)["plan"]
    assert {name: value for name, value in row.items() if value is not None} == {
        "request_id": "req-1",
        "started_at": STARTED,
    }


def test_where_there_is_nothing_to_say_nothing_is_said() -> None:
    row = read(TOLD._replace(plan=None, agent="", tags=()))
    assert [row[name] for name in ("plan", "more", "agent", "tags", "queued")] == [None] * 5


def test_requests_of_one_choice_have_the_same_plan_and_others_have_not() -> None:
    """It is written down once for all of them."""
    assert read(CHOSEN)["plan"] == read(CHOSEN._replace(started_at=STARTED + 5, clock=CHOSEN.clock + 5))["plan"]
    other = CHOICE._replace(strategy="score")
    assert read(CHOSEN._replace(choice=other))["plan"]["strategy"] == "score"
    for number in range(5000):
        plan = Plan((target(f"a/m{number}"),))
        assert read(TOLD._replace(plan=plan))["plan"]["targets"] == [f"a/m{number}"]


def test_a_route_of_a_thousand_targets_makes_no_long_row() -> None:
    many = tuple(target(f"a/m{number}") for number in range(1000))
    out = tuple(one._replace(target=many[0]) for one in CHOICE.left_out * 1000)
    told = CHOSEN._replace(plan=(plan := Plan(many)), choice=CHOICE._replace(plan=plan, left_out=out))
    found = read(told)["plan"]
    assert (len(found["targets"]), found["more"]) == (MOST, 980)
    assert (len(found["left_out"]), found["more_left_out"]) == (MOST, 980)
    assert len(encode(told)) < 4096


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
    assert b"never told" not in encode(TOLD._replace(wish=wish))
    many = Wish(exclude=frozenset(str(number) for number in range(100)))
    assert len(read(TOLD._replace(wish=many))["more"]["asked"]["exclude"]) == 11


texts = st.text(max_size=30) | st.just("\ud800") | st.just("x" * 10_000)


@settings(max_examples=60, deadline=None)
@given(texts, texts, texts, st.floats(0, 1e6) | st.just(inf))
def test_whatever_is_told_makes_a_row(trouble: str, words: str, message: str, until: float) -> None:
    left_out = tuple(one._replace(until=until) for one in CHOICE.left_out)
    choice = Choice(Plan(()), left_out, trouble=trouble)
    told = CHOSEN._replace(choice=choice, plan=choice.plan, notes=(Note("limit", "", words),) * 100, message=message)
    data = encode(told)
    assert len(data) < 32 * 1024
    values = decode(data)
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute(f"SELECT {', '.join('?' * len(values))}", values)


def test_the_two_kinds_of_records_are_never_taken_for_each_other(served: Outcome) -> None:
    """Also where a client calls its request `w`."""
    assert not encode_attempt(served._replace(request_id="w")).startswith(MARK)
    with pytest.raises(ValueError, match="not a record"):
        decode(MARK + orjson.dumps([1, 2]))
    with pytest.raises(ValueError, match="unexpected end"):
        decode(MARK + b"{")


def test_both_kinds_reach_the_database_in_one_go(database: Path, served: Outcome, rows: Callable[..., Any]) -> None:
    ledger = open_ledger(database)
    for number in range(300):
        ledger.record(served._replace(request_id=f"r{number}"))
        ledger.tell(TOLD._replace(request_id=f"r{number}", started_at=time.time()))
    assert ledger.stats.recorded == 600
    asyncio.run(ledger.close())
    with closing(sqlite3.connect(database)) as connection:
        told = connection.execute("SELECT request_id FROM requests ORDER BY id").fetchall()
    assert rows("request_id") == told == [(f"r{number}",) for number in range(300)]
    assert ledger.stats.rows == 600


def test_nothing_is_kept_where_the_configuration_says_so(database: Path) -> None:
    ledger = open_ledger(database, kept=Kept(rows=0))
    ledger.tell(TOLD)
    asyncio.run(ledger.close())
    assert ledger.stats.recorded == 0


def test_a_record_fits_the_journal_of_a_busy_server() -> None:
    """The ring takes a second of a thousand requests a second many times over."""
    journal = in_memory()
    count = 0
    while journal.append(encode(CHOSEN)):
        count += 1
    journal.close(remove=True)
    assert count > 30_000
