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
FIRST_PROBE = 5 * BLOCK
"""Samples before the first one."""
_new = tuple.__new__  # a third of what the class's own `__new__` costs, which is a Python function


class Sample(NamedTuple):
    """One attempt's end."""

    seconds: float
    """What it took, for a fair comparison: to the first content, or for each token."""
    kind: int
    """0: of a stream; 1: of a whole answer."""
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
        sum_, count, best, before = self
        sum_, count = sum_ + seconds, count + 1
        if count < block:
            return _new(Base, (sum_, count, best, before))
        return _new(Base, (0.0, 0, min(best, sum_ / count), before))

    def afresh(self) -> Base:
        """The measure that was begun is begun anew."""
        return self._replace(sum=0.0, samples=0)

    def turned(self) -> Base:
        """A new epoch: what was measured before the one that ends is forgotten."""
        return self if self.best == inf else Base(0.0, 0, inf, self.best)


class Found(NamedTuple):
    """What was found so far."""

    limit: float
    ratio: float = 1.0
    """Of late, the time that answers take to what they take without a queue."""
    bases: tuple[Base, Base] = (Base(), Base())
    """Of streams, and of whole answers: these are measured by different rules and not compared."""
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
    """Nothing is known: it is halved soon, in case that it begins too high."""
    return Found(float(min(max(spec.start, spec.min), spec.max)), samples=PROBE_EVERY - FIRST_PROBE)


def learn(found: Found, spec: Adaptive, sample: Sample, now: float) -> Found:
    """The value after one more attempt."""
    if sample.refused:
        return _refused(found, spec, sample, now)
    limit, ratio, bases, cut_at, samples, back, probed_at = found
    if back and sample.sent < probed_at:
        return found  # from before it was halved
    block = max(limit, BLOCK)
    seconds, kind = sample.seconds, sample.kind
    base = bases[kind].after(seconds, block)
    bases = (base, bases[1]) if kind == 0 else (bases[0], base)
    samples += 1
    least = base.seconds
    if 0 < least < inf and not back:
        ratio += RECENT * (min(seconds / least, 10.0) - ratio)
        if samples >= max(PROBE_EVERY, BLOCK * limit) and sample.in_flight >= limit / 2:
            back, limit, samples, probed_at = limit, max(limit / 2, spec.min), 0, now
            bases = (bases[0].afresh(), bases[1].afresh())
        else:
            limit = _moved(limit, ratio, spec, sample.in_flight)
    elif back and samples >= block:  # what was measured before the epoch that ends here is forgotten
        back, limit, samples = 0.0, min(back, float(spec.max)), 0
        bases = (bases[0].turned(), bases[1].turned())
    return _new(Found, (limit, ratio, bases, cut_at, samples, back, probed_at))


def _moved(limit: float, ratio: float, spec: Adaptive, in_flight: int) -> float:
    gradient = min(max(TOLERANCE / ratio, 0.5), 1.0)
    if gradient >= 1.0 and in_flight < limit / 2:
        return limit  # nobody asks for more: it would grow without having been tried
    wanted = limit * gradient + max(sqrt(limit) / 2, 1.0)
    return min(max(limit + SMOOTHING * (wanted - limit) / max(limit / BLOCK, 1.0), spec.min), spec.max)


def _refused(found: Found, spec: Adaptive, sample: Sample, now: float) -> Found:
    if sample.sent < found.cut_at:
        return found  # sent before the last cut, which was made for the same reason
    limit = max(min(found.limit, float(sample.in_flight)) * CUT, spec.min)
    return found._replace(limit=limit, cut_at=now, back=0.0)
