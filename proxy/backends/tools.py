"""The tools of a request in OpenAI's terms, for dialects that say them in their own words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Tool(NamedTuple):
    """A function that the model may call. `schema`: JSON schema of its arguments, an object."""

    name: str
    description: str
    schema: Mapping[str, Any]
    strict: bool | None = None
    cache_control: Mapping[str, Any] | None = None


class Choice(NamedTuple):
    """Which tool is to be called: `auto`, `none`, `required`, or `named` with its name."""

    mode: str
    name: str = ""


NO_ARGUMENTS: Mapping[str, Any] = {"type": "object", "properties": {}}


def tools_of(body: Mapping[str, Any]) -> tuple[Tool, ...]:
    """The functions in `tools`, or in the older `functions`. Tools of other types are not among them."""
    tools = body.get("tools")
    if not isinstance(tools, list):
        old = body.get("functions")
        tools = [{"function": one} for one in old] if isinstance(old, list) else []
    found: list[Tool] = []
    for tool in tools:
        function = tool.get("function") if isinstance(tool, Mapping) else None
        if isinstance(function, Mapping) and function.get("name"):
            schema = function.get("parameters")
            strict = function.get("strict")
            found.append(
                Tool(
                    str(function["name"]),
                    str(function.get("description") or ""),
                    schema if isinstance(schema, Mapping) and schema else NO_ARGUMENTS,
                    strict if isinstance(strict, bool) else None,
                    _mark(tool) or _mark(function),
                )
            )
    return tuple(found)


def choice_of(body: Mapping[str, Any]) -> Choice | None:
    """`tool_choice`, or the older `function_call`; `None` where the request says nothing of it."""
    chosen = body.get("tool_choice", body.get("function_call"))
    if isinstance(chosen, str):
        return Choice({"any": "required"}.get(chosen, chosen))
    if not isinstance(chosen, Mapping):
        return None
    if chosen.get("type") == "allowed_tools":
        allowed = chosen.get("allowed_tools")
        mode = allowed.get("mode") if isinstance(allowed, Mapping) else None
        return Choice("required" if mode == "required" else "auto")
    function = chosen.get("function")
    name = function.get("name") if isinstance(function, Mapping) else chosen.get("name")
    return Choice("named", str(name)) if name else None


def _mark(item: Mapping[str, Any]) -> Mapping[str, Any] | None:
    mark = item.get("cache_control")
    return mark if isinstance(mark, Mapping) else None
