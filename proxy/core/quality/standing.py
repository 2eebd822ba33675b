"""How a target's answers have been, as one frozen value that evaluations and clients' words move on."""

from __future__ import annotations

from typing import NamedTuple

SHARE = 0.1
"""Weight of a new value."""
LEAST = 10
"""Values below which nothing is concluded."""
CLEAR = 0.05
"""So far above the bound it counts as good again."""


class Standing(NamedTuple):
    """`value` between 0 and 1; of so many answers."""

    value: float = 0.0
    answers: int = 0
    low: bool = False
    """It is below the route's `min_quality`."""


def moved(known: Standing, value: float, least: float) -> Standing:
    """After one more value. The first ones weigh the same, later ones `SHARE`. `least`: the route's `min_quality`."""
    answers = known.answers + 1
    mean = known.value + (value - known.value) * max(SHARE, 1.0 / answers)
    low = mean < least + (CLEAR if known.low else 0.0)
    return Standing(mean, answers, low and (known.low or answers >= LEAST))
