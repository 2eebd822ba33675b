"""The tools of a Responses request in the words of chat completions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from proxy.inbound.refused import Refused

FUNCTION = ("name", "description", "parameters", "strict")
CUSTOM = {
    "type": "object",
    "properties": {"input": {"type": "string", "description": "The tool's input, as plain text."}},
    "required": ["input"],
    "additionalProperties": False,
}
"""A custom tool takes free text; here it is a function with one parameter."""


class Tools(NamedTuple):
    """`custom`: the names of those that are custom tools to the client."""

    body: dict[str, Any]
    """`tools` and `tool_choice` for chat, as far as there are any."""
    lost: tuple[str, ...]
    custom: frozenset[str]


def tools_of(asked: Mapping[str, Any]) -> Tools:
    """What a Responses request says of tools. Raises `Refused`."""
    given = asked.get("tools")
    if given is not None and not isinstance(given, list):
        raise Refused("'tools' must be a list.", "tools")
    tools: list[dict[str, Any]] = []
    lost: list[str] = []
    custom: set[str] = set()
    for i, tool in enumerate(given or ()):
        if not isinstance(tool, Mapping) or not isinstance(tool.get("type"), str):
            raise Refused(f"'tools[{i}]' must be an object with a 'type'.", f"tools[{i}]")
        if tool["type"] in ("function", "custom"):
            function = _function(tool, i)
            tools.append({"type": "function", "function": function})
            if tool["type"] == "custom":
                custom.add(function["name"])
                if isinstance(tool.get("format"), Mapping) and tool["format"].get("type") == "grammar":
                    lost.append("tools.custom.format")
        else:
            lost.append(f"tools.{tool['type']}")
    choice = asked.get("tool_choice")
    allowed, chosen = _choice(choice, lost)
    if allowed is not None:
        tools = [tool for tool in tools if tool["function"]["name"] in allowed]
    body: dict[str, Any] = {}
    if tools:
        body["tools"] = tools
        if chosen is not None:
            body["tool_choice"] = chosen
        if isinstance(asked.get("parallel_tool_calls"), bool):
            body["parallel_tool_calls"] = asked["parallel_tool_calls"]
    return Tools(body, tuple(dict.fromkeys(lost)), frozenset(custom))


def _function(tool: Mapping[str, Any], i: int) -> dict[str, Any]:
    nested = tool.get("function")
    if isinstance(nested, Mapping) and "name" not in tool:  # as in chat completions: many clients mix the two up
        tool = {**nested, "type": tool["type"]}
    if not isinstance(tool.get("name"), str) or not tool["name"]:
        raise Refused(f"'tools[{i}].name' is missing.", f"tools[{i}].name", "missing_required_parameter")
    if tool["type"] == "custom":
        words = {"description": tool["description"]} if isinstance(tool.get("description"), str) else {}
        return {"name": tool["name"], **words, "parameters": CUSTOM}
    function = {name: tool[name] for name in FUNCTION if tool.get(name) is not None}
    mark = tool.get("cache_control")
    return {**function, "cache_control": mark} if isinstance(mark, Mapping) else function


def _choice(choice: object, lost: list[str]) -> tuple[frozenset[str] | None, Any]:
    """The tools that are allowed (`None`: all), and chat's `tool_choice` (`None`: none)."""
    if choice is None:
        return None, None
    if isinstance(choice, str):
        if choice not in ("auto", "none", "required"):
            raise Refused("'tool_choice' must be 'auto', 'none', 'required' or an object.", "tool_choice")
        return None, choice
    if not isinstance(choice, Mapping):
        raise Refused("'tool_choice' must be a word or an object.", "tool_choice")
    kind, name = choice.get("type"), choice.get("name")
    if kind in ("function", "custom") and isinstance(name, str):
        return None, {"type": "function", "function": {"name": name}}
    if kind == "allowed_tools" and isinstance(choice.get("tools"), list):
        names = frozenset(str(tool.get("name")) for tool in choice["tools"] if isinstance(tool, Mapping))
        return names, "required" if choice.get("mode") == "required" else "auto"
    if not isinstance(kind, str):
        raise Refused("'tool_choice' needs a 'type'.", "tool_choice")
    lost.append(f"tool_choice.{kind}")
    return None, None
