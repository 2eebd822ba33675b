"""What one target did in the last hour, 6 hours, 24 hours, 7 days and 30 days, in constant memory.

Counted are how attempts ended, and three sketches: seconds to a stream's first content, seconds to the end of an
answer, and tokens a second. Time is cut into parts by the wall clock (UTC): of five minutes, an hour, a day. A window
is made of the parts of one size, the one under way included, so that it is up to one part shorter than its name says.
It costs an outcome only a few additions to a list; that list is added to the parts when somebody looks, or five minutes
are over.

A part's counts are lanes of 32 bits in one whole number: parts are merged by adding the numbers. The lanes of the three
sketches alternate, so that the number is as short as the highest bucket allows. One lane would overflow after 4.29e9
outcomes of one window in one bucket, which is 1,657 a second for 30 days.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from proxy.core.failure import VERDICTS, Blame, FailureKind
from proxy.core.outcome import Ended, Outcome
from proxy.core.vitals.sketch import BUCKETS, RATE, SECONDS, bucket, quantile

FIVE_MINUTES, HOUR, DAY = 300, 3600, 86_400
KEPT: Mapping[int, int] = {FIVE_MINUTES: 12, HOUR: 24, DAY: 30}
"""How many parts of each size (in seconds) are kept, the one under way included."""
UNSAVED = 3
"""Five minutes that may wait to be kept: nobody may do that."""
WINDOWS: Mapping[str, tuple[int, int]] = {
    "1h": (FIVE_MINUTES, 12),
    "6h": (HOUR, 6),
    "24h": (HOUR, 24),
    "7d": (DAY, 7),
    "30d": (DAY, 30),
}
"""The size of the parts of each window, and how many they are."""
RECENT = (FIVE_MINUTES, 3)
"""The last 10 to 15 minutes: what anomalies are seen in."""

SERVED, FAILED, CUT, REFUSED, ASIDE = range(5)
_SKETCHES = 3
FIRST, TOTAL, SPEED = range(5, 5 + _SKETCHES)
_LEAST = {FIRST: SECONDS, TOTAL: SECONDS, SPEED: RATE}
LANES = 5 + _SKETCHES * BUCKETS
_PACK = struct.Struct(f"<{LANES}I")
_BYTES = _PACK.size
_ENDS = struct.Struct("<5I")
_ENDS_MASK = (1 << 160) - 1
_EMPTY = [0] * LANES

REFUSALS = frozenset({FailureKind.RATE_LIMITED, FailureKind.QUOTA})
_PLACE: Mapping[FailureKind, int] = {
    kind: REFUSED if kind in REFUSALS else FAILED if row.counts or row.blame is Blame.CONFIG else ASIDE
    for kind, row in VERDICTS.items()
}
_NOT_ITS_OWN = frozenset({FailureKind.CLIENT_GONE, FailureKind.FILTERED}) | {
    kind for kind, row in VERDICTS.items() if row.blame in (Blame.CLIENT, Blame.US)
}
"""Kinds by which a stream is cut that went well as far as its target is concerned (a filter is our own screen)."""
_SERVED_, _CUT_, _CANCELLED_ = Ended.SERVED, Ended.CUT, Ended.CANCELLED  # a member of its class costs 0.13 us to read


class Figures(NamedTuple):
    """What one window shows."""

    lanes: Sequence[int]

    @property
    def served(self) -> int:
        return self.lanes[SERVED]

    @property
    def failed(self) -> int:
        """Before any content: by the target's doing, or because our key, model or address is wrong there."""
        return self.lanes[FAILED]

    @property
    def cut(self) -> int:
        """After some of the content had gone to the client."""
        return self.lanes[CUT]

    @property
    def refused(self) -> int:
        """By a rate limit or a quota."""
        return self.lanes[REFUSED]

    @property
    def aside(self) -> int:
        """What says nothing of the target: cancelled, or the request's own fault."""
        return self.lanes[ASIDE]

    @property
    def judged(self) -> int:
        """Attempts that say something of the target."""
        return sum(self.lanes[:ASIDE])

    @property
    def attempts(self) -> int:
        return sum(self.lanes[: ASIDE + 1])

    def counted(self, sketch: int) -> int:
        """How many values `FIRST`, `TOTAL` or `SPEED` has."""
        return sum(self.lanes[sketch::_SKETCHES])

    def quantile(self, sketch: int, share: float) -> float | None:
        """Of `FIRST` and `TOTAL` in seconds, of `SPEED` in tokens a second; at most 7 % off. `None`: no value."""
        return quantile(self.lanes[sketch::_SKETCHES], share, _LEAST[sketch])


def unpacked(packed: int) -> Figures:
    """What a number of lanes says."""
    return Figures(_PACK.unpack(packed.to_bytes(_BYTES, "little")))


NOTHING = unpacked(0)


class Windows:
    """One target's. `now` is always Unix time in seconds. When the clock is set back, what it showed too late is
    forgotten as far as a part of its size would be by then."""

    __slots__ = ("_dirty", "_lanes", "_new", "_part", "_parts", "_since", "_until", "last")

    def __init__(self, parts: Iterable[tuple[int, int, int]] = ()) -> None:
        """`parts`: (size, number, counts) of what was kept."""
        self._parts: dict[int, dict[int, int]] = {size: {} for size in KEPT}
        for size, number, packed in parts:
            if size in self._parts:
                self._parts[size][number] = packed
        self._lanes = _EMPTY.copy()
        self._part = 0
        """The number of the five minutes that `_lanes` belong to."""
        self._dirty = False
        self._new: dict[int, int] = {}
        """By five minutes' number, what `unsaved` has not given out yet."""
        self._since = self._until = 0.0
        """When these five minutes are over, and how far before that an attempt may have ended that belongs to them."""
        self.last = 0.0
        """When it was heard of last, by an attempt that says something of it."""

    def count(self, outcome: Outcome) -> None:
        """An attempt has ended."""
        # Taken apart in one step, which costs half of reading field by field.
        _, _, _, _, _, ended, failure, _, stream, started_at, sent, _, first, last, usage = outcome[:15]
        end = started_at + last
        if not self._since <= end < self._until:
            self._next(end)
        lanes = self._lanes
        self._dirty = True
        if ended is not _SERVED_:
            self._count_other(ended, failure, end)
            return
        self.last = end
        lanes[SERVED] += 1
        total = last - sent
        lanes[TOTAL + 3 * bucket(total, SECONDS)] += 1
        if stream and first is not None:
            lanes[FIRST + 3 * bucket(first - sent, SECONDS)] += 1
            total = last - first
        if usage is not None and total > 0.0:
            tokens = usage[1]
            if tokens > 1:
                lanes[SPEED + 3 * bucket(tokens / total, RATE)] += 1

    def _count_other(self, ended: Ended, failure: FailureKind | None, end: float) -> None:
        place = ASIDE
        if failure is not None and ended is not _CANCELLED_:
            place = _PLACE[failure]
            if ended is _CUT_ and failure not in _NOT_ITS_OWN:
                place = CUT
        self._lanes[place] += 1
        if place != ASIDE:
            self.last = end

    def _next(self, now: float) -> None:
        """Other five minutes begin."""
        self.settle()
        self._part = int(now // FIVE_MINUTES)
        self._until = float((self._part + 1) * FIVE_MINUTES)
        self._since = self._until - 2 * FIVE_MINUTES  # what took long may end a little out of turn

    def settle(self) -> None:
        """Add what was counted to the parts."""
        if not self._dirty:
            return
        packed = int.from_bytes(_PACK.pack(*self._lanes), "little")
        self._lanes[:] = _EMPTY
        self._dirty = False
        self._new[self._part] = self._new.get(self._part, 0) + packed
        if len(self._new) > UNSAVED:
            del self._new[min(self._new)]
        for size, parts in self._parts.items():
            number = self._part * FIVE_MINUTES // size
            parts[number] = parts.get(number, 0) + packed
            for old in [one for one in parts if abs(one - number) >= KEPT[size]]:
                del parts[old]

    def packed(self, size: int, parts: int, now: float) -> int:
        """The sum of the last parts of this size, as lanes."""
        self.settle()
        newest = int(now // size)
        return sum(self._between(size, newest - parts, newest + 1))

    def _between(self, size: int, after: int, until: int) -> Iterator[int]:
        return (packed for number, packed in self._parts[size].items() if after < number < until)

    def window(self, name: str, now: float) -> Figures:
        """One of `WINDOWS`."""
        size, parts = WINDOWS[name]
        return unpacked(self.packed(size, parts, now))

    def recent(self, now: float) -> Figures:
        """The last 10 to 15 minutes (`recent_span`)."""
        return unpacked(self.packed(*RECENT, now))

    def before(self, now: float) -> Figures:
        """What is usual: the last 7 days without the last hour."""
        week, hour = self.window("7d", now).lanes, self.window("1h", now).lanes
        # What is in the hour is in the week too; only what was kept may be otherwise, having been touched by others.
        return Figures([max(all_ - last, 0) for all_, last in zip(week, hour, strict=True)])

    def hours(self, now: float) -> list[int]:
        """Attempts in each of the last 23 full hours in which there were any."""
        self.settle()
        this = int(now // HOUR)
        return [
            sum(_ENDS.unpack((p & _ENDS_MASK).to_bytes(20, "little"))) for p in self._between(HOUR, this - 24, this)
        ]

    def unsaved(self) -> dict[int, int]:
        """What was counted since this was asked last, by five minutes' number: to be added to what is kept."""
        self.settle()
        new, self._new = self._new, {}
        return new

    def agree(self, size: int, number: int, packed: int) -> None:
        """So much is kept of a part, by all who count: what is new here comes on top of it."""
        self.settle()
        new = (more for five, more in self._new.items() if five * FIVE_MINUTES // size == number)
        self._parts[size][number] = packed + sum(new)

    def parts(self) -> list[tuple[int, int, int]]:
        """(size, number, counts) of all that is kept."""
        self.settle()
        return [(size, number, packed) for size, parts in self._parts.items() for number, packed in parts.items()]


def recent_span(now: float) -> float:
    """Seconds that `recent` looks back."""
    return (RECENT[1] - 1) * FIVE_MINUTES + now % FIVE_MINUTES


def merged(*windows: Windows) -> Windows:
    """Of several workers as one."""
    sums: dict[tuple[int, int], int] = {}
    for one in windows:
        for size, number, packed in one.parts():
            sums[size, number] = sums.get((size, number), 0) + packed
    return Windows((size, number, packed) for (size, number), packed in sums.items())
