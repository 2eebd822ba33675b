"""Functions, the choice among them, and response formats in Gemini's words.

Sources (read on 2026-11-21): ai.google.dev, "Function calling" and "Structured outputs"; the discovery document of
generativelanguage v1beta, `FunctionDeclaration`, `FunctionCallingConfig`, `GenerationConfig`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import orjson

from proxy.backends.gemini_models import words
from proxy.backends.gemini_schema import parameters_of, schema_of
from proxy.backends.tools import Tool, choice_of, tools_of

_MODES = {"auto": "AUTO", "none": "NONE", "required": "ANY"}
_KEPT = words(
    "$id $defs $ref $anchor type format title description enum items prefixItems minItems maxItems minimum maximum "
    "anyOf oneOf properties additionalProperties required propertyOrdering"
)
"""What `responseJsonSchema` takes."""
_LARGEST_KEPT = 32 * 1024
"""Bytes of a request's tools whose translation is remembered: most conversations bring the same at every turn."""
_DEEPEST = 64


def tools_in(body: Mapping[str, Any]) -> tuple[list[Any], bool]:
    """`tools`, and whether some that were asked for are not among them."""
    given = body.get("tools")
    if not isinstance(given, list):
        given = body.get("functions")
    if not isinstance(given, list) or not given:
        return [], False
    packed = orjson.dumps(given, default=str)
    count, declared = _remembered(packed) if len(packed) <= _LARGEST_KEPT else _declared(packed)
    return [{"functionDeclarations": declared}] if declared else [], count != len(given)


def tool_config(body: Mapping[str, Any]) -> dict[str, Any] | None:
    """`toolConfig`; `None` where the request leaves the choice open."""
    choice = choice_of(body)
    if choice is None:
        return None
    if choice.mode == "named":
        return {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": [choice.name]}}
    names = _allowed(body.get("tool_choice"))
    if names:  # VALIDATED: words or one of these functions; AUTO takes no names
        mode = "ANY" if choice.mode == "required" else "VALIDATED"
        return {"functionCallingConfig": {"mode": mode, "allowedFunctionNames": names}}
    return {"functionCallingConfig": {"mode": _MODES.get(choice.mode, "AUTO")}}


def response_format(asked: Mapping[str, Any], *, json_schema: bool) -> dict[str, Any]:
    """The members of `generationConfig` for OpenAI's `response_format`."""
    kind = asked.get("type")
    described = asked.get("json_schema")
    if kind == "json_schema" and isinstance(described, Mapping):
        schema = described.get("schema")
        if isinstance(schema, Mapping) and schema:
            if json_schema:
                return {"responseMimeType": "application/json", "responseJsonSchema": _within(schema, 0)}
            return {"responseMimeType": "application/json", "responseSchema": schema_of(schema)}
    return {"responseMimeType": "application/json"} if kind in ("json_object", "json_schema") else {}


def _declared(packed: bytes) -> tuple[int, list[dict[str, Any]]]:
    given = orjson.loads(packed)
    tools = tools_of({"tools": given}) or tools_of({"functions": given})
    return len(tools), [_declaration(tool) for tool in tools]


_remembered = lru_cache(maxsize=32)(_declared)


def _declaration(tool: Tool) -> dict[str, Any]:
    made: dict[str, Any] = {"name": tool.name}
    if tool.description:
        made["description"] = tool.description
    parameters = parameters_of(tool.schema)
    if parameters is not None:
        made["parameters"] = parameters
    return made


def _allowed(choice: object) -> list[str]:
    """The names in OpenAI's `{type: allowed_tools}`."""
    inner = choice.get("allowed_tools") if isinstance(choice, Mapping) else None
    tools = inner.get("tools") if isinstance(inner, Mapping) else None
    names = []
    for tool in tools if isinstance(tools, list) else ():
        function = tool.get("function") if isinstance(tool, Mapping) else None
        name = function.get("name") if isinstance(function, Mapping) else None
        names += [name] if isinstance(name, str) else []
    return names


def _within(schema: Any, depth: int) -> Any:
    """A JSON schema with only what is taken; beside a reference nothing is."""
    if not isinstance(schema, Mapping) or depth > _DEEPEST:
        return schema if isinstance(schema, bool) else {}
    named = {**_mapping(schema, "definitions"), **_mapping(schema, "$defs")}
    made: dict[str, Any] = {"$defs": _member("$defs", named, depth)} if named else {}
    pointer = schema.get("$ref")
    if isinstance(pointer, str):
        return {**made, "$ref": pointer.replace("#/definitions/", "#/$defs/")}
    parts = schema.get("allOf")
    if isinstance(parts, list) and len(parts) == 1 and isinstance(parts[0], Mapping):
        schema = {**schema, **parts[0]}
        if "$ref" in schema:
            return {**made, **_within({"$ref": schema["$ref"]}, depth + 1)}
    made |= {name: _member(name, value, depth) for name, value in schema.items() if name in _KEPT and name != "$defs"}
    if "const" in schema:
        made["enum"] = [schema["const"]]
    return made


def _mapping(schema: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = schema.get(name)
    return found if isinstance(found, Mapping) else {}


def _member(name: str, value: Any, depth: int) -> Any:
    if name in ("properties", "$defs") and isinstance(value, Mapping):
        return {key: _within(one, depth + 1) for key, one in value.items()}
    if name in ("anyOf", "oneOf", "prefixItems") and isinstance(value, list):
        return [_within(one, depth + 1) for one in value]
    if name in ("items", "additionalProperties"):
        return _within(value, depth + 1)
    return value
