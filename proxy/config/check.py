"""A tree against the tables of spec/: values where they are right, a problem where they are not."""

from __future__ import annotations

import math
from collections.abc import Mapping as Map
from typing import Any, NamedTuple

from proxy.config.problem import Mark, Problem, nearest, one_of, shown
from proxy.config.spec.scalars import Choice, Off, ScalarType, Text
from proxy.config.spec.shapes import Either, Implied, Json, ListOf, MapOf, Table, Type, Variants
from proxy.config.tree import Kind, Mapping, Node, Scalar, Sequence, kind_of
from proxy.config.variables import FORMS, ReadFile, Substituted, substitute, why_missing

LARGEST_INT = 2**63 - 1
"""What every JSON library on the way takes."""


OUTSIDE = "what came from outside (its value is not shown)"


class Found(NamedTuple):
    """A value that is right so far, and where it stands.

    `value` is what the type makes of it; of a table or map `dict[str, Found | None]`, of a list
    `list[Found | None]`: `None` stands where there is a problem or an unset variable.
    """

    value: Any
    mark: Mark
    missing: tuple[str, ...] = ()
    """What a backend lacks: `NAME` of a variable, `file:/path`."""
    outside: bool = False
    """Some of it came from a variable or file, so that no message may hold it."""

    def get(self, key: str) -> Found | None:
        """The value at a key of a table or map."""
        found: Found | None = self.value.get(key)
        return found

    def plain(self) -> Any:
        """Without the marks."""
        if isinstance(self.value, dict):
            return {k: v.plain() for k, v in self.value.items() if v is not None}
        if isinstance(self.value, list):
            return [v.plain() for v in self.value if v is not None]
        return self.value.value if isinstance(self.value, Whatever) else self.value


class Whatever(NamedTuple):
    """A JSON value, kept apart from the containers that the tables know."""

    value: Any


class Checker:
    """One check of one file. `problems` grows."""

    def __init__(self, environ: Map[str, str], read_file: ReadFile) -> None:
        self.problems: list[Problem] = []
        self._environ = environ
        self._read_file = read_file
        self._missing: list[str] | None = None

    def check(self, kind: Type, node: Node, path: str) -> Found | None:
        """The value of a node; `None` when it is not right, which `problems` then tells."""
        match kind:
            case Table():
                return self._table(kind, node, path)
            case Variants():
                return self._variants(kind, node, path)
            case MapOf():
                return self._map(kind, node, path)
            case ListOf():
                return self._list(kind, node, path)
            case Either():
                if isinstance(node, Mapping):
                    return self._table(kind.mapping, node, path)
                more = f", or a mapping of {one_of(kind.mapping.names())}" if isinstance(kind.scalar, Off) else ""
                if isinstance(node, Sequence):
                    return self._wrong(node, path, f"{kind.scalar.expected}{more or ', or a mapping'}")
                return self._scalar(kind.scalar, node, path, more)
            case Json():
                return self._json(node, path)
            case _:
                return self._scalar(kind, node, path)

    def _say(self, mark: Mark, path: str, message: str) -> None:
        self.problems.append(Problem(mark, path, message))

    def _wrong(self, node: Node, path: str, expected: str) -> Found | None:
        found = node.kind.value if isinstance(node, Scalar) else "a list" if isinstance(node, Sequence) else "a mapping"
        self._say(node.mark, path, f"found {found}, expected {expected}")
        return None

    def _table(self, table: Table, node: Node, path: str) -> Found | None:
        if not isinstance(node, Mapping):
            return self._wrong(node, path, f"{table.what} (a mapping of {one_of(table.names())})")
        outer, own = self._missing, list[str]()
        if table.variables_may_be_unset:
            self._missing = own
        keys = {key.name: key for key in table.keys}
        values: dict[str, Found | None] = {}
        for name, value in node.entries:
            at = _under(path, name.text)
            if name.text in keys:
                values[name.text] = self.check(keys[name.text].type, value, at)
            else:
                self._unknown(name, path, table)
        for key in table.keys:
            if key.required and key.name not in values:
                self._say(node.mark, path, f"`{key.name}` is missing: {key.doc}")
        implied = table.implied
        if implied is not None and not _said(implied, values):
            value = Scalar(f"${{{implied.variable}}}", Kind.TEXT, node.mark)
            values[implied.key] = self.check(keys[implied.key].type, value, _under(path, implied.key))
        self._missing = outer
        return Found(values, node.mark, tuple(dict.fromkeys(own)))

    def _unknown(self, name: Scalar, path: str, table: Table) -> None:
        if name.text == "<<":
            message = "merge keys are not supported: put the alias where the whole value stands"
        else:
            hint = nearest(name.text, table.names())
            message = f"unknown key {shown(name.text)}, expected {one_of(table.names())}{hint}"
        self._say(name.mark, path, message)

    def _variants(self, variants: Variants, node: Node, path: str) -> Found | None:
        words = tuple(variants.tables)
        if not isinstance(node, Mapping):
            return self._wrong(node, path, f"{variants.what} (a mapping with `{variants.key}`: {one_of(words)})")
        chosen = next((value for name, value in node.entries if name.text == variants.key), None)
        if chosen is None:
            self._say(node.mark, path, f"`{variants.key}` is missing, expected {one_of(words)}")
            return None
        if isinstance(chosen, Scalar) and "${" in chosen.text:
            self._say(
                chosen.mark, _under(path, variants.key), f"a variable cannot stand here, expected {one_of(words)}"
            )
            return None
        at = _under(path, variants.key)
        try:
            table = self._further(variants, chosen)
        except ValueError as error:
            self._say(chosen.mark, at, str(error))
            return None
        if table is not None:
            return self._table(table, node, path)
        if not isinstance(chosen, Scalar) or chosen.text not in words:
            words = (*words, *variants.names_of_more())
        found = self.check(Choice(words), chosen, at)
        return None if found is None else self._table(variants.tables[found.value], node, path)

    def _further(self, variants: Variants, chosen: Node) -> Table | None:
        if not isinstance(chosen, Scalar) or chosen.kind is not Kind.TEXT or chosen.text in variants.tables:
            return None
        return variants.more(chosen.text)

    def _map(self, kind: MapOf, node: Node, path: str) -> Found | None:
        if not isinstance(node, Mapping):
            return self._wrong(node, path, f"{kind.what} (a mapping)")
        if len(node.entries) < kind.least:
            self._say(node.mark, path, f"is empty, expected at least {kind.least}")
        values: dict[str, Found | None] = {}
        for name, value in node.entries:
            if self._right(kind.key, Substituted(name.text, False, ()), Kind.TEXT) is None:
                self._say(name.mark, path, f"the key {shown(name.text)} is not {kind.key.expected}")
            values[name.text] = self.check(kind.item, value, _under(path, name.text))
        return Found(values, node.mark)

    def _list(self, kind: ListOf, node: Node, path: str) -> Found | None:
        if not isinstance(node, Sequence):
            return self._wrong(node, path, "a list")
        if len(node.items) < kind.least:
            self._say(node.mark, path, f"is empty, expected at least {kind.least}")
        before = list(self._missing or ())
        values = [self.check(kind.item, item, f"{path}[{i}]") for i, item in enumerate(node.items)]
        if kind.some_may_be_unset and self._missing is not None and any(values):
            self._missing[:] = before
        if kind.distinct:
            self._twice(values, path)
        return Found(values, node.mark)

    def _twice(self, values: list[Found | None], path: str) -> None:
        seen: dict[Any, int] = {}
        for i, found in enumerate(values):
            if found is not None and seen.setdefault(found.value, i) != i:
                self._say(found.mark, f"{path}[{i}]", f"the same as number {seen[found.value] + 1}")

    def _scalar(self, kind: ScalarType, node: Node, path: str, more: str = "") -> Found | None:
        """`more`: what else is expected there."""
        if not isinstance(node, Scalar):
            return self._wrong(node, path, kind.expected)
        filled = self._filled(node, path)
        if filled is None:
            return None
        as_kind = node.kind if not filled.used or isinstance(kind, Text) else kind_of(filled.text)
        right = self._right(kind, filled, as_kind)
        if right is None:
            self._refuse(kind, node, filled, path, more)
        return right and Found(right.value, node.mark, outside=filled.used)

    def _right(self, kind: ScalarType, filled: Substituted, as_kind: Kind) -> Whatever | None:
        try:
            return Whatever(kind.read(filled.text, as_kind))
        except ValueError:
            return None

    def _refuse(self, kind: ScalarType, node: Scalar, filled: Substituted, path: str, more: str) -> None:
        if filled.used:
            found = OUTSIDE
        elif node.kind is Kind.NULL:
            found = node.kind.value
        elif kind.secret:
            found = "a value that is not shown"
        else:
            found = shown(node.text) if node.kind is Kind.TEXT else node.text[:48]
        hint = nearest(node.text, kind.words) if isinstance(kind, Choice) and not filled.used else ""
        if isinstance(kind, Text) and node.kind is not Kind.TEXT and node.kind is not Kind.NULL:
            hint = " (in quotes, if it is meant as a text)"
        self._say(node.mark, path, f"found {found}, expected {kind.expected}{more}{hint}")

    def _filled(self, node: Scalar, path: str) -> Substituted | None:
        if node.kind is not Kind.TEXT:
            return Substituted(node.text, False, ())
        filled = substitute(node.text, self._environ, self._read_file)
        if filled.malformed:
            self._say(node.mark, path, f"a `${{` that begins no variable, expected {FORMS}")
            return None
        if filled.missing:
            if self._missing is None:
                self._say(
                    node.mark, path, f"{why_missing(filled.missing)}, and there is no default (${{NAME:-default}})"
                )
            else:
                self._missing += filled.missing
            return None
        return filled

    def _json(self, node: Node, path: str) -> Found | None:
        before = len(self.problems)
        value = self._json_value(node, path)
        return Found(Whatever(value), node.mark) if len(self.problems) == before else None

    def _json_value(self, node: Node, path: str) -> Any:
        if isinstance(node, Mapping):
            return {name.text: self._json_value(value, _under(path, name.text)) for name, value in node.entries}
        if isinstance(node, Sequence):
            return [self._json_value(item, f"{path}[{i}]") for i, item in enumerate(node.items)]
        filled = self._filled(node, path)
        if filled is None:
            return None
        kind = kind_of(filled.text) if filled.used and node.plain else node.kind
        try:
            return _json_scalar(filled.text, kind)
        except ValueError:
            self._say(node.mark, path, "JSON cannot carry this, expected valid Unicode or a finite number of 64 bits")


def _said(implied: Implied, values: Map[str, Found | None]) -> bool:
    """Does the file say itself what would be looked for in the environment?"""
    headers = values.get("headers")
    named = {name.lower() for name in headers.value} if headers is not None else set()
    return not implied.unless.isdisjoint(values) or not implied.unless_header.isdisjoint(named)


def _json_scalar(text: str, kind: Kind) -> Any:
    match kind:
        case Kind.NULL:
            return None
        case Kind.BOOL:
            return text.lower() == "true"
        case Kind.INT:
            whole = int(text, {"0x": 16, "0o": 8}.get(text[:2], 10)) if len(text) <= 24 else LARGEST_INT + 1
            if abs(whole) > LARGEST_INT:
                raise ValueError
            return whole
        case Kind.FLOAT:
            number = float(text) if text.lstrip("+-").lower() not in (".inf", ".nan") else math.inf
            if not math.isfinite(number):
                raise ValueError
            return number
        case _:
            text.encode()
            return text


def _under(path: str, key: str) -> str:
    """The path of what stands at a key. A key that may be a secret in the wrong place is not spelled out."""
    name = key if len(key) <= 64 and key.isprintable() and not shown(key).startswith("a text") else "…"
    return f"{path}.{name}" if path else name
