"""How well a target is, from 0 to 100.

    100 - 40 * min(1, E / 25 %)                   errors: E of the attempts of the last hour failed
        - 30 * min(1, max(0, L - 1.25) / 1.75)    latency: L times its own usual; all 30 from 3 times on
        - 10 for each of the anomalies `latency`, `errors`, and 5 for `traffic`, 20 at most
        - 10 * min(1, R / 25 %)                   cut streams and refusals: R of the attempts of the last hour

E = failed / (served + failed) and R = (cut + refused) / (served + cut + refused), below by at least 20 (`LEAST`): one
failure of one attempt says little. L is the mean of two ratios, of the medians and of the 95th percentiles of the last
hour and of the 7 days before it: of the time to a stream's first content where both know enough of them, else of the
time to the end of an answer. Where neither knows enough, L is 1. (Up to 1.25 costs nothing: each quantile may be 7 %
off.) Each part depends on what is its own alone: more of one ill never makes up for another.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from proxy.core.vitals.windows import FIRST, TOTAL, Figures

ERRORS, LATENCY, ANOMALIES, TROUBLES = 40.0, 30.0, 20.0, 10.0
"""The most points that each part can take."""
ALL_AT = 0.25
"""The share of errors, or of cut streams and refusals, that takes all of the part's points."""
FROM, UNTIL = 1.25, 3.0
"""Latency against the usual one: from here on it costs points, and here it takes them all."""
POINTS = {"latency": 10.0, "errors": 10.0, "traffic": 5.0}
"""For an anomaly."""
LEAST = 20
"""Attempts below which a share is taken of so many; and values in the last hour below which no latency is compared."""
LEAST_USUAL = 100
"""The same for the days before."""


class Score(NamedTuple):
    """The points that each part takes."""

    errors: float = 0.0
    latency: float = 0.0
    anomalies: float = 0.0
    troubles: float = 0.0

    @property
    def value(self) -> float:
        """From 0 to 100."""
        return 100.0 - self.errors - self.latency - self.anomalies - self.troubles


def error_rate(figures: Figures) -> float:
    """The share of attempts that failed, of those that served or failed."""
    return figures.failed / max(figures.served + figures.failed, LEAST)


def trouble_rate(figures: Figures) -> float:
    """The share of attempts that were cut or refused, of those that served, were cut or were refused."""
    troubles = figures.cut + figures.refused
    return troubles / max(figures.served + troubles, LEAST)


def slowness(now: Figures, usual: Figures) -> float | None:
    """How many times the usual latency it takes; `None`: too little is known of either."""
    for sketch in (FIRST, TOTAL):
        if now.counted(sketch) >= LEAST and usual.counted(sketch) >= LEAST_USUAL:
            ratios = [_ratio(now.quantile(sketch, q), usual.quantile(sketch, q)) for q in (0.5, 0.95)]
            return sum(ratios) / 2
    return None


def _ratio(now: float | None, usual: float | None) -> float:
    return 1.0 if now is None or not usual else now / usual


def points(errors: float, slower: float, anomalies: Collection[str], troubles: float) -> Score:
    """`errors`, `troubles`: shares. `slower`: times the usual latency. `anomalies`: of `POINTS`."""
    return Score(
        ERRORS * min(1.0, errors / ALL_AT),
        LATENCY * min(1.0, max(0.0, slower - FROM) / (UNTIL - FROM)),
        min(ANOMALIES, sum(POINTS[name] for name in set(anomalies))),
        TROUBLES * min(1.0, troubles / ALL_AT),
    )


def score(hour: Figures, usual: Figures, anomalies: Collection[str] = ()) -> Score:
    """`hour`: the last hour. `usual`: the days before it."""
    slower = slowness(hour, usual)
    return points(error_rate(hour), 1.0 if slower is None else slower, anomalies, trouble_rate(hour))
