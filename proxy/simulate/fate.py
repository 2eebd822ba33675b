"""What an attempt meets in the simulation: what it met on record, else what its target did around that time."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from random import Random
from typing import NamedTuple

from proxy.core.failure import FailureKind
from proxy.core.outcome import Ended, How
from proxy.core.price import cost
from proxy.core.route import Target
from proxy.core.usage import Source, Usage
from proxy.ledger.row import price_text
from proxy.simulate.history import FIRST, SPEED, Histories, History
from proxy.simulate.inject import Supposed
from proxy.simulate.record import Asking, Tried

_FRESH, _SPARE = How.FRESH, How.SPARE
REFUSAL = 0.001
"""Seconds in which a target that is supposed to be down refuses a connection."""
LEAST, MOST = 0.25, 4.0
"""How much shorter or longer than the recorded answer another may be, and its time be stretched by that."""


class Fate(NamedTuple):
    """Of one attempt. Times are seconds from its sending."""

    took: float
    first: float | None = None
    """To the first content; `None`: none came."""
    failure: FailureKind | None = None
    usage: Usage | None = None
    """Of all that it gives in `took`."""
    tried: Tried | None = None
    """The row of the record that says the same of the same request: then what it cost is known."""

    @property
    def cut(self) -> bool:
        """It fails after content."""
        return self.failure is not None and self.first is not None


class Fates:
    """Gives them. `second`: of the local day, by Unix time. `own`: what a request met on record at a target it meets
    there again; else it is drawn for all alike."""

    def __init__(
        self,
        histories: Histories,
        supposed: Supposed,
        second: Callable[[float], float],
        random: Random,
        *,
        own: bool = True,
    ) -> None:
        self._histories = histories
        self._supposed = supposed
        self._second = second
        self._random = random
        self._own = own
        self.by_record: dict[str, None] = {}
        """Targets without a known price whose costs are those of the record."""

    def of(self, one: Asking, target: Target, route: str, how: How, nth: int, at: float, given: int) -> Fate:
        """`nth`: attempts of this request that went there before; `at`: Unix time; `given`: tokens of the answer that
        others gave before it was cut."""
        supposed = self._supposed
        second = self._second(at) if supposed.down or supposed.slow else 0.0
        if supposed.down and supposed.is_down(target, at, second):
            return Fate(REFUSAL, failure=FailureKind.REFUSED)
        fate = self._recorded(one, target, route, how, nth) if self._own else None
        if fate is None:
            fate = self._drawn(one, target, route, at, given)
        factor = supposed.factor(target, at, second) if supposed.slow else 1.0
        if factor != 1.0 and (fate.failure is None or fate.cut):
            fate = fate._replace(took=fate.took * factor, first=None if fate.first is None else fate.first * factor)
        return _in_time(fate, target, one)

    def _recorded(self, one: Asking, target: Target, route: str, how: How, nth: int) -> Fate | None:
        for tried in one.tried:
            if tried.target == target.name and (tried.how is how or (tried.how is _SPARE and how is _FRESH)):
                if nth == 0:
                    if tried.ended is Ended.CANCELLED:
                        return self._longer(one, target, route, tried)
                    first = tried.first if tried.ended is not Ended.FAILED else None
                    return Fate(tried.took, first, tried.failure, tried.usage, tried)
                nth -= 1
        return None

    def _longer(self, one: Asking, target: Target, route: str, tried: Tried) -> Fate:
        """It was broken off: what is known is that it would have taken longer."""
        own, answers = self._histories.of(target, route)
        fate = self._answered(one, own, answers, tried.at, 0)
        took = max(fate.took, tried.took + REFUSAL)
        return fate._replace(took=took, first=min(took, fate.first or took) if tried.first is None else tried.first)

    def _drawn(self, one: Asking, target: Target, route: str, at: float, given: int) -> Fate:
        for tried in one.tried:
            if tried.failure is FailureKind.BAD_REQUEST:  # it is one anywhere
                return Fate(tried.took, failure=tried.failure)
        own, answers = self._histories.of(target, route)
        failed = own.failing(at, self._random)
        output = max(one.output - given, 0)
        if failed is not None:
            if failed.ended is Ended.CUT and one.stream:
                part = min(failed.output, output)
                return Fate(failed.took, failed.first, failed.failure, self._usage(one, own, given, part))
            return Fate(failed.took, failure=failed.failure)
        return self._answered(one, own, answers, at, given)

    def _answered(self, one: Asking, own: History, answers: History | None, at: float, given: int) -> Fate:
        output = max(one.output - given, 0)
        usage = self._usage(one, own, given, output)
        if answers is None:
            first = FIRST if one.chat else 0.0
            return Fate(first + output / SPEED, first, usage=usage)
        return _stretched(answers.answer(one, at, self._random), one, output, usage)

    def _usage(self, one: Asking, history: History, given: int, output: int) -> Usage:
        size = one.input + given
        return Usage(size, output, int(size * history.cached))

    def cost(self, fate: Fate, target: Target, usage: Usage | None) -> Decimal | None:
        """US dollars: as recorded where target and price are the same, else by the draft's price; where that says
        none, by what the target's tokens cost on record. `None`: nobody knows."""
        if usage is None:
            return None
        price, tried = target.price, fate.tried
        if price is not None and price.tiers:
            price = price.at(usage.input)
        if tried is not None and usage is tried.usage and (price is None or price_text(price) == tried.price):
            return tried.cost
        if price is not None:
            return cost(price, usage)
        history = self._histories.own(target.name)
        if history is None or not history.tokens:
            return None
        self.by_record[target.name] = None
        return history.cents * (usage.input + usage.output) / history.tokens


def _stretched(drawn: Tried | None, one: Asking, output: int, usage: Usage) -> Fate:
    """A recorded answer's times, for an answer of this length."""
    assert drawn is not None  # who has answers has one of some kind
    took = drawn.took
    first = took if drawn.first is None else min(drawn.first, took)
    by = 1.0
    if output > 0 and drawn.output > 0:
        by = min(max(output / drawn.output, LEAST), MOST)
    if drawn.stream:
        took = first + (took - first) * by
    elif one.chat:
        took *= by
    return Fate(took, first if one.stream and drawn.stream else took, usage=usage)


def _in_time(fate: Fate, target: Target, one: Asking) -> Fate:
    """The draft's own time limits."""
    times = target.timeouts
    if fate.failure is FailureKind.FIRST_TIMEOUT:
        return fate._replace(took=times.first)
    if fate.failure is FailureKind.CONNECT_TIMEOUT:
        return fate._replace(took=times.connect)
    head = fate.first if one.stream or fate.tried is None else fate.tried.head
    if head is not None and head > times.first:
        return Fate(times.first, failure=FailureKind.FIRST_TIMEOUT)
    if fate.took > times.total:
        cut = one.stream and fate.first is not None and fate.first <= times.total
        usage = partly(fate, one, times.total) if cut else None
        return Fate(times.total, fate.first if cut else None, FailureKind.TOTAL_TIMEOUT, usage)
    return fate


def partly(fate: Fate, one: Asking, elapsed: float) -> Usage:
    """Of an attempt that was broken off after so many seconds: its input, and what had come."""
    usage = fate.usage
    output = 0
    if usage is not None and fate.first is not None and elapsed > fate.first:
        output = int(usage.output * min((elapsed - fate.first) / max(fate.took - fate.first, 1e-9), 1.0))
    return Usage(one.input if usage is None else usage.input, output, source=Source.ESTIMATED)
