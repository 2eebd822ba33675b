"""Whether a target may be tried: its circuit and its cooldown, as one frozen value that outcomes move on."""

from __future__ import annotations

from enum import IntEnum
from math import inf
from typing import NamedTuple

from proxy.core.failure import VERDICTS, FailureKind
from proxy.core.outcome import Ended

OPEN_AFTER = 5
"""Failures in a row that open the circuit: a dead target costs at most so many tries."""
WINDOW = 10.0
"""Seconds over which the error rate is taken."""
WINDOW_MIN = 10
"""Outcomes in the window below which no rate is taken: two failures of three say little."""
OPEN_FOR, OPEN_FOR_MAX = 10.0, 24.0
"""Seconds the circuit stays open the first time, n times as long the n-th time in a row, and at most: who is refused
at once loses nothing by asking, and with the spread a target that recovers is back in use within 30 s."""
SLOW_OPEN_FOR, SLOW_OPEN_FOR_MAX = 30.0, 300.0
"""The same where a failure costs a caller a timeout."""
SLOW = frozenset(
    {FailureKind.CONNECT_TIMEOUT, FailureKind.FIRST_TIMEOUT, FailureKind.IDLE_TIMEOUT, FailureKind.STALLED}
)
SPREAD = 0.2
"""+-20 %, so that fifty replicas do not probe at the same moment."""
COOLDOWN_MAX = 3600.0
"""No upstream is believed when it asks for more than an hour."""


class Standing(IntEnum):
    """What a target's health says about trying it now."""

    WELL = 0
    PROBE = 1
    """Its circuit has been open long enough: one real request may try it."""
    PROBING = 2
    """One request is trying it right now."""
    OPEN = 3
    COOLING = 4
    """The upstream asked for time (or our key or model is wrong there): asking before would be hammering."""
    SPENT = 5
    """It said that nothing remains of its limits: it is asked after all others."""


class Health(NamedTuple):
    """Times are seconds on the engine's monotonic clock."""

    in_a_row: int = 0
    """Failures since the last success, of attempts that were sent after it was."""
    since: float = 0.0
    """Start of the current half of the window."""
    good: int = 0
    bad: int = 0
    good_before: int = 0
    bad_before: int = 0
    """Counts of this half of the window and of the half before."""
    opened: int = 0
    """How often in a row the circuit has opened; 0: it is closed."""
    opened_at: float = 0.0
    open_until: float = 0.0
    probing: bool = False
    cooled_at: float = 0.0
    cool_until: float = 0.0
    cause: FailureKind | None = None
    """The failure that opened the circuit or began the cooldown."""
    foretold: bool = False
    """The cooldown is our own guess, by what the upstream says of its limits: it refused nothing yet."""
    served_sent: float = -inf
    """When the latest of those attempts was sent that it has served."""


WELL = Health()
_SERVED = Ended.SERVED  # reading a member off its class costs 0.13 us in Python 3.11
_UNTROUBLED = WELL[6:-1]
_new = tuple.__new__  # a third of what the class's own `__new__` costs, which is a Python function


def standing(health: Health, now: float) -> Standing:
    """May it be tried at `now`?"""
    cools = health.cool_until > now
    if cools and not health.foretold:
        return Standing.COOLING
    if not health.opened:
        return Standing.SPENT if cools else Standing.WELL
    if health.open_until > now:
        return Standing.OPEN
    return Standing.PROBING if health.probing else Standing.PROBE


def on_send(health: Health, now: float) -> Health:
    """The value after an attempt was sent: a probe takes the one place there is."""
    if health.opened and not health.probing and health.open_until <= now:
        return health._replace(probing=True)
    return health


def on_outcome(
    health: Health,
    ended: Ended,
    failure: FailureKind | None,
    *,
    sent: float,
    now: float,
    retry_after: float | None = None,
    jitter: float = 0.5,
) -> Health:
    """The value after an attempt's end.

    `sent`: when that attempt was sent: what was sent before the circuit opened says nothing about it any more, and a
    failure that comes late (a timeout does) is none in a row where what was sent after it was served.
    `retry_after`: seconds the upstream asked for. `jitter`: in [0, 1), spreads the opening.
    """
    stale = bool(health.opened) and sent < health.opened_at
    if ended is _SERVED:
        return health if stale else _succeeded(health, sent, now)
    if failure is None or ended is Ended.CANCELLED:
        return health._replace(probing=False) if health.probing and not stale else health
    verdict = VERDICTS[failure]
    wait = verdict.cooldown if retry_after is None else min(retry_after, COOLDOWN_MAX)
    if wait > 0 and verdict.status != 400:
        until = now + wait if health.foretold else max(health.cool_until, now + wait)  # its own word counts
        health = health._replace(cooled_at=now, cool_until=until, cause=failure, foretold=False)
    if stale:
        return health
    if not verdict.counts:
        return health._replace(probing=False) if health.probing else health
    return _failed(health, failure, sent, now, jitter)


def cooled(health: Health, cause: FailureKind, until: float, now: float, *, foretold: bool = False) -> Health:
    """The value after it became known, not by an attempt's failure, that it is best left alone until then.

    `foretold`: its own headers say that it is about to refuse; a cooldown that it asked for stays as it is.
    """
    if foretold and health.cool_until > now and not health.foretold:
        return health
    return health._replace(cooled_at=now, cool_until=until, cause=cause, foretold=foretold)


def _succeeded(health: Health, sent: float, now: float) -> Health:
    cools = health.cool_until > now and sent < health.cooled_at  # what was sent earlier does not end a cooldown
    if cools:
        return health._replace(opened=0, probing=False, in_a_row=0) if health.opened else health
    if health.opened:
        return Health(since=now, good=1, served_sent=sent)
    since, good, bad, good_before, bad_before = health[1:6]
    if now - since >= WINDOW / 2:
        since, good, bad, good_before, bad_before = _rolled(health, now)
    latest = health.served_sent
    if sent > latest:
        latest = sent
    return _new(Health, (0, since, good + 1, bad, good_before, bad_before, *_UNTROUBLED, latest))


def _failed(health: Health, failure: FailureKind, sent: float, now: float, jitter: float) -> Health:
    since, good, bad, good_before, bad_before = _rolled(health, now)
    bad += 1
    in_a_row = health.in_a_row + (sent >= health.served_sent)
    total_bad = bad + bad_before
    total = total_bad + good + good_before
    trips = in_a_row >= OPEN_AFTER or (total >= WINDOW_MIN and 2 * total_bad >= total)
    if not (trips or health.opened):
        return health._replace(
            in_a_row=in_a_row, since=since, good=good, bad=bad, good_before=good_before, bad_before=bad_before
        )
    if health.opened and health.open_until > now:
        return health._replace(in_a_row=in_a_row)  # tried all the same, since every target was open
    return _opened(health, failure, in_a_row, now, jitter)


def found_down(health: Health, cause: FailureKind, now: float, jitter: float = 0.5) -> Health:
    """The value after probes found that it is out of order: its circuit is open, or goes on being so."""
    if health.opened and health.open_until > now:
        return health
    return _opened(health, cause, health.in_a_row, now, jitter)


def found_up(health: Health, now: float) -> Health:
    """The value after probes found that it answers again. What its upstream asked for by itself still holds."""
    if not health.opened:
        return health
    if health.cool_until > now:
        return health._replace(opened=0, probing=False, in_a_row=0)
    return Health(since=now)


def _opened(health: Health, failure: FailureKind, in_a_row: int, now: float, jitter: float) -> Health:
    opened = health.opened + 1
    once, most = (SLOW_OPEN_FOR, SLOW_OPEN_FOR_MAX) if failure in SLOW else (OPEN_FOR, OPEN_FOR_MAX)
    length = min(once * opened, most) * (1 - SPREAD + 2 * SPREAD * jitter)
    return Health(
        in_a_row=in_a_row,
        since=now,
        opened=opened,
        opened_at=now,
        open_until=now + length,
        cooled_at=health.cooled_at,
        cool_until=health.cool_until,
        cause=failure,
        foretold=health.foretold,
    )


def _rolled(health: Health, now: float) -> tuple[float, int, int, int, int]:
    half = WINDOW / 2
    age = now - health.since
    if age < half:
        return health.since, health.good, health.bad, health.good_before, health.bad_before
    if age < WINDOW:
        return health.since + half, 0, 0, health.good, health.bad
    return now, 0, 0, 0, 0
