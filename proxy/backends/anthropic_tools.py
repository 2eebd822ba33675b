"""Tools and the choice among them, in Anthropic's words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from proxy.backends.anthropic_models import Traits
from proxy.backends.anthropic_schema import strict_schema
from proxy.backends.tools import Tool, choice_of, tools_of

_DATED = re.compile(r"[a-z0-9_]+_\d{8}", re.ASCII)
"""The type of one of Anthropic's own tools: `web_search_20250305`."""
_FORCED = ("any", "tool")


def tools(
    asked: Mapping[str, Any], body: dict[str, Any], traits: Traits, called: tuple[str, ...], lost: list[str]
) -> None:
    """`tools`. `called`: the names of tools in the history, which have to be among them."""
    found: list[dict[str, Any]] = []
    given = asked.get("tools")
    for entry in given if isinstance(given, list) else [{"function": one} for one in _functions(asked)]:
        own = _own(entry)
        if own is not None:
            found.append(own)
            continue
        known = tools_of({"tools": [entry]})
        if not known:
            lost.append("tools")
        found += [_written(tool, traits, lost) for tool in known]
    allowed = _allowed(asked)
    if allowed is not None:
        found = [tool for tool in found if tool.get("name") in allowed]
    if not found and called:  # a history with calls is refused where no tool is defined
        found = [{"name": name, "input_schema": {"type": "object", "properties": {}}} for name in called]
        body["tool_choice"] = {"type": "none"}
    if found:
        body["tools"] = found


def choice(asked: Mapping[str, Any], body: dict[str, Any], traits: Traits, lost: list[str]) -> None:
    """`tool_choice`, where there are tools to choose from."""
    if "tools" not in body or "tool_choice" in body:
        return
    chosen = choice_of(asked)
    sent: dict[str, Any] | None = None
    match chosen and chosen.mode:
        case "none":
            sent = {"type": "none"}
        case "required":
            sent = {"type": "any"}
        case "named":
            sent = {"type": "tool", "name": chosen.name if chosen else ""}
        case "auto":
            sent = {"type": "auto"}
    if sent is not None and sent["type"] in _FORCED and not traits.forces:
        lost.append("tool_choice")
        sent = {"type": "auto"}
    parallel = False if is_legacy(asked) else asked.get("parallel_tool_calls")
    if isinstance(parallel, bool) and (sent is None or sent["type"] != "none"):
        sent = {**(sent or {"type": "auto"}), "disable_parallel_tool_use": not parallel}
    if sent is not None:
        body["tool_choice"] = sent


def has_forced(body: Mapping[str, Any]) -> bool:
    """The model must call a tool."""
    chosen = body.get("tool_choice")
    return isinstance(chosen, Mapping) and chosen.get("type") in _FORCED


def is_legacy(asked: Mapping[str, Any]) -> bool:
    """The request has `functions`, the older form of tools: its answer holds one `function_call` at most."""
    return bool(asked.get("functions")) and not asked.get("tools")


def _functions(asked: Mapping[str, Any]) -> Iterable[Any]:
    functions = asked.get("functions")
    return functions if isinstance(functions, list) else ()


def _own(entry: Any) -> dict[str, Any] | None:
    """A tool in Anthropic's own form: one of its own, or a function."""
    if not isinstance(entry, Mapping) or "function" in entry:
        return None
    kind = entry.get("type")
    if isinstance(kind, str) and (_DATED.fullmatch(kind) or kind == "mcp_toolset"):
        return dict(entry)
    return dict(entry) if kind in (None, "custom") and isinstance(entry.get("input_schema"), Mapping) else None


def _written(tool: Tool, traits: Traits, lost: list[str]) -> dict[str, Any]:
    schema: Mapping[str, Any] = tool.schema
    if schema.get("type") != "object":
        schema = {**schema, "type": "object"}
    sent: dict[str, Any] = {"name": tool.name}
    if tool.description:
        sent["description"] = tool.description
    if tool.strict and traits.schemas:
        sent["input_schema"] = strict_schema(schema)
        sent["strict"] = True
    else:
        sent["input_schema"] = schema
        if tool.strict:
            lost.append("strict")
    if tool.cache_control is not None:
        sent["cache_control"] = tool.cache_control
    return sent


def _allowed(asked: Mapping[str, Any]) -> frozenset[str] | None:
    """The names that `tool_choice: {type: allowed_tools}` leaves."""
    chosen = asked.get("tool_choice")
    if not isinstance(chosen, Mapping) or chosen.get("type") != "allowed_tools":
        return None
    inner = chosen.get("allowed_tools")
    entries = inner.get("tools") if isinstance(inner, Mapping) else None
    names: set[str] = set()
    for entry in entries if isinstance(entries, list) else ():
        function = entry.get("function") if isinstance(entry, Mapping) else None
        if isinstance(function, Mapping):
            names.add(str(function.get("name")))
    return frozenset(names) if names else None
