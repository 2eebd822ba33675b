"""Budgets that come into force while a server runs count what was spent before."""

from __future__ import annotations

import asyncio
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from proxy.app import spending
from proxy.app.callers import Callers
from proxy.app.spending import Spending, past_of
from proxy.config.load import load
from proxy.config.values import Config
from proxy.core.money.budget import UNIT
from proxy.core.outcome import Ended, Outcome
from proxy.engine.fares import Passed
from proxy.ledger.sqlite import open_ledger
from tests.engine.stage import Stage

CONFIG = """
ledger: {{path: {path}}}
backends: {{a: {{type: openai, base_url: "http://a.test/v1", price: {{input: 1, output: 2}}}}}}
routes: {{chat: {{targets: [a/m]}}}}
{more}
"""
COST = Decimal("0.002")


def config(path: Path, more: str = "") -> Config:
    found = load(CONFIG.format(path=path, more=more), {}, "routes.yaml", str)
    assert isinstance(found, Config), str(found)
    return found


def silent(level: str, name: str, /, **fields: object) -> None: ...


async def spent_already(path: Path) -> None:
    """One attempt is on record, of this moment."""
    usual: dict[str, Any] = {"failure": None, "status": 200, "stream": False, "first_byte": None, "first_content": None}
    usual |= {"usage": None, "price": None, "maybe_billed": False, "key": "", "model": "", "last": 0.0}
    one = Outcome("r", 1, "chat", "a/m", "a", Ended.SERVED, started_at=time.time(), sent=0.0, cost=COST, **usual)
    ledger = open_ledger(path)
    ledger.record(one)
    await ledger.close()


def begun(path: Path, more: str) -> tuple[Stage, Spending]:
    stage, found = Stage("a"), config(path, more)
    callers = Callers(stage.engine, None)
    return stage, Spending(found, stage.engine, callers, silent, past_of(found, None))


def test_nothing_is_asked_of_requests_where_there_is_no_budget(tmp_path: Path) -> None:
    async def story() -> None:
        stage, found = begun(tmp_path / "w.db", "")
        assert stage.engine.admission is None
        found.adopt(config(tmp_path / "w.db", "budgets: {all: [1/day]}"))
        assert stage.engine.admission is not None

    asyncio.run(story())


def test_what_is_on_record_counts_from_the_start(tmp_path: Path) -> None:
    async def story() -> None:
        path = tmp_path / "w.db"
        await spent_already(path)
        stage, found = begun(path, "budgets: {all: [0.003/total]}")
        assert stage.ask(stream=False, max_tokens=1000).client.ends == ["refused"]
        assert not found.purses.unread

    asyncio.run(story())


def test_a_budget_that_comes_later_counts_what_was_spent_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        path = tmp_path / "w.db"
        await spent_already(path)
        stage, found = begun(path, "")
        told: list[Passed] = []
        found.on_passed = told.append
        found.adopt(config(path, "budgets: {all: [0.005/total]}"))
        stage.ask(stream=False, max_tokens=1000)
        (before,) = found.purses.standings()
        assert (before.spent, before.reserved) == (0, UNIT // 500)
        await found.catch_up()
        assert found.purses.unread, "its rows may still be on their way"
        monkeypatch.setattr(spending, "LATE", -1.0)
        await found.catch_up()
        (after,) = found.purses.standings()
        assert (after.spent, after.reserved) == (UNIT // 500, UNIT // 500)
        assert not found.purses.unread
        assert stage.ask(stream=False, max_tokens=1000).client.ends == ["refused"]

    asyncio.run(story())
