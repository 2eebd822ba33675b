"""What came of the requests: the record and the simulation go through the same sums."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Context, Decimal
from math import inf
from typing import NamedTuple

from proxy.core.outcome import Ended, How
from proxy.simulate.record import Asking

_EXACT = Context(prec=80)
"""Enough digits that a sum of dollars is never rounded."""


class Spread(NamedTuple):
    """Seconds; `None`: there was none."""

    p50: float | None
    p95: float | None


@dataclass(slots=True)
class Of:
    """One target."""

    answered: int = 0
    """Requests whose answer it gave (the last part of, where several did)."""
    attempts: int = 0
    failed: int = 0
    """Attempts that failed or were cut."""
    cost: Decimal = Decimal(0)
    unknown: int = 0
    """Attempts that cost something, and nobody knows what."""
    firsts: list[float] = field(default_factory=list)
    """Seconds from its sending to the first content of those that it served."""
    totals: list[float] = field(default_factory=list)

    @property
    def first(self) -> Spread:
        return spread(self.firsts)

    @property
    def total(self) -> Spread:
        return spread(self.totals)


@dataclass(slots=True)
class Tally:
    """All of them."""

    requests: int = 0
    served: int = 0
    lost: int = 0
    """Neither answered nor left by their clients, nor refused for want of money."""
    refused: int = 0
    """Of those lost: before anything was sent, by limits, or since nobody was left to be asked."""
    unpaid: int = 0
    """Refused for want of money: neither served nor lost."""
    left: int = 0
    failovers: int = 0
    """Served, but not by the target that was asked first."""
    by_target: dict[str, Of] = field(default_factory=dict)
    firsts: list[float] = field(default_factory=list)
    """Seconds from the request's coming in, of those served."""
    totals: list[float] = field(default_factory=list)

    def attempt(
        self,
        target: str,
        ended: Ended,
        cost: Decimal | None,
        first: float | None,
        took: float,
        *,
        paid: bool,
    ) -> None:
        """`first`, `took`: seconds from its sending; `paid`: it used something, or may have."""
        of = self.by_target.get(target)
        if of is None:
            of = self.by_target[target] = Of()
        of.attempts += 1
        if ended is Ended.SERVED:
            of.totals.append(took)
            of.firsts.append(took if first is None else first)
        elif ended is not Ended.CANCELLED:
            of.failed += 1
        if cost is not None:
            of.cost = _EXACT.add(of.cost, cost)
        elif paid:
            of.unknown += 1

    def answered(self, target: str, first_tried: str, first: float, total: float) -> None:
        """A request was served. `first`, `total`: seconds from its coming in."""
        self.requests += 1
        self.served += 1
        self.failovers += target != first_tried
        self.by_target[target].answered += 1
        self.firsts.append(first)
        self.totals.append(total)

    def unanswered(self, *, left: bool, refused: bool = False, unpaid: bool = False) -> None:
        """It was not: its client left, or a budget did not allow it, or it is lost."""
        self.requests += 1
        if left:
            self.left += 1
        elif unpaid:
            self.unpaid += 1
        else:
            self.lost += 1
            self.refused += refused

    @property
    def attempts(self) -> int:
        return sum(of.attempts for of in self.by_target.values())

    @property
    def cost(self) -> Decimal:
        """US dollars, as far as they are known."""
        total = Decimal(0)
        for of in self.by_target.values():
            total = _EXACT.add(total, of.cost)
        return total

    @property
    def unknown(self) -> int:
        return sum(of.unknown for of in self.by_target.values())

    def share(self, target: str) -> float:
        """Of the answers, between 0 and 1, that this one gave."""
        of = self.by_target.get(target)
        return of.answered / self.served if of is not None and self.served else 0.0

    @property
    def first(self) -> Spread:
        return spread(self.firsts)

    @property
    def total(self) -> Spread:
        return spread(self.totals)


def recorded(requests: Iterable[Asking]) -> Tally:
    """Of what is on record."""
    tally = Tally()
    for request in requests:
        content = served = None
        for one in request.tried:
            paid = one.usage is not None or one.ended is not Ended.FAILED
            tally.attempt(one.target, one.ended, one.cost, one.first, one.took, paid=paid)
            if one.first is not None and one.ended in (Ended.SERVED, Ended.CUT) and content is None:
                content = one.at + one.first - request.at
            if one.ended is Ended.SERVED and one.how is not How.SPARE:
                served = one
        if served is None:
            tally.unanswered(left=request.leaves < inf, refused=not request.tried, unpaid=request.unpaid)
            continue
        total = served.at + served.took - request.at
        tally.answered(served.target, request.tried[0].target, total if content is None else content, total)
    return tally


def spread(values: list[float]) -> Spread:
    """The values themselves: of n the one at place ⌈n·p⌉."""
    if not values:
        return Spread(None, None)
    values = sorted(values)
    return Spread(_at(values, 50), _at(values, 95))


def _at(values: list[float], percent: int) -> float:
    return values[max(-(-len(values) * percent // 100) - 1, 0)]
