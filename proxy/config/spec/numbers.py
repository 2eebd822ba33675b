"""The types of numbers with a meaning: each knows its words for a message, how to read a text, and its JSON schema."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from proxy.config.tree import Kind

SUBSTITUTED: dict[str, Any] = {"$ref": "#/$defs/substituted"}
NUMBER_DIGITS = 40
"""No number that anybody means is written longer."""

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?) ?(ms|s|m|h)\Z")
_BYTES = {"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "KB": 10**3, "MB": 10**6, "GB": 10**9}
_SIZE = re.compile(r"([0-9]{1,12}) ?(B|KiB|MiB|GiB|KB|MB|GB)\Z")
_PERCENT = r"(100(?:\.0{1,9})?|[0-9]{1,2}(?:\.[0-9]{1,9})?) ?%"
LONGEST = 7 * 24 * 3600.0
"""Seconds; a longer limit is none."""
FASTEST = 1_000_000
"""Tokens a second; nothing is faster."""


def any_of(*schemas: dict[str, Any]) -> dict[str, Any]:
    """The schema of a value that may also be a text with a variable in it."""
    return {"anyOf": [*schemas, SUBSTITUTED]}


def _number(text: str, kind: Kind) -> float:
    if kind not in (Kind.INT, Kind.FLOAT) or len(text) > NUMBER_DIGITS:
        raise ValueError
    return float(_whole(text)) if kind is Kind.INT else float(text.replace(".inf", "inf").replace(".nan", "nan"))


def _whole(text: str) -> int:
    return int(text, {"0x": 16, "0o": 8}.get(text[:2], 10))


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number within bounds."""

    least: int
    most: int
    secret: bool = field(default=False, init=False)

    @property
    def expected(self) -> str:
        return f"a whole number from {self.least} to {self.most}"

    def read(self, text: str, kind: Kind) -> int:
        if kind is not Kind.INT or len(text) > NUMBER_DIGITS or not self.least <= _whole(text) <= self.most:
            raise ValueError
        return _whole(text)

    def schema(self) -> dict[str, Any]:
        return any_of({"type": "integer", "minimum": self.least, "maximum": self.most})


@dataclass(frozen=True, slots=True)
class Money:
    """US dollars per million tokens. Read as decimal digits, never through binary fractions."""

    secret: bool = field(default=False, init=False)
    expected: str = field(default="US dollars per million tokens (0 or more)", init=False)

    def read(self, text: str, kind: Kind) -> Decimal:
        value = _number(text, kind)
        if not 0 <= value <= 1_000_000 or math.isnan(value):
            raise ValueError
        return Decimal(_whole(text)) if kind is Kind.INT else Decimal(text)

    def schema(self) -> dict[str, Any]:
        return any_of({"type": "number", "minimum": 0, "maximum": 1_000_000})


@dataclass(frozen=True, slots=True)
class Dollars:
    """US dollars, as `Money` reads them."""

    secret: bool = field(default=False, init=False)
    expected: str = field(default="US dollars (0 or more)", init=False)

    def read(self, text: str, kind: Kind) -> Decimal:
        return Money().read(text, kind)

    def schema(self) -> dict[str, Any]:
        return Money().schema()


@dataclass(frozen=True, slots=True)
class Positive:
    """A factor."""

    secret: bool = field(default=False, init=False)
    expected: str = field(default="a positive number (at most 1000)", init=False)

    def read(self, text: str, kind: Kind) -> float:
        value = _number(text, kind)
        if not 0 < value <= 1000:
            raise ValueError
        return value

    def schema(self) -> dict[str, Any]:
        return any_of({"type": "number", "exclusiveMinimum": 0, "maximum": 1000})


_SPAN = r"(?:([<>]=?) ?([0-9]{1,12})|([0-9]{1,12}) ?- ?([0-9]{1,12}))"


@dataclass(frozen=True, slots=True)
class Span:
    """Whole numbers: (at least, at most)."""

    secret: bool = field(default=False, init=False)
    expected: str = field(default='numbers like ">8000", "<=500", "1000-8000"', init=False)

    def read(self, text: str, kind: Kind) -> tuple[float, float]:
        said = re.fullmatch(_SPAN, text) if kind is Kind.TEXT else None
        if said is None:
            raise ValueError
        if said[1] is None:
            return int(said[3]), int(said[4])
        bound = int(said[2])
        if said[1][0] == ">":
            return bound + (said[1] == ">"), math.inf
        return 0, bound - (said[1] == "<")

    def schema(self) -> dict[str, Any]:
        return any_of({"type": "string", "pattern": f"^{_SPAN}$"})


_HOURS = r"([01]?[0-9]|2[0-3]) ?- ?([01]?[0-9]|2[0-4])"


@dataclass(frozen=True, slots=True)
class Hours:
    """Of a day: from the first until the second begins."""

    secret: bool = field(default=False, init=False)
    expected: str = field(default='hours of a day like "8-18" or "22-6"', init=False)

    def read(self, text: str, kind: Kind) -> tuple[int, int]:
        said = re.fullmatch(_HOURS, text) if kind is Kind.TEXT else None
        if said is None:
            raise ValueError
        return int(said[1]), int(said[2])

    def schema(self) -> dict[str, Any]:
        return any_of({"type": "string", "pattern": f"^{_HOURS}$"})


@dataclass(frozen=True, slots=True)
class Duration:
    """Seconds."""

    zero: bool = False
    secret: bool = field(default=False, init=False)

    @property
    def expected(self) -> str:
        least = "a duration of 0 or more" if self.zero else "a positive duration"
        return f"{least}: seconds, or like 800ms, 5m, 1h (at most 7 days)"

    def read(self, text: str, kind: Kind) -> float:
        unit = _DURATION.match(text) if kind is Kind.TEXT else None
        value = float(unit[1]) * _UNITS[unit[2]] if unit else _number(text, kind)
        if not (value > 0 or (self.zero and value == 0)) or value > LONGEST:
            raise ValueError
        return value

    def schema(self) -> dict[str, Any]:
        bound = {"minimum": 0} if self.zero else {"exclusiveMinimum": 0}
        words = {"type": "string", "pattern": r"^[0-9]{1,9}(\.[0-9]{1,9})? ?(ms|s|m|h)$"}
        return any_of({"type": "number", **bound, "maximum": LONGEST}, words)


@dataclass(frozen=True, slots=True)
class Size:
    """Bytes."""

    secret: bool = field(default=False, init=False)
    expected: str = field(default="a positive size: bytes, or like 32KiB, 20MiB, 1GiB (at most 1 TiB)", init=False)

    def read(self, text: str, kind: Kind) -> int:
        unit = _SIZE.match(text) if kind is Kind.TEXT else None
        value = int(unit[1]) * _BYTES[unit[2]] if unit else Whole(1, 1 << 40).read(text, kind)
        if not 0 < value <= 1 << 40:
            raise ValueError
        return value

    def schema(self) -> dict[str, Any]:
        words = {"type": "string", "pattern": "^[0-9]{1,12} ?(B|KiB|MiB|GiB|KB|MB|GB)$"}
        return any_of({"type": "integer", "minimum": 1, "maximum": 1 << 40}, words)


@dataclass(frozen=True, slots=True)
class After:
    """Seconds, or `p95`: `None`, what a target itself usually takes."""

    secret: bool = field(default=False, init=False)
    expected: str = field(default=f"p95, or {Duration().expected}", init=False)

    def read(self, text: str, kind: Kind) -> float | None:
        return None if kind is Kind.TEXT and text == "p95" else Duration().read(text, kind)

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [{"const": "p95"}, *Duration().schema()["anyOf"]]}


@dataclass(frozen=True, slots=True)
class Share:
    """A part of one, from 0 to 1."""

    secret: bool = field(default=False, init=False)
    expected: str = field(default="a share: from 0 to 1, or like 5%", init=False)

    def read(self, text: str, kind: Kind) -> float:
        percent = re.fullmatch(_PERCENT, text) if kind is Kind.TEXT else None
        value = float(percent[1]) / 100 if percent else _number(text, kind)
        if not 0 <= value <= 1:
            raise ValueError
        return value

    def schema(self) -> dict[str, Any]:
        words = {"type": "string", "pattern": f"^{_PERCENT}$"}
        return any_of({"type": "number", "minimum": 0, "maximum": 1}, words)


@dataclass(frozen=True, slots=True)
class Rate:
    """Tokens a second; nothing (`null`): no such limit."""

    secret: bool = field(default=False, init=False)
    expected: str = field(default="a positive number of tokens a second, or null", init=False)

    def read(self, text: str, kind: Kind) -> float | None:
        if kind is Kind.NULL:
            return None
        value = _number(text, kind)
        if not 0 < value <= FASTEST:
            raise ValueError
        return value

    def schema(self) -> dict[str, Any]:
        return any_of({"type": "number", "exclusiveMinimum": 0, "maximum": FASTEST}, {"type": "null"})


@dataclass(frozen=True, slots=True)
class Stay:
    """Seconds, or `forever`: -1."""

    secret: bool = field(default=False, init=False)
    expected: str = field(default=f"forever, or {Duration(zero=True).expected}", init=False)

    def read(self, text: str, kind: Kind) -> float:
        return -1.0 if kind is Kind.TEXT and text == "forever" else Duration(zero=True).read(text, kind)

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [{"const": "forever"}, *Duration(zero=True).schema()["anyOf"]]}


@dataclass(frozen=True, slots=True)
class Places:
    """A whole number of places, or `adaptive`: the word itself."""

    secret: bool = field(default=False, init=False)
    expected: str = field(default="a whole number from 1 to 1000000, or adaptive", init=False)

    def read(self, text: str, kind: Kind) -> int | str:
        return text if kind is Kind.TEXT and text == "adaptive" else Whole(1, 1_000_000).read(text, kind)

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [{"const": "adaptive"}, *Whole(1, 1_000_000).schema()["anyOf"]]}


Number = Places | Whole | Money | Dollars | Positive | Span | Hours | Duration | Size | After | Share | Rate | Stay
