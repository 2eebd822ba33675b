"""The shapes that values nest in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from proxy.config.spec.scalars import ScalarType, Text


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a table. `default` is what holds without it; `None`: nothing does."""

    name: str
    type: Type
    doc: str
    default: Any = None
    required: bool = False


class Implied(NamedTuple):
    """A key whose value is looked for in an environment variable where the file says nothing in its place."""

    key: str
    variable: str
    unless: frozenset[str]
    """Keys of which one is enough to say it otherwise."""
    unless_header: frozenset[str]
    """Names, in lower case, of `headers` that say it otherwise too."""


@dataclass(frozen=True, slots=True)
class Table:
    """A mapping with known keys."""

    what: str
    keys: tuple[Key, ...]
    variables_may_be_unset: bool = False
    """An unset variable anywhere inside leaves the whole out, instead of being a problem."""
    implied: Implied | None = None

    def names(self) -> list[str]:
        return [key.name for key in self.keys]


@dataclass(frozen=True, slots=True)
class Variants:
    """A mapping whose known keys depend on the word at one of them."""

    what: str
    key: str
    doc: str
    tables: Mapping[str, Table] = field(hash=False)
    more: Callable[[str], Table | None] = lambda _: None
    """The table of a word that is in none of these. Raises `ValueError`, with the reason, where there is one that
    cannot be used."""
    names_of_more: Callable[[], tuple[str, ...]] = tuple
    """The words for which `more` has one."""


@dataclass(frozen=True, slots=True)
class MapOf:
    """A mapping with keys of the file's own choosing."""

    what: str
    key: Text
    item: Type
    least: int = 0


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list."""

    what: str
    item: Type
    least: int = 0
    distinct: bool = False
    """Nothing stands in it twice."""
    some_may_be_unset: bool = False
    """Unset variables leave their items out, as long as one item is left."""


@dataclass(frozen=True, slots=True)
class Either:
    """One word, or a mapping."""

    scalar: ScalarType
    mapping: Table


@dataclass(frozen=True, slots=True)
class Json:
    """Anything that JSON can say."""

    what: str = "any value"


Type = ScalarType | Table | Variants | MapOf | ListOf | Either | Json
