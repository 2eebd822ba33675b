"""Rate windows: how much went through, and when there will be room. Pure: the time is passed in.

A *sliding* window never lets more than its amount through in any half-open stretch of its length. It is a log of
(time, amount) whose neighbours are joined where they lie closer than a 64th of the window, to the later time: so an
amount may count for that much longer than it had to, never shorter. Windows of 64 or fewer are exact.

A *fixed* window begins anew with each multiple of its length since 1970 (UTC), as many providers count; over the border
of two of them twice the amount may go through.
"""

from __future__ import annotations

from collections import deque
from math import inf

from proxy.core.limiting.values import TOKENS, Rate

CELLS = 64
"""Most entries of a sliding window, and one."""


class Cell:
    """What was taken at about one time. Kept by whoever took it, to settle it."""

    __slots__ = ("amount", "first", "last", "window")

    def __init__(self, window: Sliding | Fixed, first: float, amount: float) -> None:
        self.window: Sliding | Fixed | None = window
        """`None`: it has left its window."""
        self.first = first
        self.last = first
        self.amount = amount

    def change(self, by: float) -> None:
        """It was more, or less, than was taken at first."""
        window = self.window
        if window is not None:
            self.amount += by
            window.used += by
            if self.amount <= 0 and isinstance(window, Sliding):
                window.drop(self)


class Sliding:
    """Times are seconds on a clock that goes on; one that went back counts as standing still."""

    __slots__ = ("_cells", "_grain", "_limit", "_per", "of_tokens", "rate", "used")

    def __init__(self, rate: Rate) -> None:
        self.rate = rate
        self.of_tokens = rate.unit == TOKENS
        self.used: float = 0
        self._limit = rate.amount
        self._per = rate.per
        self._grain = rate.per / CELLS if rate.amount > CELLS or self.of_tokens else 0.0
        self._cells: deque[Cell] = deque()

    def __len__(self) -> int:
        return len(self._cells)

    def _pass(self, now: float) -> None:
        cells, before = self._cells, now - self.rate.per
        while cells and cells[0].last <= before:
            cell = cells.popleft()
            cell.window = None
            self.used -= cell.amount
        if not cells:
            self.used = 0

    def wait(self, amount: float, now: float) -> float:
        """Seconds until so much fits; 0: now; infinite: it never does."""
        limit = self.rate.amount
        if self._cells:
            self._pass(now)
        if self.used + amount <= limit:
            return 0.0
        if amount > limit:
            return inf
        left = self.used
        for cell in self._cells:
            left -= cell.amount
            if left + amount <= limit:
                return max(cell.last + self.rate.per - now, 1e-6)
        return inf  # what is taken is more than its cells hold: cannot be

    def attempt(self, amount: float, now: float) -> Cell | None:
        """Taken, if it fits now."""
        cells = self._cells
        if cells and cells[0].last <= now - self._per:
            self._pass(now)
        return None if self.used + amount > self._limit else self.take(amount, now)

    def take(self, amount: float, now: float) -> Cell:
        """Taken, whether it fits or not."""
        cells = self._cells
        if cells:
            last = cells[-1]
            if now < last.first + self._grain:
                if now > last.last:
                    last.last = now
                last.amount += amount
                self.used += amount
                return last
            now = max(now, last.last)
        cell = Cell(self, now, amount)
        cells.append(cell)
        self.used += amount
        return cell

    def drop(self, cell: Cell) -> None:
        """Nothing is left of it: where each request has its own, there are no more of them than requests."""
        if not self._grain:
            self._cells.remove(cell)
            cell.window = None

    def left(self, now: float) -> float:
        """How much fits now."""
        self._pass(now)
        return max(self.rate.amount - self.used, 0)

    def reset(self, now: float) -> float:
        """Seconds until all of it is there again."""
        self._pass(now)
        return self._cells[-1].last + self.rate.per - now if self._cells else 0.0

    def standing(self, now: float) -> tuple[str, int, int, float]:
        """Unit, limit, how much is left of it and when all of it is there again, as it was when it was last taken
        from."""
        unit, limit, per, _ = self.rate
        left = limit - int(self.used)
        return unit, limit, left if left > 0 else 0, self._cells[-1].last + per - now if self._cells else 0.0


class Fixed:
    """`epoch`: what the clock of `now` shows less Unix time, in seconds."""

    __slots__ = ("_cell", "_epoch", "_until", "of_tokens", "rate", "used")

    def __init__(self, rate: Rate, epoch: float = 0.0) -> None:
        self.rate = rate
        self.of_tokens = rate.unit == TOKENS
        self.used: float = 0
        self._epoch = epoch
        self._until = -inf
        self._cell: Cell | None = None

    def __len__(self) -> int:
        return self._cell is not None

    def _pass(self, now: float) -> None:
        if now >= self._until:
            per = self.rate.per
            self._until = ((now - self._epoch) // per + 1) * per + self._epoch
            self.used = 0
            if self._cell is not None:
                self._cell.window = None
                self._cell = None

    def wait(self, amount: float, now: float) -> float:
        """As of `Sliding`."""
        if now >= self._until:
            self._pass(now)
        if self.used + amount <= self.rate.amount:
            return 0.0
        return inf if amount > self.rate.amount else max(self._until - now, 1e-6)

    def attempt(self, amount: float, now: float) -> Cell | None:
        """As of `Sliding`."""
        if now >= self._until:
            self._pass(now)
        return None if self.used + amount > self.rate.amount else self.take(amount, now)

    def take(self, amount: float, now: float) -> Cell:
        """As of `Sliding`."""
        self._pass(now)
        self.used += amount
        if self._cell is None:
            self._cell = Cell(self, now, amount)
        else:
            self._cell.amount += amount
        return self._cell

    def left(self, now: float) -> float:
        """As of `Sliding`."""
        self._pass(now)
        return max(self.rate.amount - self.used, 0)

    def reset(self, now: float) -> float:
        """As of `Sliding`."""
        self._pass(now)
        return self._until - now if self.used else 0.0

    def standing(self, now: float) -> tuple[str, int, int, float]:
        """As of `Sliding`."""
        return self.rate.unit, self.rate.amount, int(self.left(now)), self.reset(now)


Window = Sliding | Fixed


def window_of(rate: Rate, epoch: float = 0.0) -> Window:
    """An empty one."""
    return Fixed(rate, epoch) if rate.fixed else Sliding(rate)
