"""What the admin API takes and gives, by its types: one JSON schema for the document, one reader for what comes in.

Types are TypedDicts of texts, numbers, truth values, lists, mappings by name, `Literal` words and `X | None`; a field's
`Annotated[…, "words"]` is its description.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, NotRequired, Required, Union, get_args, get_origin, is_typeddict

Json = dict[str, Any]

_PLAIN: dict[Any, str] = {str: "string", int: "integer", float: "number", bool: "boolean"}
_REF = "#/components/schemas/"


class Wrong(ValueError):
    """A value that is not of its type. `at`: which one."""

    def __init__(self, at: str, message: str) -> None:
        super().__init__(message)
        self.at = at


def fields_of(shape: Any) -> dict[str, tuple[Any, bool]]:
    """The fields of a TypedDict: their types, and whether each must be there."""
    hints = typing.get_type_hints(shape, include_extras=True)
    needed: frozenset[str] = shape.__required_keys__
    return {name: (_bare(hint), _is_needed(hint, name in needed)) for name, hint in hints.items()}


def _is_needed(hint: Any, by_shape: bool) -> bool:
    return False if get_origin(hint) is NotRequired else True if get_origin(hint) is Required else by_shape


def _bare(hint: Any) -> Any:
    return get_args(hint)[0] if get_origin(hint) in (NotRequired, Required) else hint


class Schemas:
    """Makes schemas, and keeps those that have a name."""

    def __init__(self) -> None:
        self.named: dict[str, Json] = {}

    def of(self, hint: Any) -> Json:
        """The schema of a type: a reference, where it has a name."""
        if get_origin(hint) is Annotated:
            inner, words = get_args(hint)[:2]
            return {**self.of(inner), "description": words}
        if is_typeddict(hint):
            if hint.__name__ not in self.named:
                self.named[hint.__name__] = {}  # it may hold itself
                self.named[hint.__name__] = self.table(hint)
            return {"$ref": _REF + hint.__name__}
        if hint in _PLAIN:
            return {"type": _PLAIN[hint]}
        return self._nested(hint)

    def table(self, shape: Any, more: Mapping[str, Any] | None = None) -> Json:
        """The schema of a TypedDict itself, with `more` fields that are always there."""
        fields = fields_of(shape)
        properties = {name: self.of(hint) for name, (hint, _) in fields.items()}
        properties |= {name: self.of(hint) for name, hint in (more or {}).items()}
        needed = [name for name, (_, must) in fields.items() if must] + list(more or ())
        told: Json = {"type": "object", "properties": properties, "additionalProperties": False}
        if needed:
            told["required"] = needed
        if shape.__doc__:
            told["description"] = shape.__doc__.strip()
        return told

    def _nested(self, hint: Any) -> Json:
        origin, inside = get_origin(hint), get_args(hint)
        if origin is list:
            return {"type": "array", "items": self.of(inside[0])}
        if origin is dict:
            return {"type": "object", "additionalProperties": self.of(inside[1])}
        if origin is Literal:
            return {"type": "string", "enum": list(inside)}
        if origin in (Union, types.UnionType):
            return {"anyOf": [{"type": "null"} if one is type(None) else self.of(one) for one in inside]}
        return {}  # anything that JSON can say


def read(hint: Any, value: Any, at: str = "") -> Any:
    """A JSON value as its type. Raises `Wrong`."""
    if get_origin(hint) is Annotated:
        return read(get_args(hint)[0], value, at)
    if is_typeddict(hint):
        return _table(hint, value, at)
    origin, inside = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _either(inside, value, at)
    if origin is list:
        if not isinstance(value, list):
            raise Wrong(at, f"'{at}' must be a list.")
        return [read(inside[0], one, f"{at}[{place}]") for place, one in enumerate(value)]
    if origin is dict:
        if not isinstance(value, dict):
            raise Wrong(at, f"'{at}' must be an object.")
        return {name: read(inside[1], one, f"{at}.{name}") for name, one in value.items()}
    if origin is Literal:
        if value not in inside:
            raise Wrong(at, f"'{at}' must be one of {', '.join(map(str, inside))}.")
        return value
    return _plain(hint, value, at)


def _table(shape: Any, value: Any, at: str) -> Json:
    if not isinstance(value, dict):
        raise Wrong(at, f"'{at}' must be an object." if at else "The body must be a JSON object.")
    fields = fields_of(shape)
    dot = f"{at}." if at else ""
    for name in value:
        if name not in fields:
            raise Wrong(dot + str(name)[:100], f"There is no '{dot}{str(name)[:100]}'; there is {', '.join(fields)}.")
    for name, (_, must) in fields.items():
        if must and name not in value:
            raise Wrong(dot + name, f"'{dot}{name}' is missing.")
    return {name: read(fields[name][0], one, dot + name) for name, one in value.items()}


def _either(kinds: tuple[Any, ...], value: Any, at: str) -> Any:
    if value is None and type(None) in kinds:
        return None
    said: Wrong | None = None
    for kind in kinds:
        if kind is not type(None):
            try:
                return read(kind, value, at)
            except Wrong as wrong:
                said = said or wrong
    raise said or Wrong(at, f"'{at}' is of no type that it may have.")


_WORDS = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}


def _plain(hint: Any, value: Any, at: str) -> Any:
    if hint is float and type(value) is int:
        return float(value)
    if hint in _PLAIN and type(value) is not hint:
        raise Wrong(at, f"'{at}' must be {_WORDS[hint]}.")
    return value


def from_text(hint: Any, text: str, at: str) -> Any:
    """A value of a query, by its type. Raises `Wrong`."""
    if get_origin(hint) is Annotated:
        return from_text(get_args(hint)[0], text, at)
    if get_origin(hint) in (Union, types.UnionType):
        return from_text(next(one for one in get_args(hint) if one is not type(None)), text, at)
    readers: dict[Any, Callable[[str], Any]] = {int: int, float: float, bool: _truth}
    made = readers.get(hint)
    try:
        return read(hint, text if made is None else made(text), at)
    except (ValueError, KeyError) as error:
        raise error if isinstance(error, Wrong) else Wrong(at, f"'{at}' must be {_WORDS[hint]}.") from None


def _truth(text: str) -> bool:
    return {"true": True, "false": False, "1": True, "0": False}[text]
