"""`GET /admin/limits`: how limits, the queue and budgets stand."""

from __future__ import annotations

import time
from decimal import Decimal
from math import inf
from typing import TYPE_CHECKING, Annotated, TypedDict

from proxy.core.limiting.meter import Meter
from proxy.core.limiting.values import WEIGHTS
from proxy.core.money.account import Standing
from proxy.core.money.budget import UNIT
from proxy.engine.limiter import Limiter
from proxy.engine.purses import Purses
from proxy.ops.admin_api import Action, Ask

if TYPE_CHECKING:
    from proxy.app.process import Process


class WindowState(TypedDict):
    """One limit."""

    limit: Annotated[str, "In words."]
    unit: str
    amount: int
    per_s: float
    left: float
    reset_s: Annotated[float | None, "Seconds until all of it is there again."]


class ScopeState(TypedDict):
    """What a limit applies to: all, a key or a route."""

    scope: str
    in_flight: int
    concurrency: int | None
    waiting: Annotated[int, "In the queue because of it."]
    windows: list[WindowState]


class MeterState(TypedDict):
    """A backend or a target with limits."""

    name: str
    windows: list[WindowState]


class BudgetStanding(TypedDict):
    """One budget, in the period under way. Amounts in US dollars."""

    scope: str
    name: str
    per: str
    amount: str
    spent: str
    reserved: Annotated[str, "Held for attempts that are under way."]
    left: str
    on_exceeded: str
    ends: Annotated[float | None, "When the period does (Unix time)."]


class LimitsState(TypedDict):
    """What was met since this worker's start. Windows and budgets are counted over all workers; what is in flight
    or waits is this one's own."""

    scopes: list[ScopeState]
    upstream: list[MeterState]
    waiting: Annotated[dict[str, int], "Requests in the queue, by priority."]
    budgets: list[BudgetStanding]


class LimitsLook:
    """Over one process."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def actions(self) -> list[Action]:
        """For the table."""
        words = "How limits, the queue and budgets stand."
        return [Action("GET", "/limits", "limits", words, self.limits, LimitsState)]

    def limits(self, ask: Ask) -> LimitsState:
        admission = self._process.engine.admission
        limiter = None if admission is None else admission.limiter
        purses = None if admission is None else admission.purses
        told: LimitsState = {"scopes": [], "upstream": [], "waiting": dict.fromkeys(WEIGHTS, 0), "budgets": []}
        if isinstance(limiter, Limiter):
            _put_limits(told, limiter, time.monotonic())
        if isinstance(purses, Purses):
            told["budgets"] = [_budget(one) for one in purses.standings()]
        return told


def amount_text(amount: int) -> str:
    """US dollars as decimal text, exactly."""
    text = format(Decimal(amount) / UNIT, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _put_limits(told: LimitsState, limiter: Limiter, now: float) -> None:
    for scope in limiter.scopes():
        told["scopes"].append(
            {
                "scope": scope.words,
                "in_flight": scope.busy,
                "concurrency": scope.limit,
                "waiting": scope.waiting,
                "windows": [] if scope.meter is None else _windows(scope.meter, now),
            }
        )
    told["upstream"] = [{"name": name, "windows": _windows(meter, now)} for name, meter in limiter.upstream()]
    told["waiting"] = {priority: limiter.waiting.depth(priority) for priority in WEIGHTS}


def _windows(meter: Meter, now: float) -> list[WindowState]:
    return [
        {
            "limit": window.rate.words(),
            "unit": window.rate.unit,
            "amount": window.rate.amount,
            "per_s": window.rate.per,
            "left": round(window.left(now), 3),
            "reset_s": _seconds(window.reset(now)),
        }
        for window in meter.windows
    ]


def _seconds(value: float) -> float | None:
    return None if value == inf else round(value, 3)


def _budget(one: Standing) -> BudgetStanding:
    return {
        "scope": one.owned.scope.value,
        "name": one.owned.name,
        "per": one.owned.per.value,
        "amount": amount_text(one.budget.amount),
        "spent": amount_text(one.spent),
        "reserved": amount_text(one.reserved),
        "left": amount_text(one.room),
        "on_exceeded": one.budget.on_exceeded.value,
        "ends": None if one.ends == inf else one.ends,
    }
