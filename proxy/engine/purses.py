"""Budgets as requests meet them: what an attempt may cost is reserved before it is sent, what it did cost is spent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from time import time
from typing import TYPE_CHECKING, NamedTuple

from proxy.core.failure import Failure
from proxy.core.money import words
from proxy.core.money.account import Account, Standing, reserve
from proxy.core.money.bound import Asked, Rates, affordable, asked_of, most, rates_of, usual
from proxy.core.money.budget import NO_TERMS, Budget, OnExceeded, Owned, Per, Scope, Terms, parts, period, strictest
from proxy.core.outcome import Outcome
from proxy.core.route import Target
from proxy.core.tokens import of_chars

if TYPE_CHECKING:
    from proxy.engine.exchange import Exchange
    from proxy.engine.lane import Lane

MOST_FOUND = 50_000
"""Combinations of key, route, backend and tags of which it is kept which budgets hold for them."""


class Passed(NamedTuple):
    """So many per cent of a budget are spent."""

    stands: Standing
    percent: int


class _Holding(NamedTuple):
    """What holds for requests of one key, route, backend and tags."""

    accounts: tuple[Account, ...]
    each: tuple[tuple[Owned, Budget], ...]
    """For each request by itself."""


class _Held:
    """Of one exchange."""

    __slots__ = ("asked", "attempts", "near", "reserved", "spent", "stopped")

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.attempts: dict[int, tuple[int, tuple[Account, ...], float]] = {}
        """Under way: what is reserved for it, in which accounts, and when it was sent."""
        self.spent = 0
        self.reserved = 0
        self.stopped: Failure | None = None
        """It goes nowhere any more."""
        self.near: Failure | None = None
        """It goes to targets on this machine only."""


class Purses:
    """One for each process. `of_key`: the budgets of a caller's key."""

    def __init__(
        self,
        of_key: Callable[[str], Iterable[Budget]] = lambda _: (),
        on_passed: Callable[[Passed], None] = lambda _: None,
    ) -> None:
        self._of_key = of_key
        self._on_passed = on_passed
        self._terms = NO_TERMS
        self._tagged = False
        self._accounts: dict[Owned, Account] = {}
        self._found: dict[tuple[str, str, str, tuple[str, ...]], _Holding] = {}
        self._rates: dict[str, tuple[Target, Rates | None]] = {}
        self._held: dict[Exchange, _Held] = {}
        self._past: Mapping[Owned, int] = {}
        self._past_at = 0.0
        self._now = 0.0
        self.unread: dict[Owned, float] = {}
        """Accounts that were opened while we serve (Unix time): what was spent before is to be looked up on record."""

    # What the configuration and the keys say ---------------------------------------------------------------------

    def adopt(self, terms: Terms) -> None:
        """The budgets in force from now on. What is spent and reserved stays."""
        self._terms = terms
        self._tagged = any(scope is Scope.TAG for scope, _ in terms.budgets)
        self.changed()

    def changed(self) -> None:
        """Other budgets hold, of the configuration or of keys: they are asked for again."""
        self._found.clear()

    def were_spent(self, past: Mapping[Owned, int], at: float) -> None:
        """What is on record as spent in the periods of this moment (Unix time), before anything is sent: of all budgets
        that hold then."""
        self._past, self._past_at = past, at

    def was_spent(self, owned: Owned, amount: int, at: float) -> None:
        """What is on record of an account that was opened then."""
        account = self._accounts.get(owned)
        if self.unread.get(owned) == at and account is not None and account.begins <= at:
            del self.unread[owned]
            account.was_spent(amount)

    # What exchanges do -------------------------------------------------------------------------------------------

    def admit(self, exchange: Exchange) -> bool:
        """Money is asked for where it is known what for: when an attempt is sent."""
        return True

    def reserve(self, exchange: Exchange, lane: Lane, number: int, now: float) -> Failure | None:
        """Hold what attempt `number` may cost at most at this target. A failure: there is not so much."""
        target = lane.target
        holding = self._holding(exchange, target.backend)
        if holding is None:
            return None
        held = self._held.get(exchange)
        if held is not None:
            stopped = held.stopped or (None if target.local else held.near)
            if stopped is not None:
                return stopped
        known = self._rates.get(target.name)
        if known is None or known[0] is not target:
            known = self._learn(target)
        rates = known[1]
        if rates is not None and rates.free:
            return None
        if held is None:
            held = self._held[exchange] = _Held(asked_of(exchange.request))
        return self._reserve(exchange, held, holding, target, rates, number)

    def settle(self, exchange: Exchange, number: int, outcome: Outcome) -> None:
        """That attempt has ended. Where it may be charged for, and nobody knows how much, what was held is spent."""
        held = self._held.get(exchange)
        taken = None if held is None else held.attempts.pop(number, None)
        if held is None or taken is None:
            return
        amount, accounts, at = taken
        cost = outcome.cost
        paid = parts(cost) if cost is not None else amount if outcome.maybe_billed else 0
        held.reserved -= amount
        held.spent += paid
        for account in accounts:
            if account.settle(amount, paid, at):
                self._tell(account)

    def leave(self, exchange: Exchange) -> None:
        """The exchange is over."""
        held = self._held.pop(exchange, None)
        if held is not None and held.attempts:
            for amount, accounts, at in held.attempts.values():
                for account in accounts:
                    account.settle(amount, 0, at)

    # What others look at -----------------------------------------------------------------------------------------

    def standings(self) -> list[Standing]:
        """Every account that was used since the start."""
        now = self._time()
        return [account.stands(now) for account in self._accounts.values()]

    def standings_of(self, exchange: Exchange, backend: str) -> list[Standing]:
        """Those that hold for this exchange at this backend."""
        holding, now = self._holding(exchange, backend), self._time()
        return [] if holding is None else [account.stands(now) for account in holding.accounts]

    # Inside ------------------------------------------------------------------------------------------------------

    def _reserve(
        self, exchange: Exchange, held: _Held, holding: _Holding, target: Target, rates: Rates | None, number: int
    ) -> Failure | None:
        asked = held.asked
        ask = self._terms.ask
        more = 0 if number == 1 or exchange.story is None else of_chars(len(exchange.story.text))
        if rates is not None and (asked.unusual or asked.input > rates.beyond):
            rates = rates_of(target, asked)
        amount = None if rates is None else most(asked, rates, more)
        if rates is None or amount is None or (not ask and asked.output is None):
            if ask:
                return self._without_bound(held, holding, target, rates)
            amount = 0 if rates is None else usual(asked, rates, more)
        now = self._time()
        for owned, budget in holding.each:
            if held.spent + held.reserved + amount > budget.amount:
                stands = Standing(owned, budget, held.spent, held.reserved, now, now)
                return self._too_little(held, stands, target, rates, amount)
        short = reserve(holding.accounts, amount, now)
        if short is not None:
            return self._too_little(held, short.stands(now), target, rates, amount)
        held.reserved += amount
        held.attempts[number] = (amount, holding.accounts, now)
        return None

    def _too_little(self, held: _Held, stands: Standing, target: Target, rates: Rates | None, amount: int) -> Failure:
        tokens = _affordable(held.asked, rates, stands.room)
        if tokens > 0 and self._terms.ask:
            failure = words.say_how_long(stands, amount, tokens, target.name)
        else:
            failure = words.too_little(stands, amount, target.name, self._now)
        self._stop(held, stands, failure)
        return failure

    def _without_bound(self, held: _Held, holding: _Holding, target: Target, rates: Rates | None) -> Failure:
        now = self._time()
        stands = [account.stands(now) for account in holding.accounts]
        stands += [Standing(owned, budget, held.spent, held.reserved, now, now) for owned, budget in holding.each]
        least = min(stands, key=lambda one: one.room)
        if rates is None:
            return words.unpriced(least.owned, target.name)
        tokens = affordable(held.asked, rates, least.room)
        if not held.asked.nameable:
            failure = words.unbounded(least.owned, target.name)
        elif tokens > 0:
            failure = words.say_how_long(least, None, tokens, target.name)
        else:
            failure = words.too_little(least, held.asked.input * rates.input + rates.output, target.name, now)
        self._stop(held, least, failure)
        return failure

    def _stop(self, held: _Held, stands: Standing, failure: Failure) -> None:
        """What follows for the other targets. A backend's own budget says nothing of them."""
        then = stands.budget.on_exceeded
        if then is OnExceeded.LOCAL:
            held.near = failure
        elif then is OnExceeded.REFUSE and stands.owned.scope is not Scope.BACKEND:
            held.stopped = failure

    def _holding(self, exchange: Exchange, backend: str) -> _Holding | None:
        at = (exchange.key, exchange.road.route.name, backend, exchange.tags if self._tagged else ())
        found = self._found.get(at)
        if found is None:
            found = self._find(*at)
        return found if found.accounts or found.each else None

    def _find(self, key: str, route: str, backend: str, tags: tuple[str, ...]) -> _Holding:
        if len(self._found) >= MOST_FOUND:
            self._found.clear()
        budgets = self._terms.budgets
        named = [(Scope.ALL, ""), (Scope.ROUTE, route), (Scope.BACKEND, backend), *((Scope.TAG, tag) for tag in tags)]
        holding = [(scope, name, budgets.get((scope, name), ())) for scope, name in named]
        holding.append((Scope.KEY, key, tuple(self._of_key(key))))
        accounts: list[Account] = []
        each: list[tuple[Owned, Budget]] = []
        for scope, name, given in holding:
            for per, budget in strictest(given).items():
                owned = Owned(scope, name, per)
                if per is Per.REQUEST:
                    each.append((owned, budget))
                else:
                    accounts.append(self._account(owned, budget))
        found = self._found[key, route, backend, tags] = _Holding(tuple(accounts), tuple(each))
        return found

    def _account(self, owned: Owned, budget: Budget) -> Account:
        account = self._accounts.get(owned)
        if account is None:
            now = self._time()
            account = self._accounts[owned] = Account(owned, budget, now)
            past = self._past.get(owned)
            if past is None:
                self.unread[owned] = now
            elif period(owned.per, self._past_at) == (account.begins, account.ends):
                account.was_spent(past)
        elif account.budget != budget:
            account.is_now(budget)
        return account

    def _learn(self, target: Target) -> tuple[Target, Rates | None]:
        if len(self._rates) >= MOST_FOUND:
            self._rates.clear()  # callers may name any number of targets directly
        known = self._rates[target.name] = (target, rates_of(target))
        return known

    def _tell(self, account: Account) -> None:
        for percent in account.passed():
            self._on_passed(Passed(account.stands(self._now), percent))

    def _time(self) -> float:
        """Unix time, never back: what was held in one period must not be settled in one before it."""
        now = time()
        if now > self._now:
            self._now = now
        return self._now


def _affordable(asked: Asked, rates: Rates | None, room: int) -> int:
    """Tokens that the caller could ask for, where it has not named any."""
    return 0 if rates is None or asked.output is not None or not asked.nameable else affordable(asked, rates, room)
