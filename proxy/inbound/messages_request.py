"""A request to Anthropic's Messages API, in the words of chat completions."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, NamedTuple

from proxy.inbound.messages_content import Lost, conversation, parts_of, plain
from proxy.inbound.messages_history import without_foreign
from proxy.inbound.messages_tools import is_strict, tools_of
from proxy.inbound.refused import Refused, flag, known, missing, model_of

KNOWN = frozenset(
    {
        "model",
        "messages",
        "max_tokens",
        "system",
        "stream",
        "temperature",
        "top_p",
        "top_k",
        "stop_sequences",
        "metadata",
        "thinking",
        "tools",
        "tool_choice",
        "output_config",
        "output_format",
        "service_tier",
        "cache_control",
    }
)
"""Parameters that have a counterpart, or, like the cache mark, change nothing in the answer."""
MATERIAL = frozenset({"mcp_servers", "container", "inference_geo"})
"""Further ones without which an answer would not be what was asked for. All others only tune Anthropic's server."""
LONGEST_USER = 64
"""Characters that OpenAI takes as `user`."""
EFFORTS = {"low": "low", "medium": "medium", "high": "high", "xhigh": "xhigh", "max": "xhigh"}
LOW, MEDIUM = 4096, 16384
"""Tokens of thinking below which the effort is low, or medium."""


class Asked(NamedTuple):
    """What a Messages request says."""

    body: dict[str, Any]
    """In the words of chat completions."""
    native: Mapping[str, Any]
    """As it can be handed on to Anthropic."""
    lost: tuple[str, ...]
    minor: tuple[str, ...]


def asked(body: dict[str, Any], *, limited: bool = True) -> Asked:
    """Takes the body of `POST /v1/messages` apart. `limited`: it must say how long an answer may be. Raises
    `Refused`."""
    model = model_of(body)
    most = body.get("max_tokens")
    if most is None and limited:
        raise missing("max_tokens")
    if most is not None and (type(most) is not int or most < 0):
        raise Refused("'max_tokens' must be a number of tokens.", "max_tokens")
    lost = Lost()
    chat: dict[str, Any] = {"model": model, "messages": messages_of(body, lost)}
    if most is not None:
        chat["max_tokens"] = most
    chat.update(known(body, ("temperature", "top_p", "top_k")))
    if flag(body, "stream"):
        chat["stream"] = True
        chat["stream_options"] = {"include_usage": True}
    tools = tools_of(body, lost)
    chat.update(tools.body)
    _limits(body, chat)
    _thinking(body, chat)
    _format(body, chat)
    others = [name for name, value in body.items() if name not in KNOWN and value is not None]
    lost.names += [name for name in others if name in MATERIAL]
    minor = (*(name for name in others if name not in MATERIAL), *tools.minor)
    return Asked(chat, without_foreign(body), tuple(dict.fromkeys(lost.names)), minor)


def messages_of(body: Mapping[str, Any], lost: Lost) -> list[dict[str, Any]]:
    """System prompt and conversation. Raises `Refused`."""
    messages = body.get("messages")
    if messages is None:
        raise missing("messages")
    if type(messages) is not list or not messages:
        raise Refused("'messages' must be a list that is not empty.", "messages")
    said: list[dict[str, Any]] = []
    system = body.get("system")
    if system is not None:
        parts = parts_of(system, "system", lost)
        if parts:
            said.append({"role": "system", "content": plain(parts)})
    return said + conversation(messages, lost)


def _limits(body: Mapping[str, Any], chat: dict[str, Any]) -> None:
    stops = body.get("stop_sequences")
    if stops is not None:
        if type(stops) is not list or not all(isinstance(stop, str) for stop in stops):
            raise Refused("'stop_sequences' must be a list of texts.", "stop_sequences")
        if stops:
            chat["stop"] = stops
    metadata = body.get("metadata")
    user = metadata.get("user_id") if isinstance(metadata, Mapping) else None
    if isinstance(user, str) and user:
        chat["user"] = user if len(user) <= LONGEST_USER else sha256(user.encode("utf-8", "replace")).hexdigest()
    if body.get("service_tier") == "standard_only":  # `auto` is what everybody does by default
        chat["service_tier"] = "default"


def _thinking(body: Mapping[str, Any], chat: dict[str, Any]) -> None:
    thinking = body.get("thinking")
    if thinking is not None and not isinstance(thinking, Mapping):
        raise Refused("'thinking' must be an object.", "thinking")
    given = thinking or {}
    output = body.get("output_config")
    effort = EFFORTS.get(str(output.get("effort"))) if isinstance(output, Mapping) else None
    if given.get("type") == "disabled":
        return
    budget = given.get("budget_tokens")
    if effort is None and given.get("type") == "enabled" and isinstance(budget, int):
        effort = "low" if budget < LOW else "medium" if budget < MEDIUM else "high"
    if effort is not None:
        chat["reasoning_effort"] = effort


def _format(body: Mapping[str, Any], chat: dict[str, Any]) -> None:
    output = body.get("output_config")
    given = output.get("format") if isinstance(output, Mapping) else None
    given = given or body.get("output_format")  # the name that it had as a beta
    if given is None:
        return
    schema = given.get("schema") if isinstance(given, Mapping) else None
    if not isinstance(schema, Mapping):
        raise Refused("'output_config.format' needs a 'schema'.", "output_config.format")
    form = {"name": "answer", "schema": schema, "strict": is_strict(schema)}
    chat["response_format"] = {"type": "json_schema", "json_schema": form}
