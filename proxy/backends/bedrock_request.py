"""A request in OpenAI's terms as the body of Converse and ConverseStream.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from proxy.backends.anthropic_thinking import thinking, wish_of
from proxy.backends.bedrock_media import Inexpressible
from proxy.backends.bedrock_messages import said
from proxy.backends.bedrock_models import Model
from proxy.backends.bedrock_tools import answer_form, forced, tools
from proxy.core.failure import Failure, FailureKind

_MORE = "additionalModelRequestFields"
_TRANSLATED = frozenset(
    {
        *("model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens", "stop"),
        *("temperature", "top_p", "top_k", "tools", "tool_choice", "functions", "function_call"),
        *("parallel_tool_calls", "reasoning_effort", "reasoning", "thinking", "response_format", "service_tier"),
        *("metadata", _MORE),
    }
)
_OWN = frozenset(
    {
        *("additionalModelResponseFieldPaths", "guardrailConfig", "outputConfig", "performanceConfig"),
        *("promptVariables", "requestMetadata", "serviceTier"),
    }
)
"""Converse's own parameters, which OpenAI does not have: handed on as they are."""
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
_HINTS = frozenset({"prediction", "prompt_cache_key", "prompt_cache_retention", "safety_identifier", "store", "user"})
"""Parameters that change nothing of an answer: left out, which is no reason to ask somebody else."""
_OPENAIS = frozenset({"seed", "frequency_penalty", "presence_penalty", "logit_bias"})
"""What gpt-oss takes as OpenAI has it."""
_TIERS = {"priority": "priority", "flex": "flex", "auto": "", "default": ""}
_LABEL = re.compile(r"[a-zA-Z0-9\s:_@$#=/+,.-]{1,256}")
_MOST_LABELS = 16


class Written(NamedTuple):
    """A body, and what is not in it."""

    body: dict[str, Any]
    lost: tuple[str, ...]
    """Parameters that cannot be expressed."""
    hints: tuple[str, ...]
    """Parameters that were left out and change nothing of the answer."""


def write(asked: Mapping[str, Any], model: Model, *, prefill: bool) -> Written | Failure:
    """`prefill`: an assistant message that comes last is continued."""
    lost: list[str] = []
    hints: list[str] = []
    body: dict[str, Any] = {}
    more: dict[str, Any] = {}
    _sort(asked, body, more, model, lost, hints)
    messages = asked.get("messages")
    try:
        history = said(messages if isinstance(messages, list) else [], model, prefill=prefill)
    except Inexpressible as error:
        return Failure(FailureKind.UNSUPPORTED, str(error), param="messages")
    body["messages"] = history.messages
    if history.system:
        body["system"] = history.system
    tools(asked, body, more, model, history.tools, lost)
    answer_form(asked, body, model, lost)
    config = _limits(asked, model, lost)
    stuck = history.prefilled or history.thoughtless
    _think(asked, body, more, config, model, stuck, lost)
    _sample(asked, config, more, model, lost)
    if config:
        body["inferenceConfig"] = config
    own = asked.get(_MORE)
    if isinstance(own, Mapping):
        more.update(own)
    if more:
        body[_MORE] = more
    return Written(body, tuple(dict.fromkeys(lost)), tuple(hints))


def _sort(
    asked: Mapping[str, Any],
    body: dict[str, Any],
    more: dict[str, Any],
    model: Model,
    lost: list[str],
    hints: list[str],
) -> None:
    """What is handed on as it is, and what nobody here knows."""
    for name, value in asked.items():
        if name in _TRANSLATED or value is None:
            continue
        if name in _OWN:
            body[name] = value
        elif name in _HINTS:
            hints.append(name)
        elif name in _WITHOUT_EFFECT and value == _WITHOUT_EFFECT[name]:
            continue
        elif model.open_weights and name in _OPENAIS:
            more[name] = value
        else:
            lost.append(name)
    tier = asked.get("service_tier")
    if isinstance(tier, str) and _TIERS.get(tier) is None:
        lost.append("service_tier")
    elif isinstance(tier, str) and _TIERS[tier]:
        body["serviceTier"] = {"type": _TIERS[tier]}
    labels = asked.get("metadata")
    if isinstance(labels, Mapping) and labels:
        if len(labels) <= _MOST_LABELS and all(_is_label(part) for pair in labels.items() for part in pair):
            body.setdefault("requestMetadata", labels)
        else:
            hints.append("metadata")


def _is_label(value: object) -> bool:
    return isinstance(value, str) and _LABEL.fullmatch(value) is not None


def _limits(asked: Mapping[str, Any], model: Model, lost: list[str]) -> dict[str, Any]:
    config: dict[str, Any] = {}
    for name in ("max_completion_tokens", "max_tokens"):
        value = asked.get(name)
        if type(value) is int and value > 0:
            config["maxTokens"] = value
            break
    stop = asked.get("stop")
    stops = [one for one in (stop if isinstance(stop, list) else [stop]) if isinstance(one, str) and one]
    if model.claude is not None and any(one.isspace() for one in stops):  # "must contain non-whitespace"
        stops = [one for one in stops if not one.isspace()]
        lost.append("stop")
    if stops:
        config["stopSequences"] = stops
    return config


def _think(
    asked: Mapping[str, Any],
    body: Mapping[str, Any],
    more: dict[str, Any],
    config: dict[str, Any],
    model: Model,
    stuck: bool,
    lost: list[str],
) -> None:
    """How much to think: each maker has its own words for it."""
    wish = wish_of(asked)
    if wish is None:
        return
    if model.claude is not None:
        limit = config.get("maxTokens")
        must = forced(body, more)
        found = thinking(wish, model.claude, limit or model.claude.most, limited=bool(limit), forced=must, stuck=stuck)
        lost += found.lost
        if found.config is not None:
            more["thinking"] = found.config
        if found.effort:
            more["output_config"] = {"effort": found.effort}
        if found.on and "budget_tokens" in (found.config or {}):
            config["maxTokens"] = found.max_tokens
        return
    if wish.raw is not None:  # in Claude's own words
        lost += wish.names
        return
    effort = "" if wish.off else wish.effort or "medium"
    low = {"minimal": "low", "xhigh": "high", "max": "high"}.get(effort, effort)
    match model.family:
        case "nova2" if low:
            # "maxTokens must be unset when … maxReasoningEffort is 'high'", and so must what samples be
            open_ended = not config.get("maxTokens") and asked.get("temperature") is None and asked.get("top_p") is None
            how = low if open_ended or low != "high" else "medium"
            more["reasoningConfig"] = {"type": "enabled", "maxReasoningEffort": how}
        case "openai" | "kimi" if low:
            more["reasoning_effort"] = low
        case "qwen" if low:
            more["reasoning_config"] = low
        case _:
            if not wish.off or model.family in ("openai", "kimi"):
                lost += wish.names


def _sample(
    asked: Mapping[str, Any], config: dict[str, Any], more: dict[str, Any], model: Model, lost: list[str]
) -> None:
    thinks = more.get("thinking", {}).get("type") in ("enabled", "adaptive")
    plain = model.samples and not thinks
    temperature, top_p, top_k = (_number(asked.get(name)) for name in ("temperature", "top_p", "top_k"))
    if temperature is not None:
        temperature = min(max(temperature, 0), 1)  # OpenAI's goes up to 2
        if plain or (thinks and temperature == 1 and model.samples):
            config["temperature"] = temperature
        elif temperature != 1:
            lost.append("temperature")
    if top_p is not None:
        alone = not (model.claude and model.claude.one_of and "temperature" in config)
        if plain and alone:
            config["topP"] = min(max(top_p, 0), 1)
        elif top_p < 1:
            lost.append("top_p")
    if not model.samples and model.claude is None and "stopSequences" in config:
        del config["stopSequences"]
        lost.append("stop")
    if top_k is not None:
        _top_k(top_k, more, model.family if plain else "", lost)


def _top_k(top_k: float, more: dict[str, Any], family: str, lost: list[str]) -> None:
    match family:
        case "anthropic" | "mistral":
            more["top_k"] = top_k
        case "nova" | "nova2":
            more["inferenceConfig"] = {"topK": top_k}
        case "cohere":
            more["k"] = top_k
        case _:
            lost.append("top_k")


def _number(value: object) -> int | float | None:
    return value if type(value) is int or type(value) is float else None
