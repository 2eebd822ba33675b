"""How long a model is left alone after its worker died."""

from __future__ import annotations

from random import Random

FIRST = 1.0
LONGEST = 60.0
SPREAD = 0.2


class Backoff:
    """Seconds to wait before the next start: nothing after the first death of a worker that had been ready (it had
    proved that it can run), then 1, 2, 4 … 60, each +-20 % so that several models do not start in step."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng

    def __call__(self, deaths: int) -> float:
        """`deaths`: how many in a row, at least 1."""
        if deaths <= 1:
            return 0.0
        # The exponent is bounded too: a float to the power of a long series of deaths would overflow.
        delay = min(LONGEST, FIRST * 2.0 ** min(deaths - 2, 16))
        return delay * self._rng.uniform(1 - SPREAD, 1 + SPREAD)
