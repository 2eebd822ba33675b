"""Tools of Anthropic's API in the words of chat completions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from proxy.inbound.messages_content import Lost, marked
from proxy.inbound.refused import Refused

OWN = frozenset({"type", "name", "description", "input_schema", "cache_control", "strict"})
MODES = {"auto": "auto", "any": "required", "none": "none"}


class Tools(NamedTuple):
    """`body`: what belongs into the chat request. `minor`: members of tools that only tune Anthropic's server."""

    body: dict[str, Any]
    minor: tuple[str, ...]


def tools_of(body: Mapping[str, Any], lost: Lost) -> Tools:
    """Raises `Refused`. Tools that Anthropic runs, or whose schema only its models know, are lost."""
    given = body.get("tools")
    if given is None:
        return Tools({}, ())
    if type(given) is not list:
        raise Refused("'tools' must be a list.", "tools")
    functions: list[dict[str, Any]] = []
    minor: list[str] = []
    for place, tool in enumerate(given):
        if not isinstance(tool, Mapping):
            raise Refused(f"'tools[{place}]' must be an object.", f"tools[{place}]")
        if tool.get("type") not in (None, "custom"):
            lost.add(f"tools.{tool['type']}")
            continue
        functions.append(_function(tool, f"tools[{place}]"))
        minor += [f"tools.{name}" for name, value in tool.items() if name not in OWN and value is not None]
    if not functions:
        return Tools({}, ())
    said: dict[str, Any] = {"tools": functions}
    said.update(_choice(body.get("tool_choice"), {tool["function"]["name"] for tool in functions}))
    return Tools(said, tuple(dict.fromkeys(minor)))


def is_strict(schema: object) -> bool:
    """Does OpenAI take it with `strict`? Every object in it is closed, and requires all of its properties, which
    Anthropic does not ask for (platform.openai.com/docs/guides/structured-outputs)."""
    stack = [schema]
    while stack:
        item = stack.pop()
        if isinstance(item, list):
            stack += item
        elif isinstance(item, dict):
            if "properties" in item or item.get("type") == "object":
                properties, required = item.get("properties") or {}, item.get("required") or []
                if not isinstance(properties, dict) or not isinstance(required, list):
                    return False
                if item.get("additionalProperties") is not False:
                    return False
                if any(name not in required for name in properties):
                    return False
            stack += item.values()
    return True


def _function(tool: Mapping[str, Any], where: str) -> dict[str, Any]:
    name, schema = tool.get("name"), tool.get("input_schema")
    if not isinstance(name, str) or not name:
        raise Refused(f"'{where}.name' must be a text that is not empty.", f"{where}.name")
    if not isinstance(schema, Mapping):
        raise Refused(f"'{where}.input_schema' must be a JSON schema.", f"{where}.input_schema")
    function: dict[str, Any] = {"name": name, "parameters": schema}
    if isinstance(tool.get("description"), str):
        function["description"] = tool["description"]
    if tool.get("strict") is True and is_strict(schema):
        function["strict"] = True
    return marked({"type": "function", "function": function}, tool)


def _choice(given: object, names: set[str]) -> dict[str, Any]:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise Refused("'tool_choice' must be an object.", "tool_choice")
    said: dict[str, Any] = {}
    kind = given.get("type")
    if kind == "tool":
        name = given.get("name")
        if isinstance(name, str) and name in names:
            said["tool_choice"] = {"type": "function", "function": {"name": name}}
    elif isinstance(kind, str) and kind in MODES:
        said["tool_choice"] = MODES[kind]
    else:
        raise Refused("'tool_choice.type' must be auto, any, tool or none.", "tool_choice.type")
    if given.get("disable_parallel_tool_use") is True:
        said["parallel_tool_calls"] = False
    return said
