"""How long everything takes: real times, or the same story in less than a minute."""

from __future__ import annotations

from typing import NamedTuple


class Profile(NamedTuple):
    """Seconds."""

    name: str
    patience: float
    """A client waits this long; what is not over then hangs."""
    first: float
    """The route's limit to the first content: below `late`."""
    late: float
    """When a slow primary says its first word."""
    idle: float
    """The route's limit between two events with content: below `stall`."""
    stall: float
    """How long a primary stops in the middle of its answer."""
    retry_after: int
    """What a 429 asks for that the same target is waited for."""
    away: int
    """What a 429 asks for that sends us elsewhere, as an HTTP date."""
    down: float
    """How long a primary is down that flaps."""
    every: float
    """The pace of requests meanwhile."""
    back: float
    """Within this the primary must be in use again after its recovery."""
    proxy: int
    """`proxy_read_timeout` of the nginx in front of us, in whole seconds."""


FULL = Profile("full", 30.0, 10.0, 20.0, 5.0, 30.0, 2, 30, 60.0, 3.0, 30.0, 5)
QUICK = Profile("quick", 15.0, 1.5, 4.0, 1.2, 5.0, 1, 5, 4.0, 0.25, 30.0, 1)
PROFILES = {each.name: each for each in (FULL, QUICK)}
