"""Rate windows: how much went through, and when there will be room. Pure: the time is passed in.

A *sliding* window never lets more than its amount through in any half-open stretch of its length. It is a log of
amounts whose neighbours are joined where they lie closer than a 64th of the window: all of them count until the length
of the window after the end of that stretch, so an amount may count for that much longer than it had to, never shorter.
Windows of 64 or fewer requests are exact.

A *fixed* window begins anew with each multiple of its length since 1970 (UTC), as many providers count; over the border
of two of them twice the amount may go through.

Both are taken from in the same way, by those who have many of them without a call: once `turn` was called where `until`
is over, `used` is what counts, and whatever is added to it is taken now.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from math import inf
from typing import Protocol

from proxy.core.limiting.values import TOKENS, Rate

CELLS = 64
"""Most entries of a sliding window, and one."""
Taken = tuple[float, float, float]
"""When a stretch of time began, when it ended, and what was taken in it."""


class Cell:
    """What was taken in a stretch of time that is over."""

    __slots__ = ("amount", "first", "last")

    def __init__(self, first: float, last: float, amount: float) -> None:
        self.first = first
        self.last = last
        self.amount = amount


class Sliding:
    """Times are seconds on a clock that goes on; one that went back counts as standing still."""

    __slots__ = ("_before", "_cells", "_end", "_grain", "_per", "first", "limit", "of_tokens", "rate", "until", "used")

    def __init__(self, rate: Rate) -> None:
        self.rate = rate
        self.of_tokens = rate.unit == TOKENS
        self.limit = rate.amount
        self.used: float = 0
        """All that counts, as of the last `turn`."""
        self.until = -inf
        """From then on `turn` is due."""
        self.first = -inf
        """What was taken from then on is not in a cell yet."""
        self._end = -inf
        """When that will have to go into one."""
        self._before: float = 0
        """What is in cells."""
        self._per = rate.per
        self._grain = rate.per / CELLS if rate.amount > CELLS or self.of_tokens else 0.0
        self._cells: deque[Cell] = deque()

    def __len__(self) -> int:
        return len(self._cells) + (self.used > self._before)

    def turn(self, now: float) -> None:
        """What is too old leaves, and what is taken from now on counts from now."""
        cells, passed = self._cells, now - self._per
        if now >= self._end and now > self.first:
            if self.used > self._before:
                cells.append(Cell(self.first, self._end, self.used - self._before))
                self._before = self.used
            self.first = now
            self._end = now + self._grain
        while cells and cells[0].last <= passed:
            self._before -= (gone := cells.popleft().amount)
            self.used -= gone
        if not cells:
            self.used -= self._before
            self._before = 0
        self.until = min(self._end, cells[0].last + self._per) if cells else self._end

    def wait(self, amount: float, now: float) -> float:
        """Seconds until so much fits; 0: now; infinite: it never does."""
        if now >= self.until:
            self.turn(now)
        left = self.used + amount - self.limit
        if left <= 0:
            return 0.0
        if amount > self.limit:
            return inf
        for cell in self._cells:
            left -= cell.amount
            if left <= 0:
                return max(cell.last + self._per - now, 1e-6)
        return max(self._end + self._per - now, 1e-6)

    def attempt(self, amount: float, now: float) -> bool:
        """Taken, if it fits now."""
        if now >= self.until:
            self.turn(now)
        fits = self.used + amount <= self.limit
        if fits:
            self.used += amount
        return fits

    def take(self, amount: float, now: float) -> None:
        """Taken, whether it fits or not."""
        if now >= self.until:
            self.turn(now)
        self.used += amount

    def change(self, at: float, by: float) -> None:
        """What was taken at that time was more, or less."""
        if at >= self.first:
            used = self.used + by
            self.used = used if used > self._before else self._before
            return
        for cell in reversed(self._cells):
            if cell.first <= at:
                if at <= cell.last:
                    self._correct(cell, max(by, -cell.amount))
                return

    def _correct(self, cell: Cell, by: float) -> None:
        cell.amount += by
        self.used += by
        self._before += by
        if not cell.amount:
            self._cells.remove(cell)

    def left(self, now: float) -> float:
        """How much fits now."""
        if now >= self.until:
            self.turn(now)
        return max(self.limit - self.used, 0)

    def reset(self, now: float) -> float:
        """Seconds until all of it is there again."""
        if now >= self.until:
            self.turn(now)
        return self._empty() - now if self.used else 0.0

    def _empty(self) -> float:
        cells = self._cells
        last = cells[-1].last if cells and self.used <= self._before else self._end
        return last + self._per

    def standing(self, now: float) -> tuple[str, int, int, float]:
        """Unit, limit, how much is left of it and when all of it is there again, as it was when it was last taken
        from."""
        used = self.used
        left = self.limit - int(used)
        empty = self._end + self._per if used > self._before else self._empty()
        return self.rate.unit, self.limit, left if left > 0 else 0, empty - now if used else 0.0

    def taken(self) -> list[Taken]:
        """All that is in it, the oldest first."""
        found = [(cell.first, cell.last, cell.amount) for cell in self._cells]
        if self.used > self._before:
            found.append((self.first, self._end, self.used - self._before))
        return found

    def put(self, taken: Iterable[Taken], now: float) -> None:
        """That was taken before there was this window, which is empty."""
        for first, last, amount in taken:
            if last > now - self._per:
                self._cells.append(Cell(min(first, now), min(last, now + self._grain), amount))
                self._before += amount
                self.used += amount


class Fixed:
    """`epoch`: what the clock of `now` shows less Unix time, in seconds. See `Sliding`."""

    __slots__ = ("_epoch", "first", "limit", "of_tokens", "rate", "until", "used")

    def __init__(self, rate: Rate, epoch: float = 0.0) -> None:
        self.rate = rate
        self.of_tokens = rate.unit == TOKENS
        self.limit = rate.amount
        self.used: float = 0
        self._epoch = epoch
        self.until = -inf
        self.first = -inf
        """When its present stretch began."""

    def __len__(self) -> int:
        return self.used > 0

    def turn(self, now: float) -> None:
        """Begins anew, where it is time to."""
        if now >= self.until:
            per = self.rate.per
            self.first = (now - self._epoch) // per * per + self._epoch
            self.until = self.first + per
            self.used = 0

    def wait(self, amount: float, now: float) -> float:
        """As of `Sliding`."""
        self.turn(now)
        if self.used + amount <= self.limit:
            return 0.0
        return inf if amount > self.limit else max(self.until - now, 1e-6)

    def attempt(self, amount: float, now: float) -> bool:
        """As of `Sliding`."""
        self.turn(now)
        fits = self.used + amount <= self.limit
        if fits:
            self.used += amount
        return fits

    def take(self, amount: float, now: float) -> None:
        """As of `Sliding`."""
        self.turn(now)
        self.used += amount

    def change(self, at: float, by: float) -> None:
        """As of `Sliding`."""
        if at >= self.first:
            self.used = max(self.used + by, 0)

    def left(self, now: float) -> float:
        """As of `Sliding`."""
        self.turn(now)
        return max(self.limit - self.used, 0)

    def reset(self, now: float) -> float:
        """As of `Sliding`."""
        self.turn(now)
        return self.until - now if self.used else 0.0

    def standing(self, now: float) -> tuple[str, int, int, float]:
        """As of `Sliding`."""
        return self.rate.unit, self.limit, int(self.left(now)), self.reset(now)

    def moved(self, epoch: float, now: float) -> None:
        """The wall clock was set, or the machine slept: the stretch under way is the one it is by the clock of now."""
        self.first += epoch - self._epoch
        self._epoch = epoch
        self.until = self.first + self.rate.per if self.first <= now else -inf

    def taken(self) -> list[Taken]:
        """As of `Sliding`."""
        return [(self.first, self.first, self.used)] if self.used else []

    def put(self, taken: Iterable[Taken], now: float) -> None:
        """As of `Sliding`."""
        self.turn(now)
        for first, _, amount in taken:
            if abs(first - self.first) < self.rate.per / 2:  # it is the same one, by a clock that was read anew
                self.used += amount


class Window(Protocol):
    """Either of them, or one that several processes share."""

    rate: Rate
    of_tokens: bool
    limit: int
    used: float
    until: float
    first: float

    def __len__(self) -> int: ...

    def turn(self, now: float) -> None: ...

    def wait(self, amount: float, now: float) -> float: ...

    def attempt(self, amount: float, now: float) -> bool: ...

    def take(self, amount: float, now: float) -> None: ...

    def change(self, at: float, by: float) -> None: ...

    def left(self, now: float) -> float: ...

    def reset(self, now: float) -> float: ...

    def standing(self, now: float) -> tuple[str, int, int, float]: ...

    def taken(self) -> list[Taken]: ...

    def put(self, taken: Iterable[Taken], now: float) -> None: ...


def window_of(rate: Rate, epoch: float = 0.0) -> Window:
    """An empty one."""
    return Fixed(rate, epoch) if rate.fixed else Sliding(rate)
