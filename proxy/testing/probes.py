"""What a dialect does with each thing that a request can ask for: found by asking it, not by reading about it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, NamedTuple

import orjson

from proxy.core.chat import ChatRequest, EmbedRequest
from proxy.core.dialect import Dialect, Prepared
from proxy.core.failure import Failure

PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="  # a whole PNG
)
PAPER = "JVBERi0xLjQKJSVFT0YK"
"""The beginning and the end of a PDF."""


class Fate(Enum):
    """What becomes of it."""

    NATIVE = "native"
    """It goes as it came."""
    MAPPED = "mapped"
    """It goes in other words."""
    DROPPED = "dropped"
    """It is left out, and named; the route's `unsupported` says whether another target is asked first."""
    REFUSED = "refused"
    """The target is not asked: the answer would be another one."""
    LOST = "lost"
    """It is left out without a word: a mistake in the dialect."""


class Probe(NamedTuple):
    """One thing to ask for."""

    name: str
    asks: Mapping[str, Any]
    """Parameters of the request that ask for it."""
    beside: Mapping[str, Any] = {}
    """Parameters without which that makes no sense."""
    stream: bool = False


def _say(*parts: Mapping[str, Any]) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [{"type": "text", "text": "What is this?"}, *parts]}]}


TOOLS = {
    "tools": [
        {
            "type": "function",
            "function": {
                "name": "look",
                "description": "Looks.",
                "parameters": {"type": "object", "properties": {"where": {"type": "string"}}, "required": ["where"]},
            },
        }
    ]
}
_CALL = {"id": "call_9", "type": "function", "function": {"name": "look", "arguments": '{"where":"here"}'}}
HISTORY = {
    "messages": [
        {"role": "user", "content": "Look."},
        {"role": "assistant", "content": None, "tool_calls": [_CALL]},
        {"role": "tool", "tool_call_id": "call_9", "content": "Nothing."},
    ]
}
SCHEMA = {
    "type": "json_schema",
    "json_schema": {
        "name": "it",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {"a": {"type": "string"}},
            "required": ["a"],
            "additionalProperties": False,
        },
    },
}

PROBES = (
    Probe("system message", {"messages": [{"role": "system", "content": "S"}, {"role": "user", "content": "Hi"}]}),
    Probe("tools", TOOLS),
    Probe("`tool_choice`: required", {"tool_choice": "required"}, TOOLS),
    Probe("`tool_choice`: one tool", {"tool_choice": {"type": "function", "function": {"name": "look"}}}, TOOLS),
    Probe("`parallel_tool_calls`: false", {"parallel_tool_calls": False}, TOOLS),
    Probe("tool results, ids", HISTORY, TOOLS),
    Probe("image, data URL", _say({"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}})),
    Probe("image, remote URL", _say({"type": "image_url", "image_url": {"url": "https://pictures.example/cat.png"}})),
    Probe(
        "PDF",
        _say({"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PAPER}"}}),
    ),
    Probe("audio in", _say({"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}})),
    Probe("audio out", {"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "wav"}}),
    Probe("JSON mode", {"response_format": {"type": "json_object"}}),
    Probe("JSON schema", {"response_format": SCHEMA}),
    Probe("`max_tokens`", {"max_tokens": 64}),
    Probe("`max_completion_tokens`", {"max_completion_tokens": 64}),
    Probe("`temperature`", {"temperature": 0.4}),
    Probe("`top_p`", {"top_p": 0.4}),
    Probe("`stop`", {"stop": ["x"]}),
    Probe("`n`: 2", {"n": 2}),
    Probe("`seed`", {"seed": 7}),
    Probe("`logprobs`", {"logprobs": True, "top_logprobs": 2}),
    Probe("`logit_bias`", {"logit_bias": {"50256": -100}}),
    Probe("penalties", {"presence_penalty": 0.5, "frequency_penalty": 0.5}),
    Probe("`reasoning_effort`", {"reasoning_effort": "low"}),
    Probe("`prediction`", {"prediction": {"type": "content", "content": "x"}}),
    Probe("`service_tier`", {"service_tier": "flex"}),
    Probe("`user`", {"user": "u-1"}),
    Probe("usage of a stream", {"stream_options": {"include_usage": True}}, stream=True),
)
EMBEDDINGS = "embeddings"


def fates(dialect: Dialect) -> dict[str, Fate]:
    """What becomes of each probe at this target, by the probe's name."""
    found = {probe.name: _fate(dialect, probe) for probe in PROBES}
    body = {"model": "m", "input": ["x"]}
    embed = dialect.embed(EmbedRequest(orjson.dumps(body), body, "m", False))
    if isinstance(embed, Failure):
        found[EMBEDDINGS] = Fate.REFUSED
    else:
        found[EMBEDDINGS] = Fate.NATIVE if _content(embed).get("input") == ["x"] else Fate.MAPPED
    return found


def _fate(dialect: Dialect, probe: Probe) -> Fate:
    without = _ask(dialect, probe.beside, probe.stream)
    asked = _ask(dialect, {**probe.beside, **probe.asks}, probe.stream)
    if isinstance(without, Failure) or isinstance(asked, Failure):
        return Fate.REFUSED
    if probe.stream:  # the dialect asks for usage itself, where the provider has to be asked
        return Fate.NATIVE if "stream_options" in _content(asked) else Fate.MAPPED
    if set(asked.dropped) & {*probe.asks, *_named(probe)}:
        return Fate.DROPPED
    body = _content(asked)
    if all(body.get(name) == value for name, value in probe.asks.items()):
        return Fate.NATIVE
    return Fate.LOST if _same(without, asked) else Fate.MAPPED


def _named(probe: Probe) -> set[str]:
    """What a dialect may call a content part that it leaves out."""
    parts = [part for message in probe.asks.get("messages", ()) for part in _list(message.get("content"))]
    return {str(part["type"]) for part in parts} - {"text"}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _ask(dialect: Dialect, asks: Mapping[str, Any], stream: bool) -> Prepared | Failure:
    body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], **asks}
    if stream:
        body["stream"] = True
    return dialect.chat(ChatRequest(orjson.dumps(body), body, "m", stream, "stream_options" in body))


def _content(asked: Prepared) -> Any:
    return orjson.loads(asked.call.body)


def _same(one: Prepared, other: Prepared) -> bool:
    return one.call.head == other.call.head and bool(_content(one) == _content(other))
