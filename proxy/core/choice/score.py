"""`score`: parts between 0 and 1, weighted. The formulas are in docs/choosing.md, too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from proxy.core.choice.policy import Weights

UNKNOWN = 0.5
"""A part of which nobody knows anything."""
SHIFTS = {
    "high": Weights(1.0, 0.5, 2.0, 2.0, 1.0),
    "normal": Weights(1.0, 1.0, 1.0, 1.0, 1.0),
    "low": Weights(1.0, 3.0, 0.5, 1.0, 1.0),
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
    quality: float | None = None
    """What its answers have been worth."""


def scores(parts: Sequence[Part], weights: Weights, priority: str = "") -> list[float]:
    """Between 0 and 1, of the same length."""
    return with_costs(*rest(parts, weights, priority), [part.cost for part in parts])


def rest(parts: Sequence[Part], weights: Weights, priority: str = "") -> tuple[list[float], float]:
    """The scores without what the costs add to them, and the weight of that."""
    shift = SHIFTS.get(priority, SHIFTS["normal"])
    used = Weights(*(weight * by for weight, by in zip(weights, shift, strict=True)))
    time = _mean([part.seconds for part in parts if part.seconds is not None])
    rated = [part.quality for part in parts if part.quality is not None]
    if not rated:
        used = used._replace(quality=0.0)
    usual = _mean(rated)
    total = sum(used) or 1.0
    found = [
        (
            used.capability * _capable(part)
            + used.performance * _less(part.seconds, time)
            + used.availability * part.good
            + used.quality * (usual if part.quality is None else part.quality)
        )
        / total
        for part in parts
    ]
    return found, used.cost / total


def with_costs(rest: Sequence[float], weight: float, costs: Sequence[float | None]) -> list[float]:
    """The whole scores."""
    known = [cost for cost in costs if cost is not None]
    mean = _mean(known)
    if mean > 0 and len(known) == len(costs):
        return [one + weight * mean / (mean + cost) for one, cost in zip(rest, known, strict=True)]
    return [one + weight * _less(cost, mean) for one, cost in zip(rest, costs, strict=True)]


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
