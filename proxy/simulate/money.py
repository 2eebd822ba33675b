"""The draft's budgets, on the simulation's clock: what decides is what decides for live traffic."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from proxy.config.values import Config
from proxy.core.failure import Failure, FailureKind
from proxy.core.money.account import Account, Standing, reserve, settle
from proxy.core.money.afford import (
    NO_WORD,
    Buyer,
    Need,
    Short,
    holding,
    need_of,
    too_little,
    without_bound,
)
from proxy.core.money.bound import Asked, Rates, rates_of
from proxy.core.money.budget import UNIT, Budget, Owned, Per, Scope
from proxy.core.outcome import Ended
from proxy.core.route import Target
from proxy.simulate.record import Asking

UNPAID = frozenset({FailureKind.BUDGET, FailureKind.UNBOUNDED})
"""What a request is refused with for want of money."""


class _Held(NamedTuple):
    """For one attempt."""

    amount: int
    accounts: tuple[Account, ...]
    at: float


class Purse:
    """Of one request."""

    __slots__ = ("_held", "buyer", "reserved", "spent", "tags", "word")

    def __init__(self, buyer: Buyer, tags: tuple[str, ...]) -> None:
        self.buyer = buyer
        self.tags = tags
        self.word = NO_WORD
        self.spent = 0
        self.reserved = 0
        self._held: dict[int, _Held] = {}

    def take(self, number: int, held: _Held) -> None:
        """For an attempt that is sent."""
        self.reserved += held.amount
        self._held[number] = held

    def settle(self, number: int, ended: Ended, failure: FailureKind | None, cost: Decimal | None) -> None:
        """It has ended. Where it may be charged for, and nobody knows how much, what was held is spent."""
        held = self._held.pop(number, None)
        if held is None:
            return
        billed = failure is not None and ended is not Ended.CANCELLED and Failure(failure, "").verdict.maybe_billed
        paid = int(cost * UNIT) if cost is not None else held.amount if billed else 0
        self.reserved -= held.amount
        self.spent += paid
        settle(held.accounts, held.amount, paid, held.at)


class _Fare(NamedTuple):
    """What holds at one target for requests of one key, route and tags, and what it charges."""

    each: tuple[tuple[Owned, Budget], ...]
    accounts: tuple[Account, ...]
    rates: Rates | None

    @property
    def idle(self) -> bool:
        return not (self.each or self.accounts) or (self.rates is not None and self.rates.free)


class Money:
    """All budgets. Unix time is its clock; each begins with nothing spent."""

    def __init__(self, config: Config) -> None:
        self._terms = config.budgets
        self._keys = {one.name: one for one in config.keys}
        self._tagged = any(scope is Scope.TAG for scope, _ in config.budgets.budgets)
        self._accounts: dict[Owned, Account] = {}
        self._fares: dict[tuple[str, str, str, tuple[str, ...]], tuple[bool, _Fare]] = {}

    def purse(self, one: Asking) -> Purse:
        """Of a request that comes in. How long an answer it allowed is on no record: as long as the one that it got."""
        tags = sorted(one.tags) if self._tagged else ()
        output = max(one.output, 1) if one.chat else None
        relayed = not (one.chat or one.vectors)
        asked = Asked(one.input * 4 // 3 + 1, output, 1, not one.vectors, one.chat, relayed)
        return Purse(Buyer(asked, self._terms.ask), tuple(tags))

    def reserve(
        self, purse: Purse, key: str, route: str, target: Target, number: int, more: int, now: float
    ) -> Failure | None:
        """An attempt is about to be sent there. `more`: tokens of the answer that it is to go on with."""
        stopped = purse.word.at(target)
        if stopped is not None:
            return stopped
        at = (key, route, target.name, purse.tags)
        known = self._fares.get(at)
        if known is None:
            fare = self._fare(key, route, target, purse.tags, now)
            known = self._fares[at] = fare.idle, fare
        idle, fare = known
        if idle:
            return None
        need = need_of(purse.buyer, target, fare.rates, more)
        short = self._hold(purse, fare, need, target, number, now)
        if short is None:
            return None
        purse.word = purse.word.after(short)
        return short.failure

    def _hold(self, purse: Purse, fare: _Fare, need: Need, target: Target, number: int, now: float) -> Short | None:
        amount = need.amount
        each = [Standing(owned, budget, purse.spent, purse.reserved, now, now) for owned, budget in fare.each]
        if amount is None:
            stands = [account.stands(now) for account in fare.accounts]
            return without_bound(purse.buyer, need.rates, target.name, (*stands, *each), now)
        for one in each:
            if one.spent + one.reserved + amount > one.budget.amount:
                return too_little(purse.buyer, need, target.name, one, now)
        short = reserve(fare.accounts, amount, now)
        if short is not None:
            return too_little(purse.buyer, need, target.name, short.stands(now), now)
        purse.take(number, _Held(amount, fare.accounts, now))
        return None

    def _fare(self, key: str, route: str, target: Target, tags: tuple[str, ...], now: float) -> _Fare:
        caller = self._keys.get(key)
        named = list(holding(self._terms, () if caller is None else caller.budgets, key, route, target.backend, tags))
        each = tuple((owned, budget) for owned, budget in named if owned.per is Per.REQUEST)
        accounts = tuple(self._account(owned, budget, now) for owned, budget in named if owned.per is not Per.REQUEST)
        return _Fare(each, accounts, rates_of(target))

    def _account(self, owned: Owned, budget: Budget, now: float) -> Account:
        account = self._accounts.get(owned)
        if account is None:
            account = self._accounts[owned] = Account(owned, budget, now)
        return account


def money_of(config: Config) -> Money | None:
    """`None`: there is no budget."""
    return Money(config) if config.budgets.budgets or any(key.budgets for key in config.keys) else None
