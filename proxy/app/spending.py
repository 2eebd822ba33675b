"""Budgets in a process: which hold now, what the ledger says was spent of them, and who is told."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from proxy.app.callers import Callers
from proxy.config.values import Config
from proxy.core.key import Key
from proxy.core.money.budget import Owned, Per, Scope, dollars
from proxy.engine.admission import Admission
from proxy.engine.engine import Engine
from proxy.engine.fares import Passed
from proxy.engine.purses import Purses
from proxy.engine.till import Till
from proxy.ledger.schema import LedgerError
from proxy.ledger.spent import spent, spent_of
from proxy.state.key_table import KeyTable


class Say(Protocol):
    """Writes an event line to the log."""

    def __call__(self, level: str, name: str, /, **fields: object) -> None: ...


Past = tuple[Mapping[Owned, int], float]
"""What was spent of each budget that held at a moment (Unix time)."""


def past_of(config: Config, table: KeyTable | None) -> Past | None:
    """Read from the ledger before it is opened, and what killed processes left of it with it; `None`: there is no
    budget. Raises `LedgerError`."""
    keys: dict[str, Key] = {} if table is None else dict(table.by_name)
    keys |= {one.name: one.key for one in config.keys}
    named = {**config.budgets.budgets, **{(Scope.KEY, key.name): key.budgets for key in keys.values() if key.budgets}}
    if not named or config.ledger is None:
        return None
    now = time.time()
    try:
        found = spent(config.ledger, _PERS, now)
    except (sqlite3.Error, OSError) as error:
        raise LedgerError(f"The ledger {config.ledger} cannot be read: {error}.") from error
    held = [Owned(*whose, budget.per) for whose, budgets in named.items() for budget in budgets]
    return {owned: found.get(owned, 0) for owned in held}, now


class Spending:
    """Brings budgets into force as soon as there is one, and keeps them so."""

    def __init__(
        self,
        config: Config,
        engine: Engine,
        callers: Callers,
        say: Say,
        past: Past | None = None,
        shared: Path | None = None,
    ) -> None:
        """`shared`: a directory that all workers of a server share. Raises `OSError` where it cannot be written."""
        self._till = None if shared is None else Till(shared)
        self.purses = Purses(lambda name: callers.of(name).budgets, self._passed, self._till)
        self.on_passed: Callable[[Passed], None] = lambda _: None
        """Told when 50, 80 or 100 per cent of a budget are spent."""
        self._engine = engine
        self._callers = callers
        self._say = say
        self._ledger = config.ledger
        callers.on_change.append(self._changed)
        self._config = config
        if past is not None:
            self.purses.were_spent(*past)
        self.adopt(config)

    def adopt(self, config: Config) -> None:
        """The configuration that is in force from now on."""
        self._config = config
        self.purses.adopt(config.budgets)
        self._put()

    def close(self) -> None:
        """Other workers may have what is reserved here."""
        if self._till is not None:
            self._till.close()

    def _changed(self) -> None:
        self.purses.changed()
        self._put()

    def _put(self) -> None:
        """What is not configured costs nothing; what once was stays, so that what is held is settled."""
        if not self._wanted():
            return
        admission = self._engine.admission
        if admission is None:
            self._engine.admission = Admission(purses=self.purses)
        else:
            admission.purses = self.purses

    def _wanted(self) -> bool:
        return bool(self._config.budgets.budgets) or any(key.budgets for key in self._callers.all())

    async def catch_up(self) -> None:
        """Look up what was spent of budgets that came into force while we serve, and free what killed workers had
        reserved. To be called about once a second."""
        if self._till is not None and self._engine.admission is not None:
            self._till.drop_dead()
        late = time.time() - LATE
        for owned, at in [(owned, at) for owned, at in self.purses.unread.items() if at < late]:
            amount = 0
            if self._ledger is not None:
                try:
                    amount = await asyncio.to_thread(spent_of, self._ledger, owned, at)
                except (sqlite3.Error, OSError, LedgerError) as error:
                    self._say("error", "budget.unread", budget=name_of(owned), error=str(error))
                    return
            self.purses.was_spent(owned, amount, at)

    def _passed(self, passed: Passed) -> None:
        stands, percent = passed
        level = "warning" if percent >= 100 else "info"
        self._say(
            level,
            "budget.passed",
            budget=name_of(stands.owned),
            percent=percent,
            spent=dollars(stands.spent),
            amount=dollars(stands.budget.amount),
            per=stands.owned.per.value,
        )
        self.on_passed(passed)


LATE = 1.0
"""Seconds after which an attempt's row is in the ledger's database."""
_PERS = (Per.HOUR, Per.DAY, Per.MONTH, Per.TOTAL)


def name_of(owned: Owned) -> str:
    """For log and alerts: `key alice`, `all`."""
    return owned.scope.value if owned.scope is Scope.ALL else f"{owned.scope.value} {owned.name}"
