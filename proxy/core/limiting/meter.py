"""All windows of one key, route, backend or target, taken from together; and what its provider says of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf
from typing import NamedTuple

from proxy.core.limiting.values import REQUESTS, UNITS, Rate
from proxy.core.limiting.window import Window, window_of


class Said(NamedTuple):
    """A provider's word on one of its limits, at that moment."""

    unit: str
    left: float
    wait: float
    """Seconds until all of it is there again."""
    limit: float | None = None
    """How much that is; `None`: it did not say."""


class Short(NamedTuple):
    """Why something does not fit."""

    wait: float
    """Seconds; infinite: it never will."""
    rate: Rate | None
    """`None`: by the provider's word."""
    unit: str


class Stated:
    """A provider's limit as it says it. Buckets that fill steadily are the usual kind (OpenAI, Anthropic): a part is
    there again before the whole."""

    __slots__ = ("_at", "_each", "_left", "_most", "_until")

    def __init__(self, said: Said, now: float) -> None:
        self._at = now
        self._until = now + said.wait
        self._left = said.left
        self._most = inf if said.limit is None else said.limit
        missing = 0.0 if said.limit is None else max(said.limit - said.left, 0.0)
        self._each = missing / said.wait if said.wait > 0 else inf

    def left(self, now: float) -> float:
        """How much there is."""
        return inf if now >= self._until else min(self._left + (now - self._at) * self._each, self._most)

    def wait(self, amount: float, now: float) -> float:
        """Seconds until so much is there; once all of it is, nothing is known any more."""
        short = amount - self.left(now)
        if short <= 0:
            return 0.0
        until = self._until - now
        return min(short / self._each, until) if self._each > 0 else until

    def take(self, amount: float) -> None:
        """So much less."""
        self._left -= amount


class Meter:
    """Takes from all windows or from none."""

    __slots__ = ("counts_tokens", "rates", "said", "windows")

    def __init__(
        self, rates: Sequence[Rate], opened: Callable[[Rate], Window] = window_of, before: Meter | None = None
    ) -> None:
        """`opened`: a window that is new. `before`: windows that were there already go on with what is in them."""
        known = {} if before is None else {window.rate: window for window in before.windows}
        self.rates = tuple(rates)
        self.windows: tuple[Window, ...] = tuple(
            found if (found := known.get(rate)) is not None else opened(rate) for rate in rates
        )
        self.counts_tokens = any(window.of_tokens for window in self.windows)
        """It matters how many a request has."""
        self.said: dict[str, Stated] = {}

    def used(self, now: float) -> float:
        """Of the window of which most is, the share that is used."""
        return max((1.0 - window.left(now) / window.rate.amount for window in self.windows), default=0.0)

    def wait(self, tokens: float, now: float) -> float:
        """Seconds until one request with so many fits; 0: now."""
        longest = 0.0
        for window in self.windows:
            wait = window.wait(tokens if window.of_tokens else 1, now)
            if wait > longest:
                longest = wait
        for unit, stated in self.said.items():
            longest = max(longest, stated.wait(1 if unit == REQUESTS else tokens, now))
        return longest

    def why(self, tokens: float, now: float) -> Short:
        """Which window keeps it the longest."""
        found = [
            Short(window.wait(tokens if window.of_tokens else 1, now), window.rate, window.rate.unit)
            for window in self.windows
        ]
        found += [
            Short(one.wait(1 if unit == REQUESTS else tokens, now), None, unit) for unit, one in self.said.items()
        ]
        return max(found, key=lambda short: short.wait)

    def attempt(self, tokens: float, now: float) -> bool:
        """One request with so many, if it fits now."""
        if self.said and self.wait(tokens, now) > 0:
            return False
        for window in self.windows:
            if now >= window.until:
                window.turn(now)
            if window.used + (tokens if window.of_tokens else 1) > window.limit:
                return False
        for window in self.windows:
            window.used += tokens if window.of_tokens else 1
        if self.said:
            self._count(tokens)
        return True

    def take(self, tokens: float, now: float) -> None:
        """The same, whether it fits or not."""
        for window in self.windows:
            window.take(tokens if window.of_tokens else 1, now)
        if self.said:
            self._count(tokens)

    def settle(self, at: float, by: float) -> None:
        """What was taken at that time really had so many tokens more, or less."""
        for window in self.windows:
            if window.of_tokens:
                window.change(at, by)

    def give_back(self, at: float, tokens: float) -> None:
        """What was taken at that time, with so many, was no request after all."""
        for window in self.windows:
            window.change(at, -tokens if window.of_tokens else -1)

    def _count(self, tokens: float) -> None:
        for unit, stated in self.said.items():
            stated.take(1 if unit == REQUESTS else tokens)

    @property
    def used_up(self) -> bool:
        """Not even one request with one token may fit."""
        for window in self.windows:
            if window.used >= window.rate.amount:
                return True
        return bool(self.said)

    def hear(self, said: Sequence[Said], now: float) -> None:
        """What its provider says holds beside the windows, until its time is over."""
        for one in said:
            if one.unit in UNITS:
                self.said[one.unit] = Stated(one, now)

    def forget(self, now: float) -> None:
        """Words whose time is over."""
        for unit in [unit for unit, one in self.said.items() if one.left(now) == inf]:
            del self.said[unit]
