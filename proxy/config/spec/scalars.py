"""The types of single values: each knows its words for a message, how to read a text, and its JSON schema."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from proxy.config.tree import Kind

SUBSTITUTED: dict[str, Any] = {"$ref": "#/$defs/substituted"}
NUMBER_DIGITS = 40
"""No number that anybody means is written longer."""

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(ms|s|m|h)\Z")
_BYTES = {"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "KB": 10**3, "MB": 10**6, "GB": 10**9}
_SIZE = re.compile(r"([0-9]{1,12}) ?(B|KiB|MiB|GiB|KB|MB|GB)\Z")
LONGEST = 7 * 24 * 3600.0
"""Seconds; a longer limit is none."""


def _any(*schemas: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [*schemas, SUBSTITUTED]}


def _number(text: str, kind: Kind) -> float:
    if kind not in (Kind.INT, Kind.FLOAT) or len(text) > NUMBER_DIGITS:
        raise ValueError
    return float(_whole(text)) if kind is Kind.INT else float(text.replace(".inf", "inf").replace(".nan", "nan"))


def _whole(text: str) -> int:
    return int(text, {"0x": 16, "0o": 8}.get(text[:2], 10))


@dataclass(frozen=True, slots=True)
class Text:
    """A text that a pattern describes."""

    expected: str
    pattern: str = r"^[^\u0000-\u001f\u007f]+$"
    secret: bool = False
    refused: frozenset[str] = frozenset()
    """In lower case; compared without regard to case."""
    lines: bool = False
    """It may have more than one line."""

    def read(self, text: str, kind: Kind) -> str:
        if kind is not Kind.TEXT or not re.search(self.pattern, text) or text.lower() in self.refused:
            raise ValueError
        if "\n" in text and not self.lines:
            raise ValueError
        text.encode()  # what the environment holds may be no Unicode
        return text

    def schema(self) -> dict[str, Any]:
        return _any({"type": "string", "pattern": self.pattern})


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few words."""

    words: tuple[str, ...]
    secret: bool = field(default=False, init=False)

    @property
    def expected(self) -> str:
        return "one of " + ", ".join(self.words)

    def read(self, text: str, kind: Kind) -> str:
        if kind is not Kind.TEXT or text not in self.words:
            raise ValueError
        return text

    def schema(self) -> dict[str, Any]:
        return _any({"enum": list(self.words)})


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
        return _any({"type": "integer", "minimum": self.least, "maximum": self.most})


@dataclass(frozen=True, slots=True)
class Flag:
    """Yes or no, as YAML 1.2 writes it."""

    secret: bool = field(default=False, init=False)
    expected: str = field(default="true or false", init=False)

    def read(self, text: str, kind: Kind) -> bool:
        if kind is not Kind.BOOL:
            raise ValueError
        return text.lower() == "true"

    def schema(self) -> dict[str, Any]:
        return _any({"type": "boolean"})


@dataclass(frozen=True, slots=True)
class Off:
    """Only `false`."""

    secret: bool = field(default=False, init=False)
    expected: str = field(default="false", init=False)

    def read(self, text: str, kind: Kind) -> bool:
        if kind is not Kind.BOOL or text.lower() != "false":
            raise ValueError
        return False

    def schema(self) -> dict[str, Any]:
        return _any({"const": False})


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
        return _any({"type": "number", "minimum": 0, "maximum": 1_000_000})


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
        words = {"type": "string", "pattern": r"^[0-9]{1,9}(\.[0-9]{1,9})?(ms|s|m|h)$"}
        return _any({"type": "number", **bound, "maximum": LONGEST}, words)


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
        return _any({"type": "integer", "minimum": 1, "maximum": 1 << 40}, words)


@dataclass(frozen=True, slots=True)
class Url:
    """An absolute http(s) address, without a slash at the end."""

    secret: bool = field(default=False, init=False)
    expected: str = field(
        default="an address like https://host/v1 (http or https; no user, password, query or fragment)", init=False
    )
    pattern: str = field(default=r"^https?://[!-~]+$", init=False)

    def read(self, text: str, kind: Kind) -> str:
        if kind is not Kind.TEXT or not re.search(self.pattern, text) or text.endswith("\n"):
            raise ValueError
        parts = urlsplit(text)
        if "@" in parts.netloc or not parts.hostname or set(text) & set('?#\\<>"^`{|}') or parts.port == 0:
            raise ValueError
        return text.rstrip("/")

    def schema(self) -> dict[str, Any]:
        return _any({"type": "string", "format": "uri", "pattern": self.pattern})


ScalarType = Text | Choice | Whole | Flag | Off | Money | Duration | Size | Url
