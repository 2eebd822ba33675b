"""Weighted turns: smooth weighted round-robin (as in nginx's `ngx_http_upstream_round_robin.c`), as a ring of states
that is walked along: each state is worked out once."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from math import gcd, lcm

FINEST = 1000
"""Weights are taken as fractions with a denominator of at most so much."""
KEPT = 50_000
"""Names that the states of one ring hold together; a ring that would need more works its states out each time."""


class Turn:
    """One state. `order`: the names, the one whose turn it is first, then by what they have saved up."""

    __slots__ = ("_next", "order", "ring", "saved")

    def __init__(self, ring: Ring, saved: tuple[int, ...]) -> None:
        """`saved`: how much each name has saved up before this turn. They add up to zero."""
        self.ring = ring
        gained = [had + weight for had, weight in zip(saved, ring.weights, strict=True)]
        places = sorted(range(len(gained)), key=lambda place: -gained[place])
        self.order = tuple([ring.names[place] for place in places])
        gained[places[0]] -= ring.total
        self.saved = tuple(gained)
        """After it."""
        self._next: Turn | None = None

    @property
    def next(self) -> Turn:
        """The state after this one."""
        if self._next is not None:
            return self._next
        if not any(self.saved):
            return self.ring.first
        following = Turn(self.ring, self.saved)
        if self.ring.kept:
            self._next = following
        return following


class Ring:
    """The states of some names with weights.

    Over as many turns as whole weights add up to, each name is first exactly as often as its weight says, and never
    in a block where they can be spread. Names that come and go have a ring for each set of them that is there: each is
    exact over its own turns, and goes on where it stood.
    """

    __slots__ = ("first", "kept", "names", "total", "weights")

    def __init__(self, weighted: Sequence[tuple[str, float]]) -> None:
        parts = [Fraction(weight).limit_denominator(FINEST) or Fraction(1, FINEST) for _, weight in weighted]
        by = lcm(*(part.denominator for part in parts))
        whole = [int(part * by) for part in parts]
        common = gcd(*whole)
        self.names = tuple(name for name, _ in weighted)
        self.weights = tuple(weight // common for weight in whole)
        self.total = sum(self.weights)
        self.kept = self.total * len(self.names) <= KEPT
        self.first = Turn(self, (0,) * len(self.names))


@lru_cache(maxsize=1024)
def ring(group: str, weighted: tuple[tuple[str, float], ...]) -> Ring:
    """The ring of these members of a group: the same one for the same of them."""
    return Ring(weighted)
