"""What the workers of one server share of their rate limits, so that together they let through no more than one would.

A file that all of them have mapped. Whoever takes from windows holds the file's flock meanwhile, for all windows that
one request takes from at once: it reads what the others have taken, decides, and writes, in some microseconds. Who only
looks does so without it. All words are doubles.

    header: rows in use | the latest time that anybody saw | that clock less Unix time | not used
    row: digest of whose window it is 16 | number of the last cell | what all cells hold | the cells, as a ring

A window is cut into cells aligned to the clock of `time.monotonic`, which all processes share: a sliding one into
64ths, of which 65 count, a fixed one is one cell aligned to UTC. What a killed worker took stays until it is too old.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import time
from array import array
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from hashlib import blake2b
from math import inf
from pathlib import Path

from proxy.core.limiting.meter import Meter
from proxy.core.limiting.values import TOKENS, Rate
from proxy.core.limiting.window import CELLS, Taken, Window, window_of
from proxy.engine.scopes import UNBOUND, Bounds, Held
from proxy.engine.windows_kept import label

NAME = "limits.mem"
ROWS = 131_072
"""The file takes only the room of the rows in use."""
STEP = 1.0
"""Seconds by which a wall clock must have moved to count as set: less is how clocks are kept right."""
_HEAD = 4
_NOW, _EPOCH = 1, 2
_LAST, _USED, _RING = 2, 3, 4
_COUNT = CELLS + 1
"""Cells that count: that of this moment, and those before it that are not too old as a whole."""
_ROW = _RING + _COUNT
_NONE = array("d", bytes(8 * _COUNT))


class Tally:
    """One for each worker, over the directory that all of them share."""

    def __init__(self, directory: Path, epoch: float, clock: Callable[[], float] = time.monotonic) -> None:
        """`epoch`: what `time.monotonic` shows less Unix time; that of the first worker holds for all. Raises `OSError`
        where it cannot be written."""
        self._clock = clock
        self._fd = os.open(directory / NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        size = 8 * (_HEAD + ROWS * _ROW)
        try:
            os.ftruncate(self._fd, size)
            self._map = mmap.mmap(self._fd, size)
        except OSError:
            os.close(self._fd)
            raise
        self.words = memoryview(self._map).cast("d")
        self.held = False
        """Nobody else takes anything now."""
        self.open: list[Shared] = []
        """Windows of which more may be taken than stands in their rows yet."""
        self.recall: Callable[[str, Rate], Iterable[Taken]] = lambda whose, rate: ()
        """What was taken of a window before there was this server."""
        self._places: dict[bytes, int] = {}
        self._read = 0
        with self.hold():
            if not self.words[_EPOCH]:
                self.words[_EPOCH] = epoch

    @property
    def epoch(self) -> float:
        """What `time.monotonic` shows less Unix time."""
        return self.words[_EPOCH]

    def moved(self, epoch: float) -> None:
        """The wall clock was set, or the machine slept."""
        if abs(self.words[_EPOCH] - epoch) > STEP:
            self.words[_EPOCH] = epoch

    @property
    def now(self) -> float:
        """The latest time that anybody saw."""
        return self.words[_NOW]

    @contextmanager
    def hold(self, now: float = 0.0) -> Iterator[float]:
        """Nobody else takes anything meanwhile. The time that it is: no earlier than others saw before."""
        if self.held:
            yield self.words[_NOW]
            return
        fcntl.flock(self._fd, fcntl.LOCK_EX)
        self.held = True
        try:
            words = self.words
            if now > words[_NOW]:
                words[_NOW] = now
            yield words[_NOW]
        finally:
            for window in self.open:
                window.close()
            self.open.clear()
            self.held = False
            fcntl.flock(self._fd, fcntl.LOCK_UN)

    def window(self, whose: str, rate: Rate) -> Window:
        """The window of this scope, with what all workers took of it."""
        digest = blake2b(label(whose, rate).encode(), digest_size=16).digest()
        with self.hold(self._clock()) as now:
            self._look()
            place = self._places.get(digest)
            if place is not None:
                return Shared(self, place, rate)
            place = self._new(digest)
            # Where no row is left: as if each worker were alone.
            window = window_of(rate, self.epoch) if place is None else Shared(self, place, rate)
            window.put(self.recall(whose, rate), now)
            return window

    def close(self) -> None:
        """Nothing is to be taken any more."""
        self.words.release()
        self._map.close()
        os.close(self._fd)

    def _look(self) -> None:
        """Rows that others have begun since."""
        rows = int(self.words[0])
        for row in range(self._read, rows):
            start = 8 * (_HEAD + row * _ROW)
            self._places[self._map[start : start + 16]] = start // 8
        self._read = rows

    def _new(self, digest: bytes) -> int | None:
        row = int(self.words[0])
        if row >= ROWS:
            return None
        place = _HEAD + row * _ROW
        self._map[8 * place : 8 * place + 16] = digest
        self.words[0] = row + 1
        self._look()
        return place


class Shared:
    """One window of all workers: what `Sliding` and `Fixed` are for one. What was taken counts for at most a 64th of a
    sliding window longer than it had to, never shorter."""

    __slots__ = (
        *("_count", "_grain", "_had", "_open", "_place", "_tally"),
        *("first", "limit", "of_tokens", "rate", "until", "used"),
    )

    def __init__(self, tally: Tally, place: int, rate: Rate) -> None:
        self.rate = rate
        self.of_tokens = rate.unit == TOKENS
        self.limit = rate.amount
        self.used: float = 0
        self.until = -inf  # `turn` is always due
        self.first = inf  # everything is in a cell
        self._tally = tally
        self._place = place
        self._count, self._grain = (1, rate.per) if rate.fixed else (_COUNT, rate.per / CELLS)
        self._open = False
        self._had: float = 0
        """What stands in the row, where more may be taken."""

    def __len__(self) -> int:
        return sum(1 for _, amount in self._cells(self._tally.now) if amount)

    def turn(self, now: float) -> None:
        """`used` is what counts now. Where nobody else takes anything, what is added to it is taken."""
        if self._open:
            return
        if not self._tally.held:
            self.used = sum(amount for _, amount in self._cells(now))
            return
        words, place = self._tally.words, self._place
        last, number = int(words[place + _LAST]), self._number(now)
        if number != last:
            ring, count = place + _RING, self._count
            if number - last >= count or self.rate.fixed:
                words[ring : ring + count] = _NONE[:count]
            else:
                for cell in range(last + 1, number + 1):
                    words[ring + cell % count] = 0
                number = max(number, last)
            words[place + _USED] = sum(words[ring : ring + count])
            words[place + _LAST] = number
        self.used = self._had = words[place + _USED]
        self._open = True
        self._tally.open.append(self)

    def close(self) -> None:
        """What was taken stands in the row."""
        self._write()
        self._open = False

    def attempt(self, amount: float, now: float) -> bool:
        """Taken, if it fits now."""
        with self._tally.hold(now) as at:
            self.turn(at)
            fits = self.used + amount <= self.limit
            if fits:
                self.used += amount
        return fits

    def take(self, amount: float, now: float) -> None:
        """Taken, whether it fits or not."""
        with self._tally.hold(now) as at:
            self.turn(at)
            self.used += amount

    def change(self, at: float, by: float) -> None:
        """What was taken at that time was more, or less."""
        with self._tally.hold() as now:
            self.turn(now)
            self._write()
            words, place = self._tally.words, self._place
            number, last = self._number(at), int(words[place + _LAST])
            if last - self._count < number <= last:
                cell = place + _RING + number % self._count
                by = max(by, -words[cell])
                words[cell] += by
                self.used = self._had = words[place + _USED] = words[place + _USED] + by

    def wait(self, amount: float, now: float) -> float:
        """Seconds until so much fits; 0: now; infinite: it never does."""
        cells = self._cells(now)
        short = sum(held for _, held in cells) + amount - self.limit
        if short <= 0:
            return 0.0
        if amount > self.limit:
            return inf
        for number, held in cells:
            short -= held
            if short <= 0:
                return max(self._leaves(number) - now, 1e-6)
        return max(self._leaves(cells[-1][0]) - now, 1e-6)

    def left(self, now: float) -> float:
        """How much fits now."""
        self.turn(now)
        return max(self.limit - self.used, 0)

    def reset(self, now: float) -> float:
        """Seconds until all of it is there again."""
        for number, amount in reversed(self._cells(now)):
            if amount:
                return max(self._leaves(number) - now, 0.0)
        return 0.0

    def standing(self, now: float) -> tuple[str, int, int, float]:
        """Unit, limit, how much is left of it and when all of it is there again."""
        return self.rate.unit, self.limit, int(self.left(now)), self.reset(now)

    def taken(self) -> list[Taken]:
        """All that is in it, the oldest first."""
        cells, grain = self._cells(self._tally.now), self._grain
        if self.rate.fixed:
            return [(self._leaves(number - 1), self._leaves(number - 1), amount) for number, amount in cells if amount]
        return [(number * grain, (number + 1) * grain, amount) for number, amount in cells if amount]

    def put(self, taken: Iterable[Taken], now: float) -> None:
        """That was taken before there was this row, which is empty."""
        with self._tally.hold(now) as at:
            self.turn(at)
            words, place, last = self._tally.words, self._place, self._number(at)
            for _, ended, amount in taken:
                number = self._number(ended + self.rate.per / 2) if self.rate.fixed else min(self._number(ended), last)
                if last - self._count < number <= last:
                    words[place + _RING + number % self._count] += amount
                    words[place + _USED] += amount
            self.used = self._had = words[place + _USED]

    def _number(self, now: float) -> int:
        return int((now - self._tally.epoch if self.rate.fixed else now) // self._grain)

    def _leaves(self, number: int) -> float:
        """When a cell counts no more."""
        return (number + self._count) * self._grain + (self._tally.epoch if self.rate.fixed else 0.0)

    def _cells(self, now: float) -> list[tuple[int, float]]:
        """Those that count, the oldest first, by their numbers."""
        if self._open:
            self._write()
        place, count = self._place, self._count
        words = self._tally.words[place : place + _RING + count].tolist()
        last = int(words[_LAST])
        number = self._number(now)
        if not self.rate.fixed:
            number = max(number, last)
        return [
            (cell, words[_RING + cell % count] if last - count < cell <= last else 0.0)
            for cell in range(number - count + 1, number + 1)
        ]

    def _write(self) -> None:
        more = self.used - self._had
        if self._open and more:
            words, place = self._tally.words, self._place
            words[place + _RING + int(words[place + _LAST]) % self._count] += more
            words[place + _USED] += more
            self._had = self.used


class Together(Held):
    """`Held` of one exchange where windows are shared: all that it takes, it takes at once."""

    def __init__(self, tally: Tally, bounds: Bounds = UNBOUND, tokens: float = 0) -> None:
        super().__init__(bounds, tokens)
        self._tally = tally

    def attempt(self, now: float) -> bool:
        with self._tally.hold(now) as at:
            return super().attempt(at)

    def claim(self, now: float) -> bool:
        return self.attempt(now)

    def enter(self, now: float) -> None:
        if not self.inside:
            with self._tally.hold(now) as at:
                super().enter(at)

    def reserve(self, meters: tuple[Meter, ...], number: int, now: float) -> Meter | None:
        with self._tally.hold(now) as at:
            return super().reserve(meters, number, at)

    def release(self, number: int) -> None:
        with self._tally.hold():
            super().release(number)

    def settle(self, number: int, tokens: float) -> None:
        with self._tally.hold():
            super().settle(number, tokens)

    def leave(self) -> None:
        if self.inside:
            with self._tally.hold():
                super().leave()
