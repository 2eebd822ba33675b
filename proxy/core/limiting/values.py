"""What a configuration says of limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil
from types import MappingProxyType
from typing import NamedTuple

REQUESTS, TOKENS = "requests", "tokens"
UNITS = (REQUESTS, TOKENS)


class Rate(NamedTuple):
    """So much in each window of `per` seconds."""

    unit: str
    """One of `UNITS`."""
    amount: int
    per: float
    fixed: bool = False
    """The windows stand one beside the other, aligned to UTC, as some providers count. Else any window counts."""

    def words(self) -> str:
        """For a reader: `60 requests a minute`."""
        unit = self.unit[:-1] if self.amount == 1 else self.unit
        return f"{self.amount:,} {unit} {_A.get(self.per) or f'in {span(self.per)}'}"


_A = {60.0: "a minute", 3600.0: "an hour", 86400.0: "a day", 1.0: "a second"}


def span(seconds: float) -> str:
    """A length of time: `90 s`, `5 m`, `2 h`."""
    for unit, size in (("h", 3600), ("m", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"


def in_words(seconds: float) -> str:
    """A time to wait, for a reader, never too short: `0.4 s`, `13 s`, `1 min 10 s`, `1 h 10 min`, `2 d 3 h`."""
    if seconds < 10:
        return f"{ceil(seconds * 10) / 10:g} s"
    seconds = ceil(seconds)
    for unit, size, small, part in (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if seconds >= size:
            whole, rest = divmod(ceil(seconds / part), size // part)
            return f"{whole} {unit} {rest} {small}" if rest else f"{whole} {unit}"
    return f"{seconds} s"


class Room(NamedTuple):
    """How much of a limit is left."""

    unit: str
    """`requests` or `tokens`."""
    limit: int
    left: int
    reset: float
    """Seconds until all of it is there again."""


class Rooms:
    """What is left of a caller's limits, by unit, as many answers tell it that come within a moment."""

    __slots__ = ("each", "lines")

    def __init__(self, each: tuple[Room, ...]) -> None:
        self.each = each
        self.lines = b""
        """In the words of whoever tells it, which are put together once."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one key, route, backend, target, or of all."""

    rates: tuple[Rate, ...] = ()
    concurrency: int | None = None
    """Requests at once. (Of backends and targets that stands beside their limits.)"""

    def __bool__(self) -> bool:
        return bool(self.rates) or self.concurrency is not None


NONE = Limits()


@dataclass(frozen=True, slots=True)
class Adaptive:
    """Requests in flight, found by what they do to the time an answer takes, and by refusals."""

    min: int = 1
    max: int = 200
    start: int = 8


HIGH, NORMAL, LOW = "high", "normal", "low"


@dataclass(frozen=True, slots=True)
class Class:
    """Those of one priority that wait."""

    weight: float
    size: int
    """So many at most."""
    wait: float
    """Seconds that each of them waits at most."""


WEIGHTS: Mapping[str, float] = MappingProxyType({HIGH: 4.0, NORMAL: 2.0, LOW: 1.0})


@dataclass(frozen=True, slots=True)
class Queue:
    """Where requests wait while nobody has a place for them."""

    size: int = 100
    """All of them together."""
    wait: float = 30.0
    classes: Mapping[str, Class] = field(default_factory=dict)

    def of(self, priority: str) -> Class:
        """What holds for a priority (empty: normal)."""
        known = self.classes.get(priority or NORMAL)
        return known or Class(WEIGHTS[priority or NORMAL], self.size, self.wait)
