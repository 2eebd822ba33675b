"""Outcomes to put on record, a place to put them, and ears for what the ledger says."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from proxy.core.outcome import Ended, Outcome
from proxy.core.price import Price, cost
from proxy.core.usage import Usage

PRICE = Price(Decimal("0.15"), Decimal("0.60"), Decimal("0.075"), origin="genai-prices", dated="2024-07-18")
USAGE = Usage(120, 45, 20)
SERVED = Outcome(
    request_id="req-1",
    attempt=1,
    route="chat",
    target="openai/gpt-4o-mini",
    backend="openai",
    ended=Ended.SERVED,
    failure=None,
    status=200,
    stream=True,
    started_at=1_790_000_000.25,
    sent=0.001,
    first_byte=0.3,
    first_content=0.31,
    last=1.5,
    usage=USAGE,
    price=PRICE,
    cost=cost(PRICE, USAGE),
    maybe_billed=False,
    key="team-a",
    model="gpt-4o-mini-2024-07-18",
    agent="scout",
    tags=("nightly", "team"),
)


class Heard:
    """Takes the ledger's events."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str, dict[str, object]]] = []

    def __call__(self, level: str, name: str, /, **fields: object) -> None:
        self.events.append((level, name, fields))

    def names(self) -> list[str]:
        return [name for _, name, _ in self.events]


@pytest.fixture(scope="session")
def served() -> Outcome:
    return SERVED


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "wayline.db"


@pytest.fixture
def rows(database: Path) -> Callable[[str], list[tuple[Any, ...]]]:
    """Some columns of every attempt on record."""

    def read(columns: str = "request_id") -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(database)) as connection:
            return connection.execute(f"SELECT {columns} FROM attempts ORDER BY id").fetchall()

    return read
