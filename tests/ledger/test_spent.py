"""What the ledger says was spent, as budgets ask: by whose money it was, in the period of a moment."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from proxy.core.money.budget import UNIT, Owned, Per, Scope
from proxy.core.outcome import Outcome
from proxy.ledger.spent import spent, spent_of
from proxy.ledger.sqlite import open_ledger

ALL = (Per.HOUR, Per.DAY, Per.MONTH, Per.TOTAL)


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


NOON = at("2026-11-21T12:30")


@pytest.fixture
def ledger(database: Path, served: Outcome) -> Path:
    """One dollar in each of some moments."""
    one = served._replace(cost=Decimal("1.000000000001"), started_at=NOON, sent=0.0)
    outcomes = [
        one,
        one._replace(started_at=at("2026-11-21T11:59:59"), sent=2.0, key="team-b", tags=()),
        one._replace(started_at=at("2026-11-21T00:00"), backend="other", tags=("night",)),
        one._replace(started_at=at("2026-11-20T23:59:59"), sent=0.5, route="embed"),
        one._replace(started_at=at("2026-10-31T23:00"), tags=("team",)),
        one._replace(cost=None),
    ]

    async def write() -> None:
        opened = open_ledger(database)
        for outcome in outcomes:
            opened.record(outcome)
        await opened.close()

    asyncio.run(write())
    return database


def dollars(found: dict[Owned, int], scope: Scope, name: str = "") -> list[int]:
    return [found.get(Owned(scope, name, per), 0) // UNIT for per in ALL]


def test_each_period_has_what_was_sent_in_it(ledger: Path) -> None:
    found = dict(spent(ledger, ALL, NOON + 60))
    assert dollars(found, Scope.ALL) == [2, 3, 4, 5], "one came in before noon, and was sent after it"
    assert found[Owned(Scope.ALL, "", Per.TOTAL)] == 5 * UNIT + 5, "to the last part of a dollar"


def test_it_counts_for_each_whose_it_was(ledger: Path) -> None:
    found = dict(spent(ledger, ALL, NOON + 60))
    assert dollars(found, Scope.KEY, "team-a") == [1, 2, 3, 4]
    assert dollars(found, Scope.KEY, "team-b") == [1, 1, 1, 1]
    assert dollars(found, Scope.ROUTE, "embed") == [0, 0, 1, 1]
    assert dollars(found, Scope.BACKEND, "other") == [0, 1, 1, 1]
    assert dollars(found, Scope.TAG, "team") == [1, 1, 2, 3]
    assert dollars(found, Scope.TAG, "night") == [0, 1, 1, 1]


def test_one_budget_by_itself_is_the_same(ledger: Path) -> None:
    found = spent(ledger, ALL, NOON + 60)
    assert found and all(spent_of(ledger, owned, NOON + 60) == amount for owned, amount in found.items())
    assert spent_of(ledger, Owned(Scope.KEY, "nobody", Per.DAY), NOON + 60) == 0


def test_what_was_sent_later_is_not_in_it(ledger: Path) -> None:
    assert spent_of(ledger, Owned(Scope.ALL, "", Per.DAY), NOON) == 2 * UNIT + 2


def test_where_there_is_no_ledger_yet_nothing_was_spent(tmp_path: Path) -> None:
    assert spent(tmp_path / "none.db", ALL, NOON) == {}
    assert not (tmp_path / "none.db").exists()
