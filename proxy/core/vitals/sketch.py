"""Quantiles in constant memory: a histogram whose buckets grow by 15 % each, so that a quantile is off by 7 % at most.

As in DDSketch (Masson, Rim, Lee, "DDSketch: A Fast and Fully-Mergeable Quantile Sketch with Relative-Error
Guarantees", VLDB 2019, section 2): with buckets that grow by a factor g, the point between a bucket's ends that is
nearest to all of it in relative terms is 2 / (g + 1) of its upper end, and is off by (g - 1) / (g + 1) at most. Two
sketches are merged by adding their counts, which loses nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log

GROWTH = 1.15
ERROR = (GROWTH - 1) / (GROWTH + 1)
"""The relative error of a quantile, at most: 0.0698."""
BUCKETS = 96
SCALE = 1 / log(GROWTH)
SECONDS = 0.001
"""The least time that is told apart. Those from 585 s on are one too."""
RATE = 0.05
"""The least rate (tokens a second) that is told apart. Those from 29,000 on are one too."""


def bucket(value: float, least: float) -> int:
    """The place of a positive value among the buckets, of which the first begins at `least`."""
    if value <= least:
        return 0
    place = int(log(value / least) * SCALE)
    return place if place < BUCKETS else BUCKETS - 1


def middle(place: int, least: float) -> float:
    """The value that stands for all of a bucket."""
    return float(least * GROWTH**place * 2 * GROWTH / (GROWTH + 1))


def quantile(counts: Sequence[int], share: float, least: float) -> float | None:
    """The value below which this share (0 to 1) of all counted values lies: that of rank floor(share * (n - 1)), as the
    paper defines it. `None`: nothing was counted."""
    total = sum(counts)
    if not total:
        return None
    rank = int(share * (total - 1))
    for place, count in enumerate(counts):
        rank -= count
        if rank < 0:
            return middle(place, least)
    raise AssertionError("the counts do not add up")
