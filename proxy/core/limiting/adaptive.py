"""How many requests a backend or target can take at once, found by trying. Pure: one frozen value, moved by samples.

After Netflix's concurrency-limits (Gradient2): the limit goes along with the ratio of the time that an answer takes
without a queue to the time it takes now, and a little above it, so that it grows while nothing suffers. Unlike there
the former is the best of what was measured lately, not a long average, which would creep up in lasting overload; so
that it stays true the limit is halved now and then for a few samples. Refusals cut it at once, as losses do in TCP.
"""

from __future__ import annotations

from math import inf, sqrt
from typing import NamedTuple

from proxy.core.limiting.values import Adaptive

TOLERANCE = 1.5
"""An answer may take so much longer than without a queue."""
SMOOTHING = 0.1
"""Weight of a new limit against the one that holds."""
RECENT = 0.1
"""Weight of a new sample in the recent time."""
BLOCK = 10
"""So many samples make one measure at least, and as many as there are in flight: lucky ones alone say nothing."""
CUT = 0.7
"""What is left of the limit after a refusal."""
PROBE_EVERY = 500
"""Samples between two halvings."""
KINDS = 2
"""Times of streams and of whole answers are measured by different rules and not compared."""


class Sample(NamedTuple):
    """One attempt's end."""

    seconds: float
    """What it took, for a fair comparison: to the first content, or for each token."""
    kind: int
    """Which of `KINDS`."""
    in_flight: int
    """With it, when it ended."""
    sent: float
    """When it was sent, on the engine's clock."""
    refused: bool = False
    """It was refused because of too many; it has no seconds then."""


class Base(NamedTuple):
    """The time of an answer without a queue: the best block of this epoch, and of the one before."""

    sum: float = 0.0
    samples: int = 0
    best: float = inf
    before: float = inf

    @property
    def seconds(self) -> float:
        """Infinite while nothing is known."""
        return min(self.best, self.before)

    def after(self, seconds: float, block: float) -> Base:
        """One more, of so many that make a measure."""
        total, count = self.sum + seconds, self.samples + 1
        if count < block:
            return self._replace(sum=total, samples=count)
        return Base(0.0, 0, min(self.best, total / count), self.before)

    def turned(self) -> Base:
        """A new epoch: what was measured before the one that ends is forgotten."""
        return self if self.best == inf else Base(0.0, 0, inf, self.best)


class Found(NamedTuple):
    """What was found so far."""

    limit: float
    ratio: float = 1.0
    """Of late, the time that answers take to what they take without a queue."""
    bases: tuple[Base, ...] = (Base(),) * KINDS
    cut_at: float = -inf
    """When the limit was cut last."""
    samples: int = 0
    """Since the limit was halved last."""
    back: float = 0.0
    """While it is halved: what it goes back to."""
    probed_at: float = -inf

    @property
    def places(self) -> int:
        """The limit as it holds."""
        return max(int(self.limit), 1)


def begin(spec: Adaptive) -> Found:
    """Nothing is known."""
    return Found(float(min(max(spec.start, spec.min), spec.max)))


def learn(found: Found, spec: Adaptive, sample: Sample, now: float) -> Found:
    """The value after one more attempt."""
    if sample.refused:
        return _refused(found, spec, sample, now)
    if found.back and sample.sent < found.probed_at:
        return found  # from before it was halved
    block = max(found.limit, BLOCK)
    base = found.bases[sample.kind].after(sample.seconds, block)
    bases = tuple(base if kind == sample.kind else one for kind, one in enumerate(found.bases))
    found = found._replace(bases=bases, samples=found.samples + 1)
    if not 0 < base.seconds < inf:
        return found
    if found.back:
        return _probed(found, spec) if found.samples >= block else found
    ratio = found.ratio + RECENT * (min(sample.seconds / base.seconds, 10.0) - found.ratio)
    found = found._replace(ratio=ratio)
    if found.samples >= max(PROBE_EVERY, BLOCK * found.limit) and sample.in_flight >= found.limit / 2:
        anew = tuple(one._replace(sum=0.0, samples=0) for one in bases)
        half = max(found.limit / 2, spec.min)
        return found._replace(back=found.limit, limit=half, samples=0, probed_at=now, bases=anew)
    return found._replace(limit=_moved(found, spec, sample))


def _moved(found: Found, spec: Adaptive, sample: Sample) -> float:
    limit = found.limit
    gradient = min(max(TOLERANCE / found.ratio, 0.5), 1.0)
    if gradient >= 1.0 and sample.in_flight < limit / 2:
        return limit  # nobody asks for more: it would grow without having been tried
    wanted = limit * gradient + max(sqrt(limit) / 2, 1.0)
    return min(max(limit + SMOOTHING * (wanted - limit) / max(limit / BLOCK, 1.0), spec.min), spec.max)


def _refused(found: Found, spec: Adaptive, sample: Sample, now: float) -> Found:
    if sample.sent < found.cut_at:
        return found  # sent before the last cut, which was made for the same reason
    limit = max(min(found.limit, float(sample.in_flight)) * CUT, spec.min)
    return found._replace(limit=limit, cut_at=now, back=0.0)


def _probed(found: Found, spec: Adaptive) -> Found:
    """It was halved for long enough: what was measured before the epoch that ends here is forgotten."""
    bases = tuple(base.turned() for base in found.bases)
    return found._replace(limit=min(found.back, spec.max), back=0.0, samples=0, bases=bases)
