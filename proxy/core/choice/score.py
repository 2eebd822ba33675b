"""`score`: four parts between 0 and 1, weighted. The formulas are in docs/choosing.md, too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from proxy.core.choice.policy import Weights

UNKNOWN = 0.5
"""A part of which nobody knows anything."""
SHIFTS = {
    "high": Weights(1.0, 0.5, 2.0, 2.0),
    "normal": Weights(1.0, 1.0, 1.0, 1.0),
    "low": Weights(1.0, 3.0, 0.5, 1.0),
}
"""By what the priority of a request multiplies the weights: what matters is answered soon and surely, what does not is
answered cheaply."""


class Part(NamedTuple):
    """What is known of one target, for this request."""

    has: int
    """Needed capabilities that it is known to have, among them room for the request."""
    unknown: int
    lacks: int
    cost: float | None
    """US dollars."""
    seconds: float | None
    """That the answer takes."""
    good: float
    """Share of attempts that served."""


def scores(parts: Sequence[Part], weights: Weights, priority: str = "") -> list[float]:
    """Between 0 and 1, of the same length."""
    shift = SHIFTS.get(priority, SHIFTS["normal"])
    used = Weights(*(weight * by for weight, by in zip(weights, shift, strict=True)))
    costs = [part.cost for part in parts if part.cost is not None]
    times = [part.seconds for part in parts if part.seconds is not None]
    cost, time = _mean(costs), _mean(times)
    total = sum(used) or 1.0
    return [
        (
            used.capability * _capable(part)
            + used.cost * _less(part.cost, cost)
            + used.performance * _less(part.seconds, time)
            + used.availability * part.good
        )
        / total
        for part in parts
    ]


def _capable(part: Part) -> float:
    known = part.has + part.unknown + part.lacks
    return (part.has + UNKNOWN * part.unknown) / known if known else 1.0


def _less(value: float | None, mean: float) -> float:
    """1 for nothing, a half for the mean of all, towards 0 for much more."""
    if value is None:
        return UNKNOWN
    return mean / (mean + value) if mean > 0 else 1.0


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
