"""What follows from probes of a target: it is taken out after some failures in a row, and back in after some answers in
a row. A value that probes move on."""

from __future__ import annotations

from typing import NamedTuple


class Counts(NamedTuple):
    """Of probes in a row."""

    good: int = 0
    bad: int = 0


class Moved(NamedTuple):
    """What a probe's end does."""

    counts: Counts
    out: bool = False
    """The target is taken out of use now, or stays out."""
    back: bool = False
    """It is back in use, if it was out."""


def probed(counts: Counts, *, ok: bool, healthy_after: int, unhealthy_after: int) -> Moved:
    """The value after one more probe."""
    if ok:
        after = Counts(good=min(counts.good + 1, healthy_after))
        return Moved(after, back=after.good >= healthy_after)
    after = Counts(bad=min(counts.bad + 1, unhealthy_after))
    return Moved(after, out=after.bad >= unhealthy_after)
