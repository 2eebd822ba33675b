"""What is known of a target by its attempts, as one frozen value that outcomes move on. Feeds the strategies."""

from __future__ import annotations

from math import exp
from typing import NamedTuple

from proxy.core.failure import FailureKind
from proxy.core.outcome import Ended, Outcome

TAU = 10.0
"""Seconds in which what was measured loses all but a third of its weight against a new, lower measure."""
SHARE = 0.1
"""Weight of a new measure where it is not the time that counts."""
SHUN, SHUN_MAX = 10.0, 300.0
"""Seconds, for each failure in a row, that a target counts as failing; at most."""
REFUSES_MORE = frozenset({FailureKind.RATE_LIMITED, FailureKind.OVERLOADED})
GROWS = 10.0
"""Seconds after which one more is tried than what a target refused."""


class Measured(NamedTuple):
    """Seconds are on the engine's clock; `None`: nothing was measured yet."""

    first: float | None = None
    """Seconds to a stream's first content: at once up with a slower one, slowly down (peak-sensitive)."""
    per_token: float | None = None
    """Seconds a token of a stream after that, likewise."""
    whole: float | None = None
    """Seconds a token of answers that came at once, likewise; of one without tokens (vectors) the seconds."""
    at: float = 0.0
    """When these were measured last."""
    output: float | None = None
    """Tokens of an answer."""
    cached: float = 0.0
    """Share of the input that came from the provider's cache."""
    good: float = 1.0
    """Share of attempts that served, the latest most."""
    attempts: int = 0
    in_a_row: int = 0
    """Failures since the last success."""
    failed_at: float = -1e9
    carries: int | None = None
    """In flight when it refused more; `None`: it never did."""
    refused_at: float = 0.0
    dense: float = 1.0
    """Reported tokens of input for each that is estimated from the characters, as its model counts them."""
    quality: float | None = None
    """What its answers have been worth, from 0 to 1; `None`: none was rated."""

    def failing(self, now: float) -> bool:
        """It failed last, and not long ago."""
        return self.in_a_row > 0 and now < self.failed_at + min(SHUN * self.in_a_row, SHUN_MAX)

    def takes(self, tokens: float) -> float | None:
        """Seconds that an answer of so many tokens takes; `None`: nobody knows."""
        if self.first is not None:
            return self.first + (self.per_token or 0.0) * tokens
        return None if self.whole is None else self.whole * max(tokens, 1.0)

    @property
    def speed(self) -> float | None:
        """Tokens a second; `None`: nobody knows."""
        each = self.per_token if self.per_token is not None else self.whole if self.output else None
        return 1.0 / each if each else None

    def capacity(self, now: float) -> float | None:
        """How many it has shown that it can carry; more as time passes without a refusal."""
        return None if self.carries is None else self.carries + (now - self.refused_at) / GROWS


def moved(known: Measured, by: float) -> Measured:
    """On a clock that is ahead by so many seconds."""
    return known._replace(at=known.at + by, failed_at=known.failed_at + by, refused_at=known.refused_at + by)


FRESH = Measured()
_SERVED = Ended.SERVED  # reading a member off its class costs 0.13 us in Python 3.11
_new = tuple.__new__  # a third of what the class's own `__new__` costs, which is a Python function


def measure(known: Measured, outcome: Outcome, now: float, busy: int = 0) -> Measured:
    """The value after an attempt's end. `busy`: others in flight there. A failure makes no measure better."""
    ended = outcome.ended
    if ended is _SERVED:
        return _served(known, outcome, now)
    if ended is Ended.CANCELLED or outcome.failure is None or not _its_own(outcome.failure):
        return known
    took = outcome.last - outcome.sent
    carries, refused_at = known.carries, known.refused_at
    if outcome.failure in REFUSES_MORE:
        carries, refused_at = max(busy, 1), now
    return known._replace(
        first=None if known.first is None else max(known.first, took),
        whole=None if known.whole is None else max(known.whole, took / max(known.output or 1.0, 1.0)),
        good=known.good * (1 - SHARE),
        attempts=known.attempts + 1,
        in_a_row=known.in_a_row + 1,
        failed_at=now,
        carries=carries,
        refused_at=refused_at,
    )


def _its_own(kind: FailureKind) -> bool:
    """It says something of the target, not of the request."""
    return kind.name not in _OF_REQUESTS


_OF_REQUESTS = frozenset(
    {"CONTEXT_LENGTH", "UNSUPPORTED", "BAD_REQUEST", "FILTERED", "TOOL_USE", "CLIENT_GONE", "BUSY", "DRAINING"}
)


def _served(known: Measured, outcome: Outcome, now: float) -> Measured:
    """Peak-sensitive: the worse counts at once, the better by and by (as in Finagle's `PeakEwma`)."""
    first, per_token, whole, at, output, cached, good, attempts, _, failed_at, carries, refused_at, dense, quality = (
        known
    )
    usage = outcome.usage
    tokens = 0
    if usage is not None:
        tokens, into = usage.output, usage.input
        if into:
            share = usage.cached_input / into
            cached += SHARE * ((share if share < 1.0 else 1.0) - cached)  # or a cost would be less than nothing
    sent, began = outcome.sent, outcome.first_content
    took = outcome.last - sent
    part = exp((at - now) / TAU) if now > at else 1.0
    if outcome.stream and began is not None:
        waited = began - sent
        first = waited if first is None or waited > first else waited + (first - waited) * part
        if tokens > 1:
            each = (took - waited) / (tokens - 1)
            per_token = each if per_token is None or each > per_token else each + (per_token - each) * part
    else:
        each = took / tokens if tokens else took
        whole = each if whole is None or each > whole else each + (whole - each) * part
    output = tokens if output is None else output + SHARE * (tokens - output)
    good += SHARE * (1.0 - good)
    return _new(
        Measured,
        (
            *(first, per_token, whole, now, output, cached, good, attempts + 1, 0, failed_at, carries, refused_at),
            *(dense, quality),
        ),
    )
