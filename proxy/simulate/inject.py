"""What is supposed: outages, slowness, prices. And how the command line says it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime, tzinfo
from decimal import Decimal, InvalidOperation
from typing import NamedTuple

from proxy.core.price import Price
from proxy.core.route import Target

DAY = 86400.0
_TIME = re.compile(r"([01]?\d|2[0-4]):([0-5]\d)(?::([0-5]\d))?\Z")
_TIMES = re.compile(r"\d{1,2}:\d\d(:\d\d)?-\d{1,2}:\d\d(:\d\d)?\Z")
_FACTOR = re.compile(r"x(\d+(?:\.\d+)?|\.\d+)\Z")
SPAN = "10:00-11:00 (each day) or 2026-11-21T10:00/2026-11-21T11:00"


class Span(NamedTuple):
    """A time of each day, as seconds of the local day; past midnight where it ends before it begins. Or, `daily` false,
    from one Unix time to another."""

    start: float
    end: float
    daily: bool
    text: str

    def holds(self, at: float, second: float) -> bool:
        """`at`: Unix time; `second`: of the local day."""
        if not self.daily:
            return self.start <= at < self.end
        if self.start <= self.end:
            return self.start <= second < self.end
        return second >= self.start or second < self.end


class Down(NamedTuple):
    """A target, or all of a backend, that refuses connections; always, where there is no span."""

    name: str
    span: Span | None = None


class Slow(NamedTuple):
    """Everything there takes so many times as long; everywhere, where there is no name."""

    factor: float
    name: str = ""
    span: Span | None = None


class Priced(NamedTuple):
    """A target's or a backend's price."""

    name: str
    price: Price


class Supposed(NamedTuple):
    """All of it."""

    down: tuple[Down, ...] = ()
    slow: tuple[Slow, ...] = ()
    prices: tuple[Priced, ...] = ()

    def is_down(self, target: Target, at: float, second: float) -> bool:
        """Unix time, and second of the local day."""
        return any(_meant(one.name, target) and _now(one.span, at, second) for one in self.down)

    def factor(self, target: Target, at: float, second: float) -> float:
        """All that make it slower, together."""
        factor = 1.0
        for one in self.slow:
            if (not one.name or _meant(one.name, target)) and _now(one.span, at, second):
                factor *= one.factor
        return factor

    def price(self, target: Target) -> Price | None:
        """The one supposed; the last one counts."""
        found = None
        for one in self.prices:
            if _meant(one.name, target):
                found = one.price
        return found

    def strangers(self, targets: Iterable[Target]) -> list[str]:
        """Names that mean no target."""
        targets = list(targets)
        down = [one.name for one in self.down]
        names = [*down, *(one.name for one in self.slow if one.name), *(one.name for one in self.prices)]
        return [name for name in names if not any(_meant(name, target) for target in targets)]


def _meant(name: str, target: Target) -> bool:
    return name in (target.name, target.backend)


def _now(span: Span | None, at: float, second: float) -> bool:
    return span is None or span.holds(at, second)


# As words ---------------------------------------------------------------------------------------------------------


def down_of(words: str, zone: tzinfo | None) -> Down:
    """`NAME [SPAN]`. Raises `ValueError`."""
    name, *rest = words.split()
    return Down(name, _only_span(rest, zone))


def slow_of(words: str, zone: tzinfo | None) -> Slow:
    """`[NAME] xFACTOR [SPAN]`. Raises `ValueError`."""
    given = words.split()
    name = "" if _FACTOR.match(given[0]) else given.pop(0)
    factor = _FACTOR.match(given[0]) if given else None
    if factor is None or not 0 < float(factor[1]) <= 1000:
        raise ValueError("expected [NAME] xFACTOR [SPAN], like: openai x2 10:00-11:00")
    return Slow(float(factor[1]), name, _only_span(given[1:], zone))


def priced_of(words: str) -> Priced:
    """`NAME INPUT/OUTPUT` in US dollars per million tokens. Raises `ValueError`."""
    name, _, rest = words.partition(" ")
    try:
        amounts = [Decimal(part) for part in rest.split("/")]
    except InvalidOperation:
        amounts = []
    if len(amounts) != 2 or not all(amount.is_finite() and amount >= 0 for amount in amounts):
        raise ValueError("expected NAME INPUT/OUTPUT, dollars per million tokens, like: openai/gpt-4o 2.5/10")
    return Priced(name, Price(amounts[0], amounts[1], origin="supposed"))


def _only_span(words: Sequence[str], zone: tzinfo | None) -> Span | None:
    if len(words) > 1:
        raise ValueError(f"expected nothing after {words[0]}")
    return span_of(words[0], zone) if words else None


def is_span(word: str) -> bool:
    """It looks like one."""
    return _TIMES.match(word) is not None or (word[:1].isdigit() and "/" in word and "-" in word)


def span_of(text: str, zone: tzinfo | None) -> Span:
    """`zone`: of times without one; `None`: the machine's. Raises `ValueError`."""
    if _TIMES.match(text):
        start, end = (_second(part) for part in text.split("-"))
        if start == end:
            raise ValueError(f"{text} ends where it begins")
        return Span(start, end, True, text)
    start_text, slash, end_text = text.partition("/")
    try:
        start, end = _instant(start_text, zone), _instant(end_text, zone)
    except ValueError:
        slash = ""
    if not slash or start >= end:
        raise ValueError(f"expected a time like {SPAN}, not {text}")
    return Span(start, end, False, text)


def _second(text: str) -> float:
    found = _TIME.match(text)
    if found is None or (found[1] == "24" and int(found[2]) + int(found[3] or 0)):
        raise ValueError(f"{text} is no time of day")
    return int(found[1]) * 3600.0 + int(found[2]) * 60 + int(found[3] or 0)


def _instant(text: str, zone: tzinfo | None) -> float:
    given = datetime.fromisoformat(text)
    return (given if given.tzinfo else given.replace(tzinfo=zone)).timestamp()


def joined(arguments: Sequence[str]) -> list[str]:
    """Command line words with those that belong together as one: `--down openai 10:00-11:00`."""
    found: list[str] = []
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        found.append(word)
        if word in ("--down", "--slow", "--price") and rest:
            said = [rest.pop(0)]
            while rest and (is_span(rest[0]) or (word == "--slow" and _FACTOR.match(rest[0])) or word == "--price"):
                said.append(rest.pop(0))
                if word == "--price":
                    break
            found.append(" ".join(said))
    return found
