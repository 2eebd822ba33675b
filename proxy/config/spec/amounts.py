"""The types of single values that stand for money in a time, and for a moment."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from proxy.config.spec.numbers import any_of
from proxy.config.tree import Kind
from proxy.core.money.budget import EXPECTED, PATTERN, Budget, budget_of


@dataclass(frozen=True, slots=True)
class Allowance:
    """A budget in a few characters."""

    secret: bool = field(default=False, init=False)
    expected: str = field(default=EXPECTED, init=False)

    def read(self, text: str, kind: Kind) -> Budget:
        if kind is not Kind.TEXT:
            raise ValueError
        return budget_of(text)

    def schema(self) -> dict[str, Any]:
        return any_of({"type": "string", "pattern": PATTERN})


@dataclass(frozen=True, slots=True)
class Moment:
    """A day or a time, in UTC where it says nothing else: Unix time in seconds."""

    secret: bool = field(default=False, init=False)
    expected: str = field(
        default="a day like 2026-12-31 (its beginning, in UTC), or a time like 2026-12-31T18:00Z", init=False
    )

    def read(self, text: str, kind: Kind) -> float:
        if kind is not Kind.TEXT or not text[:1].isdigit() or "-" not in text:
            raise ValueError
        given = datetime.fromisoformat(text)
        return (given if given.tzinfo else given.replace(tzinfo=UTC)).timestamp()

    def schema(self) -> dict[str, Any]:
        return any_of({"type": "string", "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}"})
