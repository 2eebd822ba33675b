"""Which budgets hold for a request, and whether enough is left of them for it at a target: what it may cost there at
most, and what it is told where that is too much. It changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from proxy.core.choice.facts import Facts
from proxy.core.failure import Failure
from proxy.core.money import words
from proxy.core.money.account import Standing
from proxy.core.money.bound import Asked, Rates, affordable, most, rates_of, usual
from proxy.core.money.budget import Budget, OnExceeded, Owned, Scope, Terms, strictest
from proxy.core.route import Target

Named = tuple[Owned, Budget]
_UNUSUAL = frozenset({"vision", "audio", "audio_output", "files"})
"""Capabilities that a request needs because of what is no text."""


def holding(
    terms: Terms, of_key: Iterable[Budget], key: str, route: str, backend: str, tags: Iterable[str]
) -> Iterator[Named]:
    """Those that hold for such requests at this backend. `of_key`: the budgets of the caller's key."""
    budgets = terms.budgets
    named = [(Scope.ALL, ""), (Scope.ROUTE, route), (Scope.BACKEND, backend), *((Scope.TAG, tag) for tag in tags)]
    for scope, name in named:
        yield from _each(scope, name, budgets.get((scope, name), ()))
    yield from _each(Scope.KEY, key, tuple(of_key))


def _each(scope: Scope, name: str, budgets: Sequence[Budget]) -> Iterator[Named]:
    for per, budget in strictest(budgets).items():
        yield Owned(scope, name, per), budget


class Buyer(NamedTuple):
    """One request, as budgets see it."""

    asked: Asked
    ask: bool = True
    """As in `Terms`."""
    word: str = "max_tokens"
    """What the length of an answer is called in the API in which it came."""


def asked_about(facts: Facts) -> Asked:
    """Of a request of which only that is known. Its tokens are estimated with the margin that live ones get."""
    several = 2 if "n" in facts.needs else 1
    unusual = facts.chat and not facts.needs.isdisjoint(_UNUSUAL)
    output = facts.output if facts.chat else None
    return Asked(facts.input * 4 // 3 + 1, output, several, facts.chat, facts.chat, unusual)


class Need(NamedTuple):
    """What an attempt may cost at a target."""

    amount: int | None
    """Parts of a dollar, which are reserved for it; `None`: there is no bound."""
    rates: Rates | None
    """`None`: nobody knows its price."""


def need_of(buyer: Buyer, target: Target, rates: Rates | None, more: int = 0) -> Need:
    """`rates`: what it charges for a plain request. `more`: further tokens of input, of an answer that it is to go on
    with."""
    asked, ask = buyer.asked, buyer.ask
    rates = rates_for(asked, target, rates)
    amount = None if rates is None else most(asked, rates, more)
    if amount is not None and (ask or asked.output is not None or not asked.nameable):
        return Need(amount, rates)
    if ask:
        return Need(None, rates)
    return Need(0 if rates is None else usual(asked, rates, more), rates)


def rates_for(asked: Asked, target: Target, rates: Rates | None) -> Rates | None:
    """What it charges for this request. `rates`: for a plain one."""
    if rates is not None and (asked.unusual or asked.input > rates.beyond):
        return rates_of(target, asked)
    return rates


class Short(NamedTuple):
    """Why an attempt is not sent to a target."""

    failure: Failure
    stands: Standing | None = None
    """The budget of which too little is left; `None`: nobody knows the target's price."""


def short_of(
    buyer: Buyer, need: Need, target: Target, each: Sequence[Standing], accounts: Sequence[Standing], now: float
) -> Short | None:
    """`None`: enough is left. `each`: budgets for this request by itself; `accounts`: of hours, days and so on."""
    if need.amount is None:
        return without_bound(buyer, need.rates, target.name, (*accounts, *each), now)
    for one in (*each, *accounts):
        if one.spent + one.reserved + need.amount > one.budget.amount:
            return too_little(buyer, need, target.name, one, now)
    return None


def too_little(buyer: Buyer, need: Need, target: str, stands: Standing, now: float) -> Short:
    """Of this budget not so much is left."""
    tokens = could_ask(buyer.asked, need.rates, stands.room)
    if tokens > 0 and buyer.ask:
        return Short(words.say_how_long(stands, need.amount, tokens, target, buyer.word), stands)
    return Short(words.too_little(stands, need.amount or 0, target, now), stands)


def without_bound(buyer: Buyer, rates: Rates | None, target: str, stands: Sequence[Standing], now: float) -> Short:
    """Nobody knows what it costs there at most."""
    least = min(stands, key=lambda one: one.room)
    if rates is None:
        return Short(words.unpriced(least.owned, target))
    asked = buyer.asked
    tokens = affordable(asked, rates, least.room)
    if not asked.nameable:
        return Short(words.unbounded(least.owned, target), least)
    if tokens > 0:
        return Short(words.say_how_long(least, None, tokens, target, buyer.word), least)
    return Short(words.too_little(least, asked.input * rates.input + rates.output, target, now), least)


def could_ask(asked: Asked, rates: Rates | None, room: int) -> int:
    """Tokens that the caller could ask for, where it has not named any."""
    return 0 if rates is None or asked.output is not None or not asked.nameable else affordable(asked, rates, room)


class Word(NamedTuple):
    """What budgets have said to one request so far: it holds for the targets that come next."""

    stopped: Failure | None = None
    """It goes nowhere any more."""
    near: Failure | None = None
    """It goes to targets on this machine only."""

    def at(self, target: Target) -> Failure | None:
        """Why it is not asked, whatever is left; `None`: it may be."""
        return self.stopped or (None if target.local else self.near)

    def after(self, short: Short) -> Word:
        """A backend's own budget says nothing of other targets."""
        if short.stands is None:
            return self
        then = short.stands.budget.on_exceeded
        if then is OnExceeded.LOCAL:
            return self._replace(near=short.failure)
        if then is OnExceeded.REFUSE and short.stands.owned.scope is not Scope.BACKEND:
            return self._replace(stopped=short.failure)
        return self


NO_WORD = Word()

Stands = tuple[Sequence[Standing], Sequence[Standing]]
"""Budgets for one request by itself, and those of hours, days and so on."""


class Unsent(NamedTuple):
    """A target that a request cannot be sent to now."""

    failure: Failure
    reason: str
    """For a reader."""


def looked_at(
    targets: Iterable[Target],
    buyer: Buyer,
    stands_at: Callable[[str], Stands],
    now: float,
    shut: Callable[[Target], Failure | None] = lambda _: None,
) -> dict[str, Unsent]:
    """Those of these targets, in the order of trying, that a request cannot pay for; by name. `stands_at`: what holds
    at a backend. `now` in Unix time. `shut`: why nothing at all can be sent to one; money is not asked for then."""
    found: dict[str, Unsent] = {}
    word = NO_WORD
    for target in targets:
        failure = shut(target)
        if failure is not None:
            found[target.name] = Unsent(failure, failure.message)
            continue
        failure = word.at(target)
        if failure is not None:
            found[target.name] = Unsent(failure, _AFTER_STOP if word.stopped is not None else _AFTER_NEAR)
            continue
        each, accounts = stands_at(target.backend)
        rates = rates_of(target)
        if not (each or accounts) or (rates is not None and rates.free):
            continue
        short = short_of(buyer, need_of(buyer, target, rates), target, each, accounts, now)
        if short is not None:
            found[target.name] = Unsent(short.failure, short.failure.message)
            word = word.after(short)
    return found


_AFTER_STOP = "not asked, since that budget refuses (on_exceeded)"
_AFTER_NEAR = "not on this machine, where that budget sends it (on_exceeded: local)"
