"""How limits and budgets stand for a request, for the record of one that was not simply served."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from proxy.core.money.account import Standing
from proxy.core.money.budget import dollars
from proxy.core.money.words import much, whose
from proxy.core.told import Note
from proxy.engine.purses import Purses
from proxy.engine.scopes import Scope

if TYPE_CHECKING:
    from proxy.engine.exchange import Exchange


def stands(exchange: Exchange, backend: str, now: float) -> Iterator[Note]:
    """All that hold for it. `backend`: the one that it was tried at last; may be empty. `now` on the engine's clock."""
    held = exchange.held
    for scope in () if held is None else held.bounds.scopes:
        yield Note("limit", scope.words, ", ".join(_taken(scope, now)))
    admission = exchange.engine.admission
    if admission is not None and isinstance(admission.purses, Purses):
        for one in admission.purses.standings_of(exchange, backend):
            yield Note("budget", _whose(one), _spent(one))


def _taken(scope: Scope, now: float) -> Iterator[str]:
    if scope.limit is not None:
        yield f"{scope.busy:,} of {scope.limit:,} requests at once"
    for window in () if scope.meter is None else scope.meter.windows:
        rate = window.rate
        yield f"{max(rate.amount - window.left(now), 0):,.0f} of {rate.words()}"


def _whose(one: Standing) -> str:
    return whose(one.owned.scope, one.owned.name)


def _spent(one: Standing) -> str:
    reserved = f", {dollars(one.reserved)} more reserved" if one.reserved else ""
    return f"{dollars(one.spent)} of {much(one.budget)} spent{reserved}"
