"""Budgets as requests meet them: what an attempt may cost is reserved before it is sent, what it did cost is spent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from time import time
from typing import TYPE_CHECKING

from proxy.core.choice.facts import UNSEEN, text_of
from proxy.core.failure import Failure
from proxy.core.money.account import Account, Standing, reserve, settle
from proxy.core.money.afford import (
    Buyer,
    Need,
    Short,
    Word,
    holding,
    need_of,
    rates_for,
    too_little,
    without_bound,
)
from proxy.core.money.bound import BYTES_PER_TOKEN, asked_of
from proxy.core.money.budget import NO_TERMS, UNIT, Budget, Owned, Per, Scope, Terms, period
from proxy.core.outcome import Outcome
from proxy.core.route import Target
from proxy.core.tokens import of_chars
from proxy.engine.fares import Fare, Holding, Passed, Spending, fare_of, word_of
from proxy.engine.till import Till

if TYPE_CHECKING:
    from proxy.engine.exchange import Exchange
    from proxy.engine.lane import Lane

MOST_FOUND = 50_000
"""Combinations of key, route, backend and tags of which it is kept which budgets hold for them."""
_PARTS = Decimal(UNIT)


class Purses:
    """One for each process. `of_key`: the budgets of a caller's key; `till`: what it shares with other workers."""

    def __init__(
        self,
        of_key: Callable[[str], Iterable[Budget]] = lambda _: (),
        on_passed: Callable[[Passed], None] = lambda _: None,
        till: Till | None = None,
    ) -> None:
        self._of_key = of_key
        self._on_passed = on_passed
        self._till = till
        self._terms = NO_TERMS
        self._tagged = False
        self._accounts: dict[Owned, Account] = {}
        self._fares: dict[tuple[str, str, int, tuple[str, ...]], Fare] = {}
        """Targets by their identity, since hashing one costs more than all the rest; a fare holds its target."""
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
        self._fares.clear()

    def were_spent(self, past: Mapping[Owned, int], at: float) -> None:
        """What is on record as spent in the periods of this moment (Unix time), before anything is sent: of all budgets
        that hold then."""
        self._past, self._past_at = past, at

    def was_spent(self, owned: Owned, amount: int, at: float) -> None:
        """What is on record of an account that was opened then."""
        account = self._accounts.get(owned)
        if self.unread.get(owned) != at or account is None:
            return
        del self.unread[owned]
        self._load((account,))
        if account.begins <= at:
            account.was_spent(amount)
        self._store((account,))

    # What exchanges do -------------------------------------------------------------------------------------------

    def reserve(self, exchange: Exchange, lane: Lane, number: int, now: float) -> Failure | None:
        """Hold what attempt `number` may cost at most at this target. A failure: there is not so much."""
        target = lane.target
        at = (exchange.key, exchange.road.route.name, id(target), exchange.tags if self._tagged else ())
        fare = self._fares.get(at)
        if fare is None:
            fare = self._find(at, target)
        held = exchange.spending
        if held is None:
            if fare.idle:
                return None
            held = exchange.spending = Spending()
        else:
            stopped = held.stopped or (None if target.local else held.near)
            if fare.idle or stopped is not None:
                return stopped
        request, text = exchange.request, exchange.text
        if text is UNSEEN:
            text = exchange.text = text_of(request)
        length = len(request.raw)
        if text is None or length > fare.short or number != 1:
            return self._hold_closely(exchange, held, fare, number)
        output = text[1]
        if output is None:
            without = fare.unsaid
            if without < 0:
                return self._hold_closely(exchange, held, fare, number)
            return self._hold(exchange, held, fare, length // BYTES_PER_TOKEN * fare.input + without, number)
        if "max_completion_tokens" in request.body:
            return self._hold_closely(exchange, held, fare, number)
        output = min(output, fare.most)
        return self._hold(exchange, held, fare, length // BYTES_PER_TOKEN * fare.input + output * fare.output, number)

    def _hold_closely(self, exchange: Exchange, held: Spending, fare: Fare, number: int) -> Failure | None:
        """What an attempt may cost that is not a usual one; or why it is not sent there."""
        more = 0 if number == 1 or exchange.story is None else of_chars(len(exchange.story.text))
        buyer = self._buyer(exchange)
        need = need_of(buyer, fare.target, fare.rates, more)
        if need.amount is not None:
            return self._hold(exchange, held, fare, need.amount, number)
        now = time()
        stands = self._standings(fare.accounts)
        stands += [Standing(owned, budget, held.spent, held.reserved, now, now) for owned, budget in fare.each]
        return self._follow(held, without_bound(buyer, need.rates, fare.target.name, stands, now))

    def _hold(self, exchange: Exchange, held: Spending, fare: Fare, amount: int, number: int) -> Failure | None:
        accounts, till = fare.accounts, self._till
        now = time()
        if now > self._now:
            self._now = now
        else:
            now = self._now  # never back: what was held in one period must not be settled in one before it
        for owned, budget in fare.each:
            if held.spent + held.reserved + amount > budget.amount:
                stands = Standing(owned, budget, held.spent, held.reserved, now, now)
                return self._too_little(exchange, held, stands, fare, amount)
        if till is None:
            short = reserve(accounts, amount, now)
        else:
            till.load(accounts)
            short = reserve(accounts, amount, now)
            till.store(accounts)
        if short is not None:
            return self._too_little(exchange, held, short.stands(now), fare, amount)
        if held.number:
            held.take(number, (amount, accounts, now))
        else:
            held.number, held.taken = number, (amount, accounts, now)
        return None

    def settle(self, exchange: Exchange, number: int, outcome: Outcome) -> None:
        """That attempt has ended. Where it may be charged for, and nobody knows how much, what was held is spent."""
        held = exchange.spending
        if held is None:
            return
        taken = held.taken if number == held.number else held.give(number)
        if taken is None:
            return
        if number == held.number:
            held.number = 0
        amount, accounts, at = taken
        cost = outcome.cost
        paid = int(cost * _PARTS) if cost is not None else amount if outcome.maybe_billed else 0
        held.spent += paid
        if self._till is not None:
            self._settle(accounts, amount, paid, at)
            return
        passed = settle(accounts, amount, paid, at)
        if passed:
            for one in self._passed(passed):
                self._on_passed(one)

    def leave(self, exchange: Exchange) -> None:
        """The exchange is over."""
        held = exchange.spending
        if held is not None and (held.number or held.others):
            for number in (held.number, *(held.others or ())):
                taken = held.give(number)
                if taken is not None:
                    self._settle(taken[1], taken[0], 0, taken[2])

    # What others look at -----------------------------------------------------------------------------------------

    def standings(self) -> list[Standing]:
        """Every account that was used since the start and whose budget still holds."""
        return self._standings([account for owned, account in self._accounts.items() if self._holds(owned)])

    def standings_of(self, exchange: Exchange, backend: str) -> list[Standing]:
        """Those that hold for this exchange at this backend."""
        tags = exchange.tags if self._tagged else ()
        return self._standings(self._holding(exchange.key, exchange.road.route.name, backend, tags)[0])

    def look(self, key: str, route: str, backend: str, tags: tuple[str, ...]) -> tuple[list[Standing], list[Standing]]:
        """What holds for such requests at this backend: budgets for each of them by itself, and all others as they
        stand now. For whoever asks what would be done."""
        accounts, each = self._holding(key, route, backend, tags if self._tagged else ())
        stands = self._standings(accounts)
        return [Standing(owned, budget, 0, 0, self._now, self._now) for owned, budget in each], stands

    # Inside ------------------------------------------------------------------------------------------------------

    def _holds(self, owned: Owned) -> bool:
        scope, name, per = owned
        given = self._of_key(name) if scope is Scope.KEY else self._terms.budgets.get((scope, name), ())
        return any(budget.per is per for budget in given)

    def _settle(self, accounts: Sequence[Account], held: int, paid: int, at: float) -> None:
        self._load(accounts)
        passed = settle(accounts, held, paid, at)
        told = self._passed(passed)
        self._store(accounts)
        for one in told:
            self._on_passed(one)

    def _passed(self, accounts: Sequence[Account]) -> list[Passed]:
        return [Passed(one.stands(self._now), percent) for one in accounts for percent in one.passed()]

    def _load(self, accounts: Sequence[Account]) -> None:
        if self._till is not None:
            self._till.load(accounts)

    def _store(self, accounts: Sequence[Account]) -> None:
        if self._till is not None:
            self._till.store(accounts)

    def _standings(self, accounts: Sequence[Account]) -> list[Standing]:
        self._now = now = max(self._now, time())
        self._load(accounts)
        found = [account.stands(now) for account in accounts]
        self._store(accounts)
        return found

    def _too_little(self, exchange: Exchange, held: Spending, stands: Standing, fare: Fare, amount: int) -> Failure:
        buyer = self._buyer(exchange)
        need = Need(amount, rates_for(buyer.asked, fare.target, fare.rates))
        return self._follow(held, too_little(buyer, need, fare.target.name, stands, self._now))

    def _buyer(self, exchange: Exchange) -> Buyer:
        request = exchange.request
        return Buyer(asked_of(request, exchange.text), self._terms.ask, word_of(request))

    @staticmethod
    def _follow(held: Spending, short: Short) -> Failure:
        """What follows for the other targets."""
        held.stopped, held.near = Word(held.stopped, held.near).after(short)
        return short.failure

    def _find(self, at: tuple[str, str, int, tuple[str, ...]], target: Target) -> Fare:
        if len(self._fares) >= MOST_FOUND:
            self._fares.clear()
        key, route, _, tags = at
        fare = self._fares[at] = fare_of(self._holding(key, route, target.backend, tags), target, ask=self._terms.ask)
        return fare

    def _holding(self, key: str, route: str, backend: str, tags: tuple[str, ...]) -> Holding:
        """The accounts of all budgets that hold for such requests, and budgets for each of them by itself."""
        accounts: list[Account] = []
        each: list[tuple[Owned, Budget]] = []
        for owned, budget in holding(self._terms, self._of_key(key), key, route, backend, tags):
            if owned.per is Per.REQUEST:
                each.append((owned, budget))
            else:
                accounts.append(self._account(owned, budget))
        return tuple(accounts), tuple(each)

    def _account(self, owned: Owned, budget: Budget) -> Account:
        account = self._accounts.get(owned)
        if account is None:
            account = self._accounts[owned] = self._opened(owned, budget)
        elif account.budget != budget:
            account.is_now(budget)
        return account

    def _opened(self, owned: Owned, budget: Budget) -> Account:
        self._now = now = max(self._now, time())
        account = Account(owned, budget, now)
        past = self._past.get(owned)
        if past is not None and period(owned.per, self._past_at) == (account.begins, account.ends):
            account.was_spent(past)
        known = self._till is not None and self._till.join(account)
        if past is None and not known:
            self.unread[owned] = now
        return account
