"""The JSON schema (draft 2020-12) of `routes.yaml`, for editors, and its reference in Markdown. Both from spec/."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from proxy.config.spec import limiting
from proxy.config.spec.scalars import Text
from proxy.config.spec.settings import SETTINGS
from proxy.config.spec.shapes import Either, Json, Key, ListOf, MapOf, Table, Type, Variants
from proxy.config.spec.top import TOP

_NAMED: dict[str, Type] = {**{key.name: key.type for key in SETTINGS}, **limiting.SHARED}
SHARED = {id(kind): name for name, kind in _NAMED.items()}
"""What stands in many places is written once."""
ID = "https://wayline.invalid/routes.schema.json"


def json_schema() -> dict[str, Any]:
    """The schema. It accepts everything that the checker accepts, and of the rest refuses what an editor can see."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": ID,
        "title": "Wayline's routes.yaml",
        **_schema(TOP),
        "$defs": {
            "substituted": {
                "type": "string",
                "pattern": r"\$\{",
                "description": "Holds ${VAR}, ${VAR:-default} or ${file:/path}.",
            },
            **{name: _written(kind) for name, kind in _NAMED.items()},
        },
    }


def as_text() -> str:
    """The schema as the file that is committed."""
    return json.dumps(json_schema(), indent=1, ensure_ascii=False) + "\n"


def _schema(kind: Type) -> dict[str, Any]:
    return {"$ref": f"#/$defs/{SHARED[id(kind)]}"} if id(kind) in SHARED else _written(kind)


def _written(kind: Type) -> dict[str, Any]:
    match kind:
        case Table():
            return _table(kind)
        case Variants():
            return {
                "type": "object",
                "required": [kind.key],
                "properties": {kind.key: {"enum": list(kind.tables), "description": kind.doc}},
                "allOf": [
                    {
                        "if": {"properties": {kind.key: {"const": word}}, "required": [kind.key]},
                        "then": _table(table),
                    }
                    for word, table in kind.tables.items()
                ],
            }
        case MapOf():
            names = _names(kind.key)
            least = {"minProperties": kind.least} if kind.least else {}
            return {"type": "object", **names, **least, "additionalProperties": _schema(kind.item)}
        case ListOf():
            least = {"minItems": kind.least} if kind.least else {}
            distinct = {"uniqueItems": True} if kind.distinct else {}
            return {"type": "array", "items": _schema(kind.item), **least, **distinct}
        case Either():
            return {"anyOf": [*kind.scalar.schema()["anyOf"], _table(kind.mapping)]}
        case Json():
            return {}
        case _:
            return kind.schema()


def _names(key: Text) -> dict[str, Any]:
    refused = {"not": {"enum": sorted(key.refused)}} if key.refused else {}
    return {"propertyNames": {"pattern": key.pattern, **refused}}


def _table(table: Table) -> dict[str, Any]:
    required = [key.name for key in table.keys if key.required]
    return {
        "type": "object",
        "additionalProperties": False,
        **({"required": required} if required else {}),
        "properties": {key.name: _property(key) for key in table.keys},
    }


def _property(key: Key) -> dict[str, Any]:
    default = {} if key.default is None else {"default": _value(key.default)}
    return {"description": key.doc, **default, **_schema(key.type)}


def _value(default: Any) -> Any:
    """A default as somebody would write it."""
    if isinstance(default, Decimal):
        return str(default)
    return int(default) if isinstance(default, float) and default.is_integer() else default


def _spelled(default: Any) -> str:
    """The same as a text: only the words of a list have no quotes in YAML as they have in JSON."""
    return f"[{', '.join(default)}]" if isinstance(default, list) else str(default).lower()


def reference() -> str:
    """Every key with its type, default and meaning, as Markdown."""
    lines = ["| key | expected | default | meaning |", "|---|---|---|---|"]
    lines += [f"| `{path}` | {expected} | {default} | {doc} |" for path, expected, default, doc in _rows(TOP, "")]
    return "\n".join(lines) + "\n"


def _rows(table: Table, path: str, known: frozenset[str] = frozenset()) -> Iterator[tuple[str, str, str, str]]:
    for key in table.keys:
        if key.name in known:
            continue
        at = f"{path}.{key.name}" if path else key.name
        default = "" if key.default is None else f"`{_spelled(_value(key.default))}`"
        yield at, _expected(key.type), "required" if key.required else default, key.doc
        yield from _inside(key.type, at)


def _inside(kind: Type, path: str) -> Iterator[tuple[str, str, str, str]]:
    match kind:
        case Table():
            yield from _rows(kind, path)
        case Either():
            yield from _rows(kind.mapping, path)
        case MapOf():
            yield from _inside(kind.item, f"{path}.NAME")
        case ListOf():
            yield from _inside(kind.item, f"{path}[]")
        case Variants():
            known: frozenset[str] = frozenset()
            for table in kind.tables.values():
                yield from _rows(table, path, known)
                known |= set(table.names())
        case _:
            return


def _expected(kind: Type) -> str:
    match kind:
        case Table() | Variants():
            return "a mapping"
        case MapOf():
            return "a mapping by name"
        case ListOf():
            return f"a list of: {_expected(kind.item)}"
        case Either():
            return f"{kind.scalar.expected}, or a mapping"
        case Json():
            return kind.what
        case _:
            return kind.expected
