"""What budgets keep of requests: what holds for them and what they are charged, and what is held for one of them."""

from __future__ import annotations

from typing import NamedTuple

from proxy.core.chat import ChatRequest
from proxy.core.failure import Failure
from proxy.core.money.account import Account, Standing
from proxy.core.money.bound import Asked, Rates, rates_of, unsaid
from proxy.core.money.budget import Budget, Owned
from proxy.core.relay import Request
from proxy.core.route import Target

Holding = tuple[tuple[Account, ...], tuple[tuple[Owned, Budget], ...]]


class Passed(NamedTuple):
    """So many per cent of a budget are spent."""

    stands: Standing
    percent: int


class Fare(NamedTuple):
    """What holds for requests of one key, route and tags at one target, and what it charges."""

    idle: bool
    """No budget holds, or nothing is charged."""
    accounts: tuple[Account, ...]
    each: tuple[tuple[Owned, Budget], ...]
    """For each request by itself."""
    target: Target
    rates: Rates | None
    input: int = 0
    output: int = 0
    """Parts of a dollar a token."""
    most: int = -1
    """Tokens of a single answer, where the request names a bound too; -1: it has to be looked at more closely."""
    unsaid: int = -1
    """The same where it names none."""
    beyond: int = 0
    """Likewise, for more tokens of input than this."""


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
    reserved = 0
    stopped: Failure | None = None
    """It goes nowhere any more."""
    near: Failure | None = None
    """It goes to targets on this machine only."""

    def __init__(self, asked: Asked, request: Request) -> None:
        self.asked = asked
        self.request = request

    @property
    def word(self) -> str:
        """What the length of an answer is called in the API in which it came."""
        native = self.request.native if isinstance(self.request, ChatRequest) else None
        return "max_output_tokens" if native is not None and native.api == "responses" else "max_tokens"

    def take(self, number: int, taken: Taken) -> None:
        """For an attempt that is sent."""
        self.reserved += taken[0]
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


def fare_of(holding: Holding, target: Target, *, ask: bool) -> Fare:
    """At a target for which these budgets hold. `ask` as in `Terms`."""
    accounts, each = holding
    rates = rates_of(target)
    if not (accounts or each) or (rates is not None and rates.free):
        return Fare(True, accounts, each, target, rates)
    if rates is None or rates.most is None:
        return Fare(False, accounts, each, target, rates)
    without = unsaid(rates, ask=ask)
    told = -1 if without is None else without
    return Fare(False, accounts, each, target, rates, rates.input, rates.output, rates.most, told, rates.beyond)
