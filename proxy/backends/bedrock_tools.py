"""Tools, the choice among them, and the form of the answer, in Converse's words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from proxy.backends.anthropic_schema import strict_schema
from proxy.backends.anthropic_tools import is_legacy
from proxy.backends.bedrock_messages import cache_point, tool_name
from proxy.backends.bedrock_models import Model
from proxy.backends.tools import NO_ARGUMENTS, Choice, Tool, choice_of, tools_of

_CHOICES = {"auto": "auto", "required": "any"}
_CLAUDES = {"auto": "auto", "required": "any", "named": "tool"}
"""The choice as Claude's own API has it. (`none` is refused here: boto/botocore, issue 3458.)"""


def tools(
    asked: Mapping[str, Any],
    body: dict[str, Any],
    more: dict[str, Any],
    model: Model,
    called: tuple[str, ...],
    lost: list[str],
) -> None:
    """`toolConfig`, and what of it only Claude's own fields (`more`) can say. `called`: the tools in the history,
    without which that would be refused."""
    found = _allowed(asked, tools_of(asked))
    given = asked.get("tools")
    if isinstance(given, list) and len(tools_of(asked)) < len(given):
        lost.append("tools")
    chosen = choice_of(asked)
    if not found and called:
        found = tuple(Tool(name, "", NO_ARGUMENTS) for name in called)
        chosen = Choice("none")
    if chosen is not None and chosen.mode == "none" and not called:
        return
    if not found:
        return
    config: dict[str, Any] = {"tools": [block for tool in found for block in _written(tool, model)]}
    _choose(asked, config, more, model, chosen, lost)
    body["toolConfig"] = config


def forced(body: Mapping[str, Any], more: Mapping[str, Any]) -> bool:
    """The model must call a tool."""
    chosen = body.get("toolConfig", {}).get("toolChoice", {})
    return "any" in chosen or "tool" in chosen or more.get("tool_choice", {}).get("type") in ("any", "tool")


def answer_form(asked: Mapping[str, Any], body: dict[str, Any], model: Model, lost: list[str]) -> None:
    """`outputConfig`: an answer that a JSON schema describes."""
    wanted = asked.get("response_format")
    kind = wanted.get("type") if isinstance(wanted, Mapping) else None
    if kind is None or kind == "text":
        return
    inner = wanted.get("json_schema") if kind == "json_schema" and isinstance(wanted, Mapping) else None
    schema = inner.get("schema") if isinstance(inner, Mapping) else None
    if not isinstance(inner, Mapping) or not isinstance(schema, Mapping) or (model.claude and not model.claude.schemas):
        lost.append("response_format")  # `json_object` too: nothing here makes sure of it
        return
    written: dict[str, Any] = {"schema": orjson.dumps(strict_schema(schema) if model.claude else schema).decode()}
    for name in ("name", "description"):
        if isinstance(inner.get(name), str) and inner[name]:
            written[name] = inner[name]
    own = body.get("outputConfig")
    form = {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": written}}}
    body["outputConfig"] = {**form, **(own if isinstance(own, Mapping) else {})}


def _choose(
    asked: Mapping[str, Any],
    config: dict[str, Any],
    more: dict[str, Any],
    model: Model,
    chosen: Choice | None,
    lost: list[str],
) -> None:
    mode = "auto" if chosen is None else chosen.mode
    alone = (asked.get("parallel_tool_calls") is False or is_legacy(asked)) and mode != "none"
    name = tool_name(chosen.name) if chosen is not None else ""
    if model.claude is not None and mode in ("required", "named") and not model.claude.forces:
        lost.append("tool_choice")
        chosen, mode = None, "auto"
    if model.claude is not None and alone and mode in _CLAUDES:
        # Said twice, it is refused: "conflicts with the existing field toolConfig.toolChoice".
        more["tool_choice"] = {"type": _CLAUDES[mode], "disable_parallel_tool_use": True}
        if mode == "named":
            more["tool_choice"]["name"] = name
        return
    if alone and not is_legacy(asked):
        lost.append("parallel_tool_calls")
    if mode == "named":
        config["toolChoice"] = {"tool": {"name": name}}
    elif chosen is not None and mode in _CHOICES:
        config["toolChoice"] = {_CHOICES[mode]: {}}
    elif mode == "none" and choice_of(asked) is not None:
        lost.append("tool_choice")


def _written(tool: Tool, model: Model) -> list[dict[str, Any]]:
    schema: Mapping[str, Any] = tool.schema
    if schema.get("type") != "object":
        schema = {**schema, "type": "object"}
    spec: dict[str, Any] = {"name": tool_name(tool.name)}
    if tool.description.strip():
        spec["description"] = tool.description
    spec["inputSchema"] = {"json": schema}
    blocks: list[dict[str, Any]] = [{"toolSpec": spec}]
    if tool.cache_control is not None and model.caches_tools:
        blocks.append(cache_point(tool.cache_control))
    return blocks


def _allowed(asked: Mapping[str, Any], found: tuple[Tool, ...]) -> tuple[Tool, ...]:
    """Those that `tool_choice: {type: allowed_tools}` leaves."""
    chosen = asked.get("tool_choice")
    inner = chosen.get("allowed_tools") if isinstance(chosen, Mapping) else None
    entries = inner.get("tools") if isinstance(inner, Mapping) else None
    if not isinstance(entries, list):
        return found
    functions = [entry.get("function") for entry in entries if isinstance(entry, Mapping)]
    names = {function.get("name") for function in functions if isinstance(function, Mapping)}
    return tuple(tool for tool in found if tool.name in names)
