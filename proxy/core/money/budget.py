"""A budget: so much money in so much time, for all requests or for some; and when its time begins and ends."""

from __future__ import annotations

import re
from calendar import timegm
from collections.abc import Mapping, Sequence
from decimal import ROUND_CEILING, Decimal
from enum import Enum
from math import inf
from time import gmtime
from typing import NamedTuple

UNIT = 10**12
"""Amounts are whole parts of a dollar: fine enough that a token at $0.000001 a million is one of them, and exact."""
DEAREST = 1_000_000
"""US dollars; a larger budget is none."""
THRESHOLDS = (50, 80, 100)
"""Per cent of a budget: each is told of once in its time."""


class Per(Enum):
    """How long a budget holds. Hours, days and months are those of UTC."""

    REQUEST = "request"
    HOUR = "hour"
    DAY = "day"
    MONTH = "month"
    TOTAL = "total"


class OnExceeded(Enum):
    """What happens to a request for which too little is left."""

    REFUSE = "refuse"
    CHEAPER = "cheaper"
    """It goes to those targets of its route for which enough is left."""
    LOCAL = "local"
    """It goes to those targets of its route that are on this machine."""


class Scope(Enum):
    """Whose money it is."""

    ALL = "all"
    KEY = "key"
    TAG = "tag"
    ROUTE = "route"
    BACKEND = "backend"


class Budget(NamedTuple):
    """`amount` in parts of a dollar, see `UNIT`."""

    amount: int
    per: Per
    on_exceeded: OnExceeded = OnExceeded.REFUSE


class Owned(NamedTuple):
    """A budget and what it is for: there is one account of each."""

    scope: Scope
    name: str
    """Of the key, tag, route or backend; empty for all."""
    per: Per


class Terms(NamedTuple):
    """All budgets that the configuration names but for those of keys."""

    budgets: Mapping[tuple[Scope, str], tuple[Budget, ...]]
    ask: bool = True
    """A request whose cost has no bound below what is left is asked for `max_tokens`; False: a usual answer is
    reserved for it."""


NO_TERMS = Terms({})

_TEXT = r"([0-9]{1,9}(?:\.[0-9]{1,12})?) ?/ ?(request|hour|day|month|total)"
EXPECTED = "US dollars for a time, like 5/day or 0.10/request (request, hour, day, month, total)"


def budget_of(text: str, on_exceeded: OnExceeded = OnExceeded.REFUSE) -> Budget:
    """From `5/day`. Raises `ValueError`."""
    said = re.fullmatch(_TEXT, text)
    if said is None or Decimal(said[1]) > DEAREST:
        raise ValueError(f"{text!r} is no budget: expected {EXPECTED}")
    return Budget(parts(Decimal(said[1])), Per(said[2]), on_exceeded)


PATTERN = f"^{_TEXT}$"


def parts(dollars: Decimal) -> int:
    """An amount of money as whole parts of a dollar, rounded up."""
    return whole(dollars * UNIT)


def whole(number: Decimal) -> int:
    """Rounded up."""
    return int(number.to_integral_value(ROUND_CEILING))


def dollars(amount: int) -> str:
    """For people: `$5`, `$0.0315`; with as many digits as tell something."""
    whole, part = divmod(abs(amount), UNIT)
    digits = f"{part:012d}"
    shown = max(2, min(next((place for place, digit in enumerate(digits) if digit != "0"), 0) + 3, 12)) if part else 0
    fraction = digits[:shown].rstrip("0")
    text = f"{whole:,}" + (f".{fraction:0<2}" if fraction else "")
    return f"-${text}" if amount < 0 else f"${text}"


def period(per: Per, now: float) -> tuple[float, float]:
    """When the period of this moment began and when it ends, in Unix time."""
    if per is Per.HOUR:
        begins = now // 3600 * 3600
        return begins, begins + 3600
    if per is Per.DAY:
        begins = now // 86400 * 86400
        return begins, begins + 86400
    if per is Per.MONTH:
        year, month = gmtime(now)[:2]
        after = (year + 1, 1) if month == 12 else (year, month + 1)
        return float(timegm((year, month, 1, 0, 0, 0))), float(timegm((*after, 1, 0, 0, 0)))
    return -inf, inf


def strictest(budgets: Sequence[Budget]) -> dict[Per, Budget]:
    """One for each length of time: of two for the same time the smaller one counts."""
    found: dict[Per, Budget] = {}
    for budget in budgets:
        known = found.get(budget.per)
        if known is None or budget.amount < known.amount:
            found[budget.per] = budget
    return found
