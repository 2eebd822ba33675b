"""The types of single values (numbers: numbers.py): each knows its words, how to read a text, and its JSON schema."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from proxy.config.spec.amounts import Allowance, Moment
from proxy.config.spec.numbers import Number, any_of
from proxy.config.tree import Kind


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
        return any_of({"type": "string", "pattern": self.pattern})


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
        return any_of({"enum": list(self.words)})


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
        return any_of({"type": "boolean"})


@dataclass(frozen=True, slots=True)
class FlagOr:
    """Yes or no, or one of a few words."""

    words: tuple[str, ...]
    secret: bool = field(default=False, init=False)

    @property
    def expected(self) -> str:
        return "true, false, or one of " + ", ".join(self.words)

    def read(self, text: str, kind: Kind) -> bool | str:
        return Flag().read(text, kind) if kind is Kind.BOOL else Choice(self.words).read(text, kind)

    def schema(self) -> dict[str, Any]:
        return any_of({"type": "boolean"}, {"enum": list(self.words)})


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
        return any_of({"const": False})


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
        return any_of({"type": "string", "format": "uri", "pattern": self.pattern})


ScalarType = Text | Choice | Flag | FlagOr | Off | Url | Allowance | Moment | Number
