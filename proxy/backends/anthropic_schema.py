"""JSON schemas within what Anthropic's structured outputs take.

The same is done by Anthropic's own SDKs (`transform_schema`): what the API refuses moves into the description, where
the model may still heed it. (platform.claude.com, "Structured outputs", JSON schema limitations.)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

_KEPT = ("type", "enum", "const", "default", "title", "description", "$ref", "required")
_FORMATS = frozenset(
    {"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"},
)
_NOISE = frozenset({"$schema", "$id", "additionalProperties", "strict", "nullable"})
"""Says nothing to a model, or is said otherwise."""
_DEEPEST = 64


def strict_schema(schema: Mapping[str, Any], depth: int = 0) -> dict[str, Any]:
    """`schema` with objects closed, and with only what is taken."""
    if depth > _DEEPEST:
        return {}
    kept: dict[str, Any] = {name: schema[name] for name in _KEPT if name in schema}
    said: dict[str, Any] = {}
    for name, value in schema.items():
        if name in kept or name in _NOISE:
            continue
        if not _taken(kept, name, value, depth):
            said[name] = value
    if _is_object(kept):
        kept.setdefault("properties", {})
        kept["additionalProperties"] = False
    if said:
        words = orjson.dumps(said, default=str).decode()
        before = kept.get("description")
        kept["description"] = f"{before}\n\n{words}" if isinstance(before, str) and before else words
    return kept


def _taken(kept: dict[str, Any], name: str, value: Any, depth: int) -> bool:
    """Puts it into `kept` where the API takes it."""
    match name, value:
        case (("properties" | "$defs" | "definitions"), Mapping()):
            kept[name] = {key: _inner(one, depth) for key, one in value.items()}
        case "items", Mapping():
            kept[name] = strict_schema(value, depth + 1)
        case (("anyOf" | "oneOf"), list()):
            kept["anyOf"] = [_inner(one, depth) for one in value]
        case "allOf", list():
            kept[name] = [_inner(one, depth) for one in value]
        case "format", str() if value in _FORMATS:
            kept[name] = value
        case "minItems", 0 | 1:
            kept[name] = value
        case _:
            return False
    return True


def _inner(schema: Any, depth: int) -> Any:
    return strict_schema(schema, depth + 1) if isinstance(schema, Mapping) else schema


def _is_object(kept: Mapping[str, Any]) -> bool:
    kind = kept.get("type")
    return kind == "object" or (isinstance(kind, list) and "object" in kind) or "properties" in kept
