"""The members of a group in their order, and what requests share of finding it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import NamedTuple

from proxy.core.choice.lines import Lines
from proxy.core.choice.rotation import Ring, Turn
from proxy.core.plan import Plan
from proxy.core.route import Target

Draw = Callable[[], float]
"""A number in [0, 1)."""


class Entry(NamedTuple):
    """A member with the targets that it stands for, in their order."""

    name: str
    weight: float
    targets: tuple[str, ...]


Pick = Callable[[Draw], int]
"""The place of the entry that comes first, by what is in flight at this moment, or by lot."""


class Shared:
    """What requests of one moment share, whatever their shape, as far as no target is left out."""

    __slots__ = ("entries", "lines", "plan")

    def __init__(self) -> None:
        self.plan: tuple[Plan, Mapping[str, Target]] | None = None
        self.entries: dict[str, list[Entry]] = {}
        """By group: those whose members are targets."""
        self.lines: dict[Hashable, Lines] = {}


class Ranked(NamedTuple):
    """The members of a group in their order, as far as it holds for more than one request."""

    entries: list[Entry]
    pick: Pick | None = None
    ring: Ring | None = None
    """Their order is that of its turn."""

    def order(self, first: int = 0) -> list[str]:
        """The targets, those of this entry first."""
        entries = self.entries
        if first:
            entries = [entries[first], *entries[:first], *entries[first + 1 :]]
        return [name for entry in entries for name in entry.targets]

    def turned(self, turn: Turn) -> list[str]:
        """The targets in the order of this turn; after them those of entries that have no turn."""
        by_name = {entry.name: entry for entry in self.entries}
        entries = [by_name.pop(name) for name in turn.order]
        return [name for entry in (*entries, *by_name.values()) for name in entry.targets]
