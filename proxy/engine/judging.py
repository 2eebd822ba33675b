"""A judge: a model of a route that rates answers beside the traffic. What it is asked is on record as `judge`."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Protocol

import orjson

from proxy.core.chat import ChatRequest
from proxy.core.quality.answers import of_whole
from proxy.core.quality.judging import question, verdict
from proxy.engine.exchange import Exchange
from proxy.engine.inward import Inward
from proxy.inbound.chunks import completion_in

if TYPE_CHECKING:
    from proxy.engine.assessing import Assessed
    from proxy.engine.engine import Engine

WAITING = 16
"""Answers that wait for the judge; beyond it they are not rated by it."""
DAY = 86400


class Account(Protocol):
    """What judges have spent."""

    def spent(self, route: str, day: int) -> Decimal:
        """US dollars, on that day since 1970 (UTC)."""
        ...

    def spend(self, route: str, day: int, amount: Decimal) -> None:
        """So much more."""


class Judge:
    """One for each process: it has one question under way at a time, so that a budget is passed by one at most."""

    def __init__(self, engine: Engine, account: Account, say: Callable[..., None]) -> None:
        self._engine = engine
        self._account = account
        self._say = say
        self._waiting: deque[Assessed] = deque()
        self._busy = False
        self._unpriced: dict[str, int] = {}
        """Judges whose cost nobody knows, though they have a budget: not asked again on that day."""

    def rate(self, answer: Assessed) -> None:
        """Have this answer rated, if there is time and money for it."""
        if len(self._waiting) < WAITING:
            self._waiting.append(answer)
            self._next()

    def _next(self) -> None:
        while self._waiting and not self._busy:
            self._ask(self._waiting.popleft())

    def _may(self, answer: Assessed, day: int) -> bool:
        judge, budget = answer.quality.judge, answer.quality.judge_budget
        if budget is None:
            return True
        return self._unpriced.get(judge) != day and self._account.spent(judge, day) < budget

    def _ask(self, answer: Assessed) -> None:
        engine, judge = self._engine, answer.quality.judge
        day = int(time.time()) // DAY
        road = engine.attention.find(judge)
        if road is None or not self._may(answer, day):
            return
        text = "\n\n".join(one.text for one in answer.answers)
        body = question(answer.body, text, judge)
        request = ChatRequest(orjson.dumps(body), body, judge, False, False)

        def done(told: bytes | None, cost: Decimal | None) -> None:
            self._busy = False
            if told is not None:
                self._told(answer, told, cost, day)
            self._next()

        self._busy = True
        # Not by `engine.exchange`: what a judge says is neither screened nor judged.
        exchange = Exchange(engine, road, request, Inward(done), f"{answer.request_id}-judge", "")
        exchange.endpoint = "judge"
        exchange.start()

    def _told(self, answer: Assessed, told: bytes, cost: Decimal | None, day: int) -> None:
        judge = answer.quality.judge
        if cost is not None:
            self._account.spend(judge, day, cost)
        elif answer.quality.judge_budget is not None and self._unpriced.get(judge) != day:
            self._unpriced[judge] = day
            self._say("warning", "judge.unpriced", route=judge)
        said = of_whole(completion_in(told))
        parts = verdict(said[0].text) if said else None
        if parts is None:
            self._say("info", "judge.unclear", route=judge)
        else:
            self._engine.assessor.rate(answer.target, parts.value, answer.quality.min_quality)
