"""What a caller is told where a budget does not allow its request."""

from __future__ import annotations

from math import inf
from time import gmtime, strftime

from proxy.core.failure import Failure, FailureKind
from proxy.core.money.account import Standing
from proxy.core.money.budget import Budget, OnExceeded, Owned, Per, Scope, dollars

SOON = 1.0
"""Seconds after which it is worth another try where money is only reserved: requests that are under way give most of it
back."""
TIMES = {
    Per.REQUEST: " a request",
    Per.HOUR: " an hour",
    Per.DAY: " a day",
    Per.MONTH: " a month",
    Per.TOTAL: " in all",
}


def whose(scope: Scope, name: str) -> str:
    """`key 'alice'`."""
    return "all requests" if scope is Scope.ALL else f"{scope.value} '{name}'"


def much(budget: Budget) -> str:
    """`$5 a day`."""
    return dollars(budget.amount) + TIMES[budget.per]


def much_and_then(budget: Budget) -> str:
    """`$5 a day, then cheaper`: with what follows, where that is no refusal."""
    then = "" if budget.on_exceeded is OnExceeded.REFUSE else f", then {budget.on_exceeded.value}"
    return much(budget) + then


def until(ends: float) -> str:
    """When it begins anew, in UTC."""
    return "" if ends == inf else strftime(" until %Y-%m-%d %H:%M UTC", gmtime(ends))


def too_little(stands: Standing, cost: int, target: str, now: float) -> Failure:
    """There is not so much left."""
    left = f"{dollars(stands.spent)} of it is spent{until(stands.ends)}"
    if stands.reserved:
        left += f", {dollars(stands.reserved)} reserved by requests that are under way"
    if stands.owned.per is Per.REQUEST:
        left = f"{dollars(stands.spent)} of it is spent by this request" if stands.spent else ""
    may = f"this request may cost {dollars(cost)} at {target}"
    message = f"{_head(stands)}; {left}{', ' if left else ''}{'and ' if left else ''}{may}."
    alone = stands.spent + cost > stands.budget.amount
    wait = None if stands.owned.per is Per.REQUEST or stands.ends == inf else max(stands.ends - now, SOON)
    return Failure(FailureKind.BUDGET, message, retry_after=wait if alone else SOON, ours=True)


def say_how_long(stands: Standing, cost: int | None, tokens: int, target: str, word: str) -> Failure:
    """The request does not say how long its answer may be, and would be allowed with so many tokens. `word`: what that
    is called in the API in which it came."""
    may = "has no bound" if cost is None else f"may be up to {dollars(cost)}"
    message = (
        f"{_head(stands)}, and {dollars(stands.room)} is left; what an answer of {target} costs {may} without "
        f"'{word}': name it, with at most {tokens:,}."
    )
    return Failure(FailureKind.UNBOUNDED, message, param=word, ours=True)


def unpriced(owned: Owned, target: str) -> Failure:
    """Nobody knows what the target costs."""
    message = f"{_budget(owned)} holds for this request, and the price of {target} is not known."
    return Failure(FailureKind.UNBOUNDED, message, code="price_unknown", ours=True)


def unbounded(owned: Owned, target: str) -> Failure:
    """Nobody knows what this request costs there at most."""
    message = f"{_budget(owned)} holds for this request, and what it costs at {target} has no bound."
    return Failure(FailureKind.UNBOUNDED, message, code="cost_unbounded", ours=True)


def _head(stands: Standing) -> str:
    return f"{_budget(stands.owned)} is {much(stands.budget)}"


def _budget(owned: Owned) -> str:
    return f"The budget of {whose(owned.scope, owned.name)}"
