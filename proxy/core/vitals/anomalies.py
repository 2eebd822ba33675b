"""What is not as usual at a target: each anomaly begins at one level and ends at a lower one, so that it does not
flicker; and none begins where too little is known.

| anomaly | begins | ends |
|---|---|---|
| `latency` | twice the usual one (`score.slowness`), by 20 answers at least | below 1.5 times |
| `errors` | 5 points above the usual share, by 20 attempts at least, and no mere chance | below 2 points above it |
| `traffic` | 3 times an hour's usual attempts, by 100 attempts at least | below twice |

"Now" is the last 10 to 15 minutes. Usual are the 7 days before the last hour, by 100 attempts at least; for traffic
the mean of those of the last 23 full hours in which there was any, 6 at least. No mere chance: where e failures would
be usual there are more than e + 4 sqrt(e + 1), which a Poisson process exceeds about once in 10,000 looks at most. One
that has begun stays while too little is known to tell, and ends when not even the last hour tells anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import NamedTuple

from proxy.core.vitals.score import LEAST, LEAST_USUAL, slowness
from proxy.core.vitals.windows import HOUR, Figures, Windows, recent_span

CHANCE = 4.0
"""Standard deviations."""
ATTEMPTS = 100
HOURS = 6
LEVELS = {"latency": (2.0, 1.5), "errors": (0.05, 0.02), "traffic": (3.0, 2.0)}
"""Where each begins, and below what it ends."""


class Known(NamedTuple):
    """What is known of one target."""

    now: Figures
    hour: Figures
    usual: Figures
    hours: Sequence[int]
    """Attempts of full hours in which there were any."""
    span: float
    """Seconds that `now` looks back."""


def measures(known: Known) -> dict[str, float | None]:
    """How far from usual it is: times for `latency` and `traffic`, points of share for `errors`; `None`: too little is
    known."""
    now, usual = known.now, known.usual
    above = None
    tried, before = now.served + now.failed, usual.served + usual.failed
    if tried >= LEAST and before >= LEAST_USUAL:
        above = now.failed / tried - usual.failed / before
    busy = None
    if len(known.hours) >= HOURS and now.attempts >= ATTEMPTS:
        busy = now.attempts * HOUR / known.span * len(known.hours) / sum(known.hours)
    return {"latency": slowness(now, usual), "errors": above, "traffic": busy}


def anomalies(known: Known, before: frozenset[str] = frozenset()) -> frozenset[str]:
    """Those that are there now, given those that were there when it was looked at last."""
    enough = known.hour.judged >= LEAST
    found = set[str]()
    for name, value in measures(known).items():
        begins, ends = LEVELS[name]
        there = name in before
        if value is None:
            there = there and enough and name != "traffic"  # too little traffic to tell is no traffic
        else:
            there = value >= (ends if there else begins) and (there or name != "errors" or _no_chance(known))
        if there:
            found.add(name)
    return frozenset(found)


def _no_chance(known: Known) -> bool:
    now, usual = known.now, known.usual
    expected = (now.served + now.failed) * usual.failed / (usual.served + usual.failed)
    return now.failed > expected + CHANCE * sqrt(expected + 1)


def known_of(windows: Windows, now: float) -> Known:
    """Of one target at this time (Unix, in seconds)."""
    return Known(
        windows.recent(now), windows.window("1h", now), windows.before(now), windows.hours(now), recent_span(now)
    )


def held(before: bool, value: float, begins: float, ends: float) -> bool:
    """Whether it is so, of something that begins at one level and ends at another: below it where that is lower, above
    it where it is higher."""
    level = ends if before else begins
    return value >= level if ends <= begins else value <= level
