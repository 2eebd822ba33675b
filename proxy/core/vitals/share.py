"""A share of events over the last 5 to 10 minutes, as a value that counts move on."""

from __future__ import annotations

from typing import NamedTuple

HALF = 300.0
"""Seconds of each of the two halves that it is taken over."""
LEAST = 20
"""Events below which no share is taken."""


class Share(NamedTuple):
    """Counts of this half and of the one before."""

    since: float = 0.0
    """When this half began, on any clock."""
    all: int = 0
    some: int = 0
    all_before: int = 0
    some_before: int = 0

    @property
    def value(self) -> float | None:
        """Some of all; `None`: too few to tell."""
        events = self.all + self.all_before
        return (self.some + self.some_before) / events if events >= LEAST else None


def shared(share: Share, now: float, all_: int, some: int) -> Share:
    """The value after so many more."""
    age = now - share.since
    if age >= 2 * HALF:
        share = Share(now)
    elif age >= HALF:
        share = Share(share.since + HALF, 0, 0, share.all, share.some)
    return share._replace(all=share.all + all_, some=share.some + some)
