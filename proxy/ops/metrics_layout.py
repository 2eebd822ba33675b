"""Which numbers there are, and where each one stands in a flat array.

A *family* is a metric. A *block* is its numbers for one set of outer labels (a route, a target); inside a block the
cells are its buckets and sum, or one cell for each combination of its inner labels, whose values are known beforehand.
So the places are settled when a configuration is loaded, counting is adding to a cell, and no client can make a series.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import product
from typing import NamedTuple

from proxy.core.failure import FailureKind
from proxy.core.outcome import Ended
from proxy.core.relay import RELAYS
from proxy.core.usage import Source


class Family(NamedTuple):
    """A counter, or with `bounds` a histogram (their upper ends, included; seconds, or a number)."""

    name: str
    help: str
    labels: tuple[str, ...] = ()
    inner: tuple[str, ...] = ()
    cells: tuple[tuple[str, ...], ...] = ((),)
    """The values of the inner labels."""
    bounds: tuple[float, ...] = ()

    @property
    def size(self) -> int:
        """Cells of a block. A histogram has one for each bound, one for what is beyond, and the sum."""
        return len(self.bounds) + 2 if self.bounds else len(self.cells)


ENDED = tuple(ended.value for ended in Ended)
FAILURES = ("", *(kind.value for kind in FailureKind))
STATUSES = (200, 400, 401, 403, 404, 408, 413, 415, 422, 429, 499, 500, 502, 503, 504)
"""Statuses with a series of their own; the others are counted as `other`."""
ENDPOINTS = (
    *("chat", "embed", "messages", "count_tokens", "responses", "completions", "test", "judge"),
    *(relay.name for relay in RELAYS),
)
DIRECTIONS = ("input", "output", "cached", "cache_write", "reasoning")
SOURCES = tuple(source.value for source in Source)

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)

REQUESTS = Family(
    "wayline_requests",
    "Requests that ended, by the status that the client got (499: it left before the end).",
    ("route",),
    ("endpoint", "status"),
    tuple(product(ENDPOINTS, (*map(str, STATUSES), "other"))),
)
REQUEST_DURATION = Family(
    "wayline_request_duration_seconds",
    "From a request's arrival to its end.",
    ("route",),
    bounds=_SECONDS,
)
REQUEST_ATTEMPTS = Family(
    "wayline_attempts_per_request",
    "How many attempts a request took.",
    ("route",),
    bounds=(0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 10.0),
)
FAILOVERS = Family("wayline_failovers", "Requests that took more than one attempt.", ("route",))
ATTEMPTS = Family(
    "wayline_attempts",
    "Attempts, by how they ended and what went wrong.",
    ("route", "target"),
    ("ended", "failure"),
    tuple(product(ENDED, FAILURES)),
)
ATTEMPT_DURATION = Family(
    "wayline_attempt_duration_seconds", "From sending an attempt to its end.", ("target",), bounds=_SECONDS
)
FIRST_TOKEN = Family(
    "wayline_time_to_first_token_seconds",
    "Streams: from the request's arrival to the first content, failed attempts before it included.",
    ("route", "target"),
    bounds=_SECONDS,
)
TOKENS = Family(
    "wayline_tokens",
    "Tokens. cached and cache_write are parts of input, reasoning of output.",
    ("target",),
    ("source", "direction"),
    tuple(product(SOURCES, DIRECTIONS)),
)
COST = Family("wayline_cost_usd", "Known cost in US dollars.", ("route", "target"))
COST_UNKNOWN = Family(
    "wayline_cost_unknown", "Attempts that may have cost something, and nobody knows what.", ("route", "target")
)

FAMILIES = (
    REQUESTS,
    REQUEST_DURATION,
    REQUEST_ATTEMPTS,
    FAILOVERS,
    ATTEMPTS,
    ATTEMPT_DURATION,
    FIRST_TOKEN,
    TOKENS,
    COST,
    COST_UNKNOWN,
)
BY_NAME = {family.name: family for family in FAMILIES}

Key = tuple[str, tuple[str, ...]]
"""A block: the family's name and the values of its outer labels."""


class Pair(NamedTuple):
    """Where the numbers of one target on one route begin."""

    attempts: int
    duration: int
    first_token: int
    tokens: int
    cost: int
    cost_unknown: int


class Line(NamedTuple):
    """Where the numbers of one route begin."""

    requests: int
    duration: int
    attempts: int
    failovers: int


class Layout:
    """The blocks for some routes: {route: its targets}. The route "" and its target "" stand for all others.

    Targets `backend/*` of the route "" are for what is asked of that backend without a route.
    """

    def __init__(self, routes: Mapping[str, Iterable[str]]) -> None:
        self.blocks: dict[Key, int] = {}
        """Where each block begins."""
        self.size = 0
        """Cells in all."""
        self.lines: dict[str, Line] = {}
        self.pairs: dict[str, dict[str, Pair]] = {}
        for route in ("", *routes):
            self.lines[route] = Line(
                self._block(REQUESTS, route),
                self._block(REQUEST_DURATION, route),
                self._block(REQUEST_ATTEMPTS, route),
                self._block(FAILOVERS, route),
            )
            targets = routes.get(route, ())
            self.pairs[route] = {target: self._pair(route, target) for target in targets}
        self.pairs[""][""] = self.rest = self._pair("", "")

    def pair(self, route: str, target: str, backend: str) -> Pair:
        """Where an attempt is counted."""
        found = self.pairs.get(route, {}).get(target)
        return found or self.pairs[""].get(f"{backend}/*", self.rest)

    def _pair(self, route: str, target: str) -> Pair:
        return Pair(
            self._block(ATTEMPTS, route, target),
            self._block(ATTEMPT_DURATION, target),
            self._block(FIRST_TOKEN, route, target),
            self._block(TOKENS, target),
            self._block(COST, route, target),
            self._block(COST_UNKNOWN, route, target),
        )

    def _block(self, family: Family, *labels: str) -> int:
        key = (family.name, labels)
        start = self.blocks.get(key)
        if start is None:
            start = self.blocks[key] = self.size
            self.size += family.size
        return start
