"""The quality of answers in a process: evaluations, the judge and callers' ratings, and what is counted of screens."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import TYPE_CHECKING

from proxy.config.values import Config
from proxy.core.quality.policy import Feedback, Quality
from proxy.engine.assessing import Assessed, Note
from proxy.engine.engine import Engine
from proxy.engine.lane import Road
from proxy.ledger.rated import Answered, answered
from proxy.ledger.schema import LedgerError
from proxy.ops.feedback import Busy, Off, Opinion
from proxy.ops.metrics_gauges import Gauge
from proxy.state.state import State

if TYPE_CHECKING:
    from proxy.engine.judging import Judge

LOOKING = 16
"""Ratings that are looked up at once or wait for it; each looks through the ledger."""
PRUNE_EVERY = 100
_MILLION = 1_000_000


class Rating:
    """One for each process."""

    def __init__(
        self,
        config: Callable[[], Config],
        engine: Engine,
        find: Callable[[str], Road | None],
        note: Note,
        say: Callable[..., None],
        state: State | None,
    ) -> None:
        """`config`, `find`: as in force now."""
        self._config = config
        self._engine = engine
        self._state = state
        self._say = say
        self._one = asyncio.Lock()
        self._looking = 0
        self._ratings = 0
        self._judge: Judge | None = None
        self._spent: dict[tuple[str, int], Decimal] = {}
        engine.attention.find = find
        engine.assessor.note = note
        engine.assessor.on_assessed = self._assessed
        engine.assessor.on_value = engine.choices.assessed

    def _assessed(self, answer: Assessed) -> None:
        if self._judge is None:
            from proxy.engine.judging import Judge  # most processes have none

            self._judge = Judge(self._engine, self, self._say)
        self._judge.rate(answer)

    # What judges spend (`engine.judging.Account`) ----------------------------------------------------------------

    def spent(self, route: str, day: int) -> Decimal:
        """US dollars: of all workers, as far as it is written; at least what we know of ourselves."""
        ours = self._spent.get((route, day), Decimal(0))
        if self._state is None:
            return ours
        rows = self._state.rows("SELECT spent FROM judged WHERE day = ? AND route = ?", day, route)
        return max(ours, Decimal(rows[0][0]) / _MILLION) if rows else ours

    def spend(self, route: str, day: int, amount: Decimal) -> None:
        """So much more."""
        self._spent = {known: spent for known, spent in self._spent.items() if known[1] == day}
        self._spent[route, day] = self._spent.get((route, day), Decimal(0)) + amount
        if self._state is None:
            return
        row = (day, route, int(amount * _MILLION) + 1)

        def write(db: sqlite3.Connection) -> None:
            db.execute("DELETE FROM judged WHERE day < ?", (day - 1,))
            db.execute(
                "INSERT INTO judged VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET spent = spent + excluded.spent", row
            )

        self._state.write(write)

    # What callers say --------------------------------------------------------------------------------------------

    async def take(self, caller: str, opinion: Opinion) -> str | None:
        """A rating by that caller. A second one of the same request takes the place of the first on record, and counts
        no further. `None`: no such request. Raises `Busy`, and `Off` where there is no place for ratings."""
        config = self._config()
        feedback, state = config.feedback, self._state
        if feedback is None or state is None or config.ledger is None:
            raise Off
        if self._looking >= LOOKING:
            raise Busy
        self._looking += 1
        try:
            async with self._one:
                since = time.time() - feedback.within
                found = await asyncio.to_thread(answered, config.ledger, opinion.request_id, caller, since)
                return None if found is None else await self._keep(state, feedback, caller, opinion, found)
        except LedgerError as error:
            self._say("error", "feedback.unreadable", error=str(error))
            raise Busy from error
        finally:
            self._looking -= 1

    async def _keep(self, state: State, feedback: Feedback, caller: str, opinion: Opinion, found: Answered) -> str:
        query = "SELECT 1 FROM feedback WHERE request_id = ? AND key = ?"
        known = state.rows(query, opinion.request_id, caller)
        comment = opinion.comment if feedback.comments else None
        now = time.time()
        row = (opinion.request_id, caller, found.route, found.target, opinion.score, comment or None, now)
        oldest = now - feedback.days * 86400
        self._ratings += 1
        prune = self._ratings % PRUNE_EVERY == 1

        def write(db: sqlite3.Connection) -> None:
            db.execute("INSERT OR REPLACE INTO feedback VALUES (?, ?, ?, ?, ?, ?, ?)", row)
            if prune:
                db.execute("DELETE FROM feedback WHERE at < ?", (oldest,))

        state.write(write)
        await state.written()
        if not known:
            route = self._config().routes.get(found.route)
            quality = route.quality if route is not None else None
            self._engine.assessor.rate(found.target, opinion.score, (quality or Quality()).min_quality)
        return found.target

    # Metrics -----------------------------------------------------------------------------------------------------

    def readings(self) -> Iterator[Gauge]:
        """Of this process."""
        assessor = self._engine.assessor
        for target, stands in sorted(assessor.standings.items()):
            help_ = "What a target's answers have been worth, from 0 to 1."
            yield Gauge("wayline_quality", help_, stands.value, (("target", target),), "min")
        for target, stands in sorted(assessor.standings.items()):
            help_ = "Answers that were evaluated, judged or rated."
            yield Gauge("wayline_rated_answers", help_, float(stands.answers), (("target", target),), total=True)
        for found, count in sorted(self._engine.attention.found.items()):
            names = ("route", "side", "rule", "category", "action")
            help_ = "What screens found in requests (input) and answers (output)."
            yield Gauge("wayline_screened", help_, float(count), tuple(zip(names, found, strict=True)), total=True)
