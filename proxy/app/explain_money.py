"""What budgets would say to a request that is explained: whose money it is, and how that stands."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import NamedTuple

from proxy.core.failure import Failure
from proxy.core.key import Key
from proxy.core.money.account import Standing
from proxy.core.money.afford import Buyer, Named, Stands, Unsent, holding, looked_at
from proxy.core.money.bound import Asked
from proxy.core.money.budget import Budget, Owned, Per, Terms, period
from proxy.core.route import Route, Target
from proxy.engine.purses import Purses

Known = Mapping[Owned, tuple[int, int]]
"""What is spent and what is reserved, in parts of a dollar."""


class Payer(NamedTuple):
    """Whose request it is, and what for."""

    terms: Terms
    key: Key
    route: str
    tags: tuple[str, ...]
    """Its own and those of its key, in order."""
    asked: Asked

    def holding(self, backend: str) -> Collection[Named]:
        """The budgets that hold for it at this backend."""
        return tuple(holding(self.terms, self.key.budgets, self.key.name, self.route, backend, self.tags))

    def lasting(self, route: Route) -> set[Owned]:
        """Of all that may hold for it those of which something may be spent already."""
        backends = {target.backend for target in route.targets}
        return {owned for one in backends for owned, _ in self.holding(one) if owned.per is not Per.REQUEST}


class Purse(NamedTuple):
    """What of it is left at this moment. `now` in Unix time."""

    buyer: Buyer
    stands_at: Callable[[str], Stands]
    now: float

    def unsent(
        self, targets: Iterable[Target], shut: Callable[[Target], Failure | None] = lambda _: None
    ) -> dict[str, Unsent]:
        """Targets that the request cannot pay for, or that are shut, by name."""
        return looked_at(targets, self.buyer, self.stands_at, self.now, shut)


def as_it_is(payer: Payer, purses: Purses, now: float) -> Purse:
    """As a running server's money stands."""
    key, route, tags = payer.key.name, payer.route, payer.tags
    return Purse(Buyer(payer.asked, payer.terms.ask), lambda backend: purses.look(key, route, backend, tags), now)


def as_known(payer: Payer, known: Known, now: float) -> Purse:
    """As it stands where so much is spent and reserved; of what is not there nothing is."""

    def stands_at(backend: str) -> Stands:
        stands = [_standing(owned, budget, known, now) for owned, budget in payer.holding(backend)]
        each = [one for one in stands if one.owned.per is Per.REQUEST]
        return each, [one for one in stands if one.owned.per is not Per.REQUEST]

    return Purse(Buyer(payer.asked, payer.terms.ask), stands_at, now)


def _standing(owned: Owned, budget: Budget, known: Known, now: float) -> Standing:
    spent, reserved = known.get(owned, (0, 0))
    return Standing(owned, budget, spent, reserved, *period(owned.per, now))
