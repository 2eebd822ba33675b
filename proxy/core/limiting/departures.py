"""How fast a queue moves: for an honest Retry-After."""

from __future__ import annotations

from math import exp
from typing import NamedTuple

MEMORY = 30.0
"""Seconds after which a departure counts for a third."""
LEAST, MOST = 1.0, 120.0
"""Seconds that somebody is told to stay away; the openai SDK gives up a call whose Retry-After is longer."""


class Departures(NamedTuple):
    """Of those who had a place. Seconds on the engine's clock."""

    since: float
    at: float
    weight: float = 0.0

    def after(self, now: float) -> Departures:
        """One more."""
        return Departures(self.since, now, self.weight * exp((self.at - now) / MEMORY) + 1.0)

    def rate(self, now: float) -> float:
        """So many a second of late; 0 where nobody left yet."""
        seen = MEMORY * (1.0 - exp((self.since - now) / MEMORY))
        return self.weight * exp((self.at - now) / MEMORY) / max(seen, 1.0)

    def wait(self, ahead: int, now: float) -> float:
        """Seconds until the one with so many before it may have its turn."""
        rate = self.rate(now)
        return min(max((ahead + 1) / rate, LEAST), MOST) if rate > 0 else LEAST
