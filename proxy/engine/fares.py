"""What budgets keep of requests: what holds for them and what they are charged, and what is held for one of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from proxy.core.chat import ChatRequest
from proxy.core.failure import Failure
from proxy.core.money.account import Account, Standing
from proxy.core.money.bound import BYTES_PER_TOKEN, LONG, Rates, rates_of, unsaid
from proxy.core.money.budget import Budget, Owned
from proxy.core.relay import Request
from proxy.core.route import Target

Holding = tuple[tuple[Account, ...], tuple[tuple[Owned, Budget], ...]]


class Passed(NamedTuple):
    """So many per cent of a budget are spent."""

    stands: Standing
    percent: int


@dataclass(frozen=True, slots=True)
class Fare:
    """What holds for requests of one key, route and tags at one target, and what it charges."""

    idle: bool
    """No budget holds, or nothing is charged."""
    accounts: tuple[Account, ...]
    each: tuple[tuple[Owned, Budget], ...]
    """For each request by itself."""
    target: Target
    rates: Rates | None
    short: int = -1
    """Bytes of a request that is nothing but texts, up to which it costs what follows; a longer one has to be looked at
    more closely."""
    input: int = 0
    output: int = 0
    """Parts of a dollar a token."""
    most: int = 0
    """Tokens of its answer, where the request names a bound too."""
    unsaid: int = -1
    """Parts of a dollar for its answer, where it names none; -1: it has to be looked at more closely."""


Taken = tuple[int, tuple[Account, ...], float]
"""What is reserved for an attempt, in which accounts, and when it was sent."""


_NOTHING: Taken = (0, (), 0.0)


class Spending:
    """Of one exchange."""

    # Attributes of the class that stand for "not yet" or "not so": an instance sets only what is otherwise.
    number = 0
    """Of the attempt that is under way; 0: none is."""
    taken: Taken = _NOTHING
    others: dict[int, Taken] | None = None
    """Further attempts that are under way with it: most exchanges never have any."""
    spent = 0
    stopped: Failure | None = None
    """It goes nowhere any more."""
    near: Failure | None = None
    """It goes to targets on this machine only."""

    @property
    def reserved(self) -> int:
        """For all attempts that are under way."""
        first = self.taken[0] if self.number else 0
        return first + sum(taken[0] for taken in (self.others or {}).values())

    def take(self, number: int, taken: Taken) -> None:
        """For an attempt that is sent."""
        if not self.number:
            self.number, self.taken = number, taken
        elif self.others is None:
            self.others = {number: taken}
        else:
            self.others[number] = taken

    def give(self, number: int) -> Taken | None:
        """What was taken for an attempt that has ended; `None`: nothing was."""
        if number == self.number:
            self.number = 0
            return self.taken
        return None if self.others is None else self.others.pop(number, None)


def word_of(request: Request) -> str:
    """What the length of an answer is called in the API in which it came."""
    native = request.native if isinstance(request, ChatRequest) else None
    return "max_output_tokens" if native is not None and native.api == "responses" else "max_tokens"


def fare_of(holding: Holding, target: Target, *, ask: bool) -> Fare:
    """At a target for which these budgets hold. `ask` as in `Terms`."""
    accounts, each = holding
    rates = rates_of(target)
    if not (accounts or each) or (rates is not None and rates.free):
        return Fare(True, accounts, each, target, rates)
    if rates is None or rates.most is None:
        return Fare(False, accounts, each, target, rates)
    short = min(LONG, (rates.beyond + 1) * BYTES_PER_TOKEN - 1)
    without = unsaid(rates, ask=ask)
    told = -1 if without is None else without * rates.output
    return Fare(False, accounts, each, target, rates, short, rates.input, rates.output, rates.most, told)
