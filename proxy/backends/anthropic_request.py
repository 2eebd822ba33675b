"""A request in OpenAI's terms as the body of `POST /v1/messages` (platform.claude.com, "Create a Message")."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from proxy.backends.anthropic_history import History, Inexpressible, history
from proxy.backends.anthropic_models import Traits
from proxy.backends.anthropic_schema import strict_schema
from proxy.backends.anthropic_thinking import Thinking, thinking, wish_of
from proxy.backends.anthropic_tools import choice, has_forced, tools
from proxy.core.failure import Failure, FailureKind

BINDING = "thinking-binding-controls-2026-08-01"
"""The beta in which thinking blocks that no longer fit are left out instead of refused."""

_TRANSLATED = frozenset(
    {
        *("model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens"),
        *("stop", "stop_sequences", "temperature", "top_p", "top_k", "response_format", "output_config"),
        *("tools", "tool_choice", "functions", "function_call", "parallel_tool_calls"),
        *("reasoning_effort", "reasoning", "thinking"),
        *("user", "safety_identifier", "metadata", "service_tier"),
    }
)
OWN = frozenset(
    {"cache_control", "container", "context_management", "diagnostics", "inference_geo", "mcp_servers", "speed"}
)
"""Parameters of Anthropic's that OpenAI does not have: handed on as they are."""
_WITHOUT_EFFECT: Mapping[str, Any] = {
    "n": 1,
    "logprobs": False,
    "top_logprobs": 0,
    "frequency_penalty": 0,
    "presence_penalty": 0,
    "logit_bias": {},
    "modalities": ["text"],
}
"""Parameters with the value that says what happens anyway."""
_HINTS = frozenset({"prediction", "prompt_cache_key", "prompt_cache_retention", "store"})
"""Parameters that change nothing of an answer: left out, which is no reason to ask somebody else."""
_TIERS = {"auto": "auto", "default": "standard_only", "standard_only": "standard_only", "priority": "auto"}
_PERSON = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+|\+?[\d() -]{7,}")
"""An address or a telephone number, which Anthropic refuses as a user's id."""
_LONGEST_ID = 512
_THINKING_TOP_P = 0.95
"""The least that can be asked for while the model thinks."""
_BLIND_TOP_P = 0.99
"""From here on it is taken by models that take no top_p."""


class Written(NamedTuple):
    """A body without its model, and what is not in it."""

    body: dict[str, Any]
    lost: tuple[str, ...]
    """Parameters that cannot be expressed."""
    hints: tuple[str, ...]
    """Parameters that were left out and change nothing of the answer."""
    betas: tuple[str, ...] = ()
    """What the request needs named in `anthropic-beta`."""


def write(
    asked: Mapping[str, Any], traits: Traits, *, stream: bool, most: int, files: bool = False, prefill: bool = False
) -> Written | Failure:
    """`most`: `max_tokens` where the request names none. `files`: files are handed on by their ids. `prefill`: an
    assistant message that comes last is continued."""
    lost: list[str] = []
    hints: list[str] = []
    body: dict[str, Any] = {}
    _sort(asked, body, lost, hints)
    messages = asked.get("messages")
    try:
        said = history(messages if isinstance(messages, list) else [], prefill=prefill, files=files)
    except Inexpressible as error:
        return Failure(FailureKind.UNSUPPORTED, str(error), param="messages")
    if said.system:
        body["system"] = said.system
    body["messages"] = said.messages
    tools(asked, body, traits, said.tools, lost)
    choice(asked, body, traits, lost)
    betas = _think(asked, body, traits, said, most, lost)
    _format(asked, body, traits, lost)
    _sample(asked, body, traits, lost)
    _stop(asked, body, lost)
    _who(asked, body, lost, hints)
    if stream:
        body["stream"] = True
    return Written(body, tuple(dict.fromkeys(lost)), tuple(hints), betas)


def _sort(asked: Mapping[str, Any], body: dict[str, Any], lost: list[str], hints: list[str]) -> None:
    """What is handed on as it is, and what nobody here knows."""
    for name, value in asked.items():
        if name in _TRANSLATED or value is None:
            continue
        if name in OWN:
            body[name] = value
        elif name in _HINTS:
            hints.append(name)
        elif name not in _WITHOUT_EFFECT or value != _WITHOUT_EFFECT[name]:
            lost.append(name)


def _think(
    asked: Mapping[str, Any], body: dict[str, Any], traits: Traits, said: History, most: int, lost: list[str]
) -> tuple[str, ...]:
    """How much to think, and how long to be."""
    limit = _limit(asked)
    found: Thinking = thinking(
        wish_of(asked),
        traits,
        limit or most,
        limited=limit is not None,
        forced=has_forced(body),
        stuck=said.prefilled or said.thoughtless,
    )
    body["max_tokens"] = found.max_tokens
    lost += found.lost
    own = asked.get("output_config")
    config: dict[str, Any] = dict(own) if isinstance(own, Mapping) else {}
    if found.effort:
        config.setdefault("effort", found.effort)
    if config:
        body["output_config"] = config
    how = found.config
    betas: tuple[str, ...] = ()
    if traits.bound and said.thoughts and (how is None or how.get("type") == "adaptive"):
        # What comes back was said in other words in between: better without a thought than refused.
        how = {"type": "adaptive", **(how or {})}
        how.setdefault("block_binding", {"prefix_mismatch_behavior": "drop_block"})
        betas = (BINDING,)
    if how is not None:
        body["thinking"] = how
    return betas


def _limit(asked: Mapping[str, Any]) -> int | None:
    for name in ("max_completion_tokens", "max_tokens"):
        value = asked.get(name)
        if type(value) is int and value > 0:
            return value
    return None


def _format(asked: Mapping[str, Any], body: dict[str, Any], traits: Traits, lost: list[str]) -> None:
    """Structured output: `output_config.format`, generally available and without a beta header since early 2026."""
    wanted = asked.get("response_format")
    kind = wanted.get("type") if isinstance(wanted, Mapping) else None
    if kind is None or kind == "text":
        return
    inner = wanted.get("json_schema") if kind == "json_schema" and isinstance(wanted, Mapping) else None
    schema = inner.get("schema") if isinstance(inner, Mapping) else None
    if not traits.schemas or not isinstance(schema, Mapping):
        lost.append("response_format")  # `json_object` too: nothing here makes sure of it
        return
    config = body.setdefault("output_config", {})
    config.setdefault("format", {"type": "json_schema", "schema": strict_schema(schema)})


def _sample(asked: Mapping[str, Any], body: dict[str, Any], traits: Traits, lost: list[str]) -> None:
    how = body.get("thinking")
    thinks = how is not None and how.get("type") in ("enabled", "adaptive")
    temperature, top_p, top_k = (_number(asked.get(name)) for name in ("temperature", "top_p", "top_k"))
    if temperature is not None:
        temperature = min(max(temperature, 0), 1)  # OpenAI's goes up to 2
        if temperature == 1 and not traits.samples:
            temperature = None
        elif temperature != 1 and (thinks or not traits.samples):
            lost.append("temperature")
            temperature = None
    if top_p is not None and (not traits.samples or thinks):
        if top_p < (_THINKING_TOP_P if traits.samples else _BLIND_TOP_P):
            lost.append("top_p")
            top_p = None
        elif not traits.samples:
            top_p = None
    if top_p is not None and temperature is not None and traits.one_of:
        if top_p < 1:
            lost.append("top_p")
        top_p = None
    if top_k is not None and (thinks or not traits.samples):
        lost.append("top_k")
        top_k = None
    found = {"temperature": temperature, "top_p": top_p, "top_k": top_k}
    body.update({name: value for name, value in found.items() if value is not None})


def _number(value: object) -> int | float | None:
    return value if type(value) is int or type(value) is float else None


def _stop(asked: Mapping[str, Any], body: dict[str, Any], lost: list[str]) -> None:
    stops: list[str] = []
    for name in ("stop", "stop_sequences"):
        given = asked.get(name)
        for one in given if isinstance(given, list) else [given]:
            if not isinstance(one, str) or not one:
                continue
            if one.isspace():  # "each stop sequence must contain non-whitespace"
                lost.append(name)
            else:
                stops.append(one)
    if stops:
        body["stop_sequences"] = stops


def _who(asked: Mapping[str, Any], body: dict[str, Any], lost: list[str], hints: list[str]) -> None:
    """The user's id, and the service tier."""
    metadata = asked.get("metadata")
    known = metadata.get("user_id") if isinstance(metadata, Mapping) else None
    if isinstance(metadata, Mapping) and metadata.keys() - {"user_id"}:
        hints.append("metadata")
    for name, who in (
        ("metadata", known),
        ("safety_identifier", asked.get("safety_identifier")),
        ("user", asked.get("user")),
    ):
        if not isinstance(who, str) or not who or "metadata" in body:
            continue
        if len(who) > _LONGEST_ID or _PERSON.fullmatch(who):
            hints.append(name)
        else:
            body["metadata"] = {"user_id": who}
    tier = asked.get("service_tier")
    if isinstance(tier, str):
        if tier in _TIERS:
            body["service_tier"] = _TIERS[tier]
        else:
            lost.append("service_tier")
