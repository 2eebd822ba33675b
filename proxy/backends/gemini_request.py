"""A chat request in OpenAI's terms as `generateContent` takes it, and what of it cannot be said there.

Source: the discovery document of generativelanguage v1beta, revision 20260529, `GenerateContentRequest`; ai.google.dev,
"OpenAI compatibility", for efforts and `extra_body.google` (read on 2026-11-21).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from proxy.backends.conversation import conversation
from proxy.backends.gemini_contents import Reach, contents_of, instruction_of
from proxy.backends.gemini_models import Traits, thinking, words
from proxy.backends.gemini_tools import response_format, tool_config, tools_in

RENAMED = {
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "max_tokens": "maxOutputTokens",
    "max_completion_tokens": "maxOutputTokens",
    "n": "candidateCount",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
}
"""Parameters that go into `generationConfig` under Gemini's name. Of two for one thing the later wins."""
MAPPED = words(
    "messages model stream stream_options tools functions tool_choice function_call parallel_tool_calls "
    "response_format reasoning_effort stop seed logprobs top_logprobs modalities service_tier extra_body logit_bias "
    "verbosity generationConfig"
)
"""Parameters with a meaning that is worked out here."""
NATIVE = {
    "safetySettings": "safetySettings",
    "safety_settings": "safetySettings",
    "cachedContent": "cachedContent",
    "cached_content": "cachedContent",
    "labels": "labels",
    "modelArmorConfig": "modelArmorConfig",
}
"""Google's own, handed on as they are."""
IDLE = words(
    "user safety_identifier metadata store prompt_cache_key prompt_cache_retention prompt_cache_options prediction"
)
"""Left out, though nothing of the answer depends on them."""
_CATEGORIES = ("HARASSMENT", "HATE_SPEECH", "SEXUALLY_EXPLICIT", "DANGEROUS_CONTENT")
_TIERS = {"flex": "flex", "priority": "priority", "default": "standard"}


class Own(NamedTuple):
    """What a backend says of every request to it."""

    reach: Reach
    tiers: bool
    """It takes `serviceTier`."""
    safety: str | None = None
    """The threshold for all kinds of harm; `None`: as Google has it."""


class Written(NamedTuple):
    """The body, and the names of parameters that are not in it: all, and those that Gemini has no word for."""

    body: dict[str, Any]
    dropped: tuple[str, ...]
    unsupported: tuple[str, ...]


def written(asked: Mapping[str, Any], traits: Traits, own: Own) -> Written:
    """The request. Raises `CannotSay`."""
    lost = {name for name, value in asked.items() if value is not None and not _known(name)}
    messages = asked.get("messages")
    said = conversation(messages if isinstance(messages, list) else [])
    if not said.turns and said.system:  # there must be contents
        said = conversation([{"role": "user", "content": "".join(text.text for text in said.system)}])
    body: dict[str, Any] = {"contents": contents_of(said, traits, own.reach)}
    instruction = instruction_of(said.system)
    if instruction is not None:
        body["systemInstruction"] = instruction
    tools = _tools(body, asked, lost)
    config = _config(asked, traits, lost, tools=tools)
    if config:
        body["generationConfig"] = config
    _native(body, asked, own, lost)
    left = lost | {name for name in IDLE if asked.get(name) is not None}
    return Written(body, tuple(sorted(left)), tuple(sorted(lost)))


def _known(name: str) -> bool:
    return name in RENAMED or name in MAPPED or name in NATIVE or name in IDLE


def _tools(body: dict[str, Any], asked: Mapping[str, Any], lost: set[str]) -> bool:
    tools, incomplete = tools_in(asked)
    if incomplete:
        lost.add("tools")
    if not tools:
        return False
    body["tools"] = tools
    chosen = tool_config(asked)
    if chosen is not None:
        body["toolConfig"] = chosen
    if asked.get("parallel_tool_calls") is False:
        lost.add("parallel_tool_calls")
    return True


def _config(asked: Mapping[str, Any], traits: Traits, lost: set[str], *, tools: bool) -> dict[str, Any]:
    config = {other: asked[name] for name, other in RENAMED.items() if asked.get(name) is not None}
    stop = asked.get("stop")
    if stop:
        config["stopSequences"] = [stop] if isinstance(stop, str) else stop
    seed = asked.get("seed")
    if type(seed) is int:
        config["seed"] = seed % (1 << 31)  # int32
    if asked.get("logprobs"):
        config["responseLogprobs"] = True
        if asked.get("top_logprobs"):
            config["logprobs"] = asked["top_logprobs"]
    wanted = asked.get("response_format")
    if isinstance(wanted, Mapping):
        form = response_format(wanted, json_schema=traits.json_schema)
        if form and tools and not traits.json_and_tools:
            lost.add("response_format")  # "Function calling with a response mime type … is unsupported"
        else:
            config.update(form)
    effort = asked.get("reasoning_effort")
    if isinstance(effort, str):
        thought = thinking(effort, traits)
        if thought is None:
            lost.add("reasoning_effort")
        else:
            config["thinkingConfig"] = thought
    _beyond(config, asked, lost)
    given = asked.get("generationConfig")
    if isinstance(given, Mapping):
        config.update(given)
    return config


def _beyond(config: dict[str, Any], asked: Mapping[str, Any], lost: set[str]) -> None:
    """What Gemini has no word for, where it asks for more than what comes anyway."""
    if asked.get("logit_bias"):
        lost.add("logit_bias")
    if asked.get("verbosity") not in (None, "medium"):
        lost.add("verbosity")
    modalities = asked.get("modalities")
    if isinstance(modalities, list) and modalities != ["text"]:
        if set(map(str, modalities)) <= {"text", "image"}:
            config["responseModalities"] = [str(one).upper() for one in modalities]
        else:
            lost.add("modalities")


def _native(body: dict[str, Any], asked: Mapping[str, Any], own: Own, lost: set[str]) -> None:
    """What is Google's own, and what the operator set for the backend."""
    extra = asked.get("extra_body")
    google = extra.get("google") if isinstance(extra, Mapping) else None
    if isinstance(google, Mapping):
        if isinstance(google.get("thinking_config"), Mapping):
            config = body.setdefault("generationConfig", {})
            wanted = {_camel(name): value for name, value in google["thinking_config"].items()}
            config["thinkingConfig"] = {**config.get("thinkingConfig", {}), **wanted}
        if google.get("cached_content"):
            body["cachedContent"] = google["cached_content"]
    elif extra is not None:
        lost.add("extra_body")
    for name, other in NATIVE.items():
        if asked.get(name) is not None:
            body[other] = asked[name]
    if own.safety is not None and "safetySettings" not in body:
        body["safetySettings"] = [
            {"category": f"HARM_CATEGORY_{name}", "threshold": own.safety} for name in _CATEGORIES
        ]
    tier = asked.get("service_tier")
    if tier in _TIERS and own.tiers:
        body["serviceTier"] = _TIERS[tier]
    elif tier not in (None, "auto", "default"):
        lost.add("service_tier")


def _camel(name: object) -> str:
    first, *more = str(name).split("_")
    return first + "".join(word.capitalize() for word in more)
