"""JSON schemas in the words of Google's `Schema`, which is a part of OpenAPI 3.0's.

Anything else in it is answered with 400 ("Unknown name"), and on Vertex a node without a type, or with anything beside
`anyOf`, too. What cannot be said is left out: a schema only tells the model what to write, and whoever offers the tool
checks what comes. Source: the discovery document of generativelanguage v1beta, revision 20260529, `Schema`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_MOST_NODES = 4096
"""References can make a schema as large as one likes; beyond this, objects are left open."""
_DEEPEST = 48
_SAME_REFERENCE = 2
"""So often a recursive definition is written out."""
_PLAIN = ("title", "description", "pattern")
_COUNTS = ("minItems", "maxItems", "minProperties", "maxProperties", "minLength", "maxLength")
_FORMATS = {
    "string": frozenset({"enum", "date-time"}),
    "integer": frozenset({"int32", "int64"}),
    "number": frozenset({"float", "double"}),
}
_TYPES = frozenset({"string", "number", "integer", "boolean", "array", "object"})
_ANYTHING = ("string", "number", "boolean", "object")


def parameters_of(schema: Mapping[str, Any]) -> dict[str, Any] | None:
    """A function's parameters: always an object. `None` where there are none."""
    found = Translation(schema).node(schema)
    if "anyOf" in found:
        found = _merged(found["anyOf"])
    if found.get("type") != "OBJECT" or not found.get("properties"):
        return None
    return found


def schema_of(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Any schema."""
    return Translation(schema).node(schema)


class Translation:
    """Of one schema, whose root its references begin at."""

    __slots__ = ("_depth", "_left", "_path", "_root")

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._left = _MOST_NODES
        self._depth = 0
        self._path: list[str] = []
        """The references that led to here."""

    def node(self, schema: object) -> dict[str, Any]:
        """One schema, wherever it stands."""
        self._left -= 1
        if self._left < 0 or self._depth >= _DEEPEST:
            return {"type": "OBJECT"}
        if not isinstance(schema, Mapping):
            return _anything()
        self._depth += 1
        path = len(self._path)
        made = self._node(schema)
        del self._path[path:]
        self._depth -= 1
        return made

    def _node(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        pointer = schema.get("$ref")
        if isinstance(pointer, str):
            return self._referred(pointer, schema)
        parts = schema.get("allOf")
        if isinstance(parts, list) and parts:
            schema = self._all_of(schema, parts)
        choices = schema.get("anyOf") or schema.get("oneOf")
        if isinstance(choices, list) and choices:
            return self._any_of(schema, choices)
        kind = schema.get("type")
        if isinstance(kind, list):
            return self._any_of(schema, [{"type": one} for one in kind])
        return self._typed(schema, kind)

    def _referred(self, pointer: str, schema: Mapping[str, Any]) -> dict[str, Any]:
        found = _at(self._root, pointer)
        if found is None:
            return _described(_anything(), schema.get("description"))
        if self._path.count(pointer) >= _SAME_REFERENCE:
            return _described({"type": "OBJECT"}, schema.get("description") or found.get("description"))
        beside = {name: value for name, value in schema.items() if name != "$ref"}
        self._path.append(pointer)
        return self.node({**found, **beside})

    def _all_of(self, schema: Mapping[str, Any], parts: list[Any]) -> dict[str, Any]:
        whole = {name: value for name, value in schema.items() if name != "allOf"}
        for part in parts[:32]:
            part = self._resolved(part)
            properties = {**_mapping(whole, "properties"), **_mapping(part, "properties")}
            required = [*_list(whole, "required"), *_list(part, "required")]
            whole = {**part, **whole}
            if properties:
                whole["properties"] = properties
            if required:
                whole["required"] = required
        return whole

    def _resolved(self, part: object) -> Mapping[str, Any]:
        for _ in range(8):
            pointer = part.get("$ref") if isinstance(part, Mapping) else None
            if not isinstance(pointer, str):
                break
            if self._path.count(pointer) >= _SAME_REFERENCE:
                return {}
            self._path.append(pointer)
            part = _at(self._root, pointer)
        return {k: v for k, v in part.items() if k not in ("allOf", "$ref")} if isinstance(part, Mapping) else {}

    def _any_of(self, schema: Mapping[str, Any], choices: list[Any]) -> dict[str, Any]:
        """`null` among the choices makes the others nullable."""
        beside = {name: schema[name] for name in schema if name not in ("anyOf", "oneOf", "description", "title")}
        beside.pop("type", None) if isinstance(schema.get("type"), list) else None
        kept = [choice for choice in choices if not _is_null(choice)]
        made = [
            self.node({**beside, **choice}) if isinstance(choice, Mapping) and beside else self.node(choice)
            for choice in kept[:64]
        ]
        flat = [inner for one in made for inner in one.get("anyOf", [one])]
        said = schema.get("description")
        if not flat:
            return _described({"type": "STRING", "nullable": True}, said)
        if len(kept) < len(choices) or schema.get("nullable") is True:
            flat = [{**one, "nullable": True} for one in flat]
        if len(flat) == 1:
            return _described(flat[0], said)
        return {"anyOf": [_described(one, None if one.get("description") else said) for one in flat]}

    def _typed(self, schema: Mapping[str, Any], kind: object) -> dict[str, Any]:
        kind = kind.lower() if isinstance(kind, str) else _guessed(schema)
        if kind == "null":
            return _described({"type": "STRING", "nullable": True}, schema.get("description"))
        if kind not in _TYPES:
            return _described(_anything(), schema.get("description"))
        made: dict[str, Any] = {"type": kind.upper()}
        for name in _PLAIN:
            if isinstance(schema.get(name), str):
                made[name] = schema[name]
        for name in _COUNTS:
            if type(schema.get(name)) is int:
                made[name] = str(schema[name])  # int64, which proto's JSON writes as text
        if schema.get("nullable") is True:
            made["nullable"] = True
        if schema.get("default") is not None:
            made["default"] = schema["default"]
        _format(made, schema, kind)
        _limits(made, schema, kind)
        _enum(made, schema, kind)
        if kind == "array":
            made["items"] = self._items(schema)
        elif kind == "object":
            self._object(made, schema)
        return made

    def _items(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        items = schema.get("items")
        tuple_ = schema.get("prefixItems") or (items if isinstance(items, list) else None)
        if isinstance(tuple_, list) and tuple_:
            return self._any_of({}, tuple_)
        return self.node(items if isinstance(items, Mapping) else None)

    def _object(self, made: dict[str, Any], schema: Mapping[str, Any]) -> None:
        properties = _mapping(schema, "properties")
        if not properties:
            return
        made["properties"] = {str(name): self.node(value) for name, value in properties.items()}
        for name in ("required", "propertyOrdering"):
            known = [one for one in dict.fromkeys(_list(schema, name)) if one in properties]
            if known:
                made[name] = known


def _format(made: dict[str, Any], schema: Mapping[str, Any], kind: str) -> None:
    given = schema.get("format")
    if not isinstance(given, str) or not given:
        return
    if given in _FORMATS.get(kind, ()):
        made["format"] = given
    elif kind == "string":
        made["description"] = f"{made['description']} (format: {given})" if made.get("description") else given


def _limits(made: dict[str, Any], schema: Mapping[str, Any], kind: str) -> None:
    """Exclusive limits become inclusive ones: of a whole number exactly, of another as near as can be said."""
    if kind not in ("integer", "number"):
        return
    for name, beyond, step in (("minimum", "exclusiveMinimum", 1), ("maximum", "exclusiveMaximum", -1)):
        limit, edge = _number(schema.get(name)), _number(schema.get(beyond))
        if edge is not None:
            edge = edge + step if type(edge) is int and kind == "integer" else edge
            limit = edge if limit is None or (edge - limit) * step > 0 else limit
        if limit is not None:
            made[name] = limit


def _number(value: object) -> int | float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _enum(made: dict[str, Any], schema: Mapping[str, Any], kind: str) -> None:
    """Only texts can be enumerated, and none may be empty; other values are told in words."""
    given = [schema["const"]] if "const" in schema else schema.get("enum")
    if not isinstance(given, list) or not given:
        return
    if None in given:
        made["nullable"] = True
    values = [one for one in given if one is not None]
    if kind == "string":
        texts = [one for one in dict.fromkeys(v for v in values if isinstance(v, str)) if one]
        if texts:
            made["enum"] = texts
        return
    words = ", ".join(str(one).lower() if isinstance(one, bool) else str(one) for one in values[:32])
    if words:
        _described(made, f"{made['description']} One of: {words}." if made.get("description") else f"One of: {words}.")


def _guessed(schema: Mapping[str, Any]) -> str | None:
    """The type of a schema that does not name it."""
    if "properties" in schema or "additionalProperties" in schema or "required" in schema:
        return "object"
    if "items" in schema or "prefixItems" in schema:
        return "array"
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    if isinstance(values, list) and values:
        first = next((value for value in values if value is not None), "")
        names = {bool: "boolean", int: "integer", float: "number", str: "string"}
        return names.get(type(first), "string")
    if "pattern" in schema or "minLength" in schema or "format" in schema:
        return "string"
    return "number" if "minimum" in schema or "maximum" in schema else None


def _anything() -> dict[str, Any]:
    return {"anyOf": [{"type": kind.upper()} for kind in _ANYTHING]}


def _described(made: dict[str, Any], words: object) -> dict[str, Any]:
    if isinstance(words, str) and words:
        if "anyOf" in made:
            made["anyOf"] = [_described(one, None if one.get("description") else words) for one in made["anyOf"]]
        else:
            made["description"] = words
    return made


def _merged(choices: list[dict[str, Any]]) -> dict[str, Any]:
    """One object that is any of several: all their properties, of which only those are required that all require."""
    objects = [one for one in choices if one.get("properties")]
    properties = {name: value for one in objects for name, value in one["properties"].items()}
    required = [name for name in properties if all(name in one.get("required", ()) for one in objects)]
    return {"type": "OBJECT", "properties": properties, **({"required": required} if required else {})}


def _is_null(choice: object) -> bool:
    return isinstance(choice, Mapping) and (
        choice.get("type") == "null" or ("const" in choice and choice["const"] is None)
    )


def _at(root: Mapping[str, Any], pointer: str) -> Mapping[str, Any] | None:
    """What a JSON pointer (RFC 6901) within the document leads to."""
    if pointer == "#":
        return root
    if not pointer.startswith("#/"):
        return None
    found: object = root
    for step in pointer[2:].split("/"):
        found = found.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else None


def _mapping(schema: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = schema.get(name)
    return found if isinstance(found, Mapping) else {}


def _list(schema: Mapping[str, Any], name: str) -> list[Any]:
    found = schema.get(name)
    return [one for one in found if isinstance(one, str)] if isinstance(found, list) else []
