"""Whole answers of Converse, in OpenAI's terms."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

import orjson

from proxy.backends.anthropic_tools import is_legacy
from proxy.backends.bedrock_messages import tool_name
from proxy.backends.bedrock_models import CLAUDE, Model
from proxy.backends.chunks import completion
from proxy.backends.tools import tools_of
from proxy.core.chat import Completion
from proxy.core.dialect import Malformed, Stamp
from proxy.core.failure import Failure, FailureKind
from proxy.core.usage import Usage

_MAX = 1 << 40
"""A count beyond this is nonsense, not a count."""
_FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
}
_TIERS = frozenset({"flex", "priority", "reserved"})
"""Service tiers that do not cost what is usual."""
_BROKEN = {
    "malformed_tool_use": Failure(FailureKind.TOOL_USE, "the model wrote a tool call that cannot be read"),
    "malformed_model_output": Failure(FailureKind.SERVER_ERROR, "the model wrote an answer that cannot be read"),
}
SERVER_TOOL = "server_tool_use"
"""The type of a call that Bedrock itself answers."""


def finish_of(reason: object, *, calls: bool, legacy: bool) -> str:
    """OpenAI's finish reason; `legacy`: for a request with `functions`. Some models end their turn with a call, and say
    only that it ended."""
    found = _FINISH.get(reason, "stop") if isinstance(reason, str) else "stop"
    if calls and found == "stop":
        found = "tool_calls"
    return "function_call" if legacy and found == "tool_calls" else found


def broken(reason: object) -> Failure | None:
    """The failure that a stop reason tells of, if it does."""
    return _BROKEN.get(reason) if isinstance(reason, str) else None


def usage_of(told: Mapping[str, Any], *, doubled: bool = False) -> Usage | None:
    """The `usage` of an answer, or of a stream's `metadata`. `inputTokens` leaves out what was read from the cache and
    written to it, and `totalTokens` contains all (prompt caching in the user guide; so it is in recordings). `doubled`:
    streams of OpenAI's models, whose `inputTokens` were seen to contain both (maximhq/bifrost, pull request 6942,
    2026-09)."""
    value = told.get("usage")
    if not isinstance(value, Mapping):
        return None
    given, made = _count(value, "inputTokens"), _count(value, "outputTokens")
    if given is None and made is None:
        return None
    read, written = _count(value, "cacheReadInputTokens") or 0, _count(value, "cacheWriteInputTokens") or 0
    given = given or 0
    if not (doubled and given >= read + written):
        given += read + written
    tier = told.get("serviceTier")
    named = tier.get("type") if isinstance(tier, Mapping) else None
    return Usage(given, made or 0, read, written, tier=named if named in _TIERS else "")


def details_of(reasoning: Mapping[str, Any], model: Model, index: int) -> dict[str, Any] | None:
    """What must come back with the next turn: a signature with its text, or what was encrypted."""
    redacted = reasoning.get("redactedContent")
    if isinstance(redacted, str) and redacted:
        data = _inner(redacted) if model.signs == CLAUDE else redacted
        return {"type": "reasoning.encrypted", "data": data, "format": model.signs, "index": index}
    signature, text = reasoning.get("signature"), reasoning.get("text")
    if isinstance(signature, str) and signature:
        told = text if isinstance(text, str) else ""
        return {
            "type": "reasoning.text",
            "text": told,
            "signature": signature,
            "format": model.signs,
            "index": index,
        }
    return None


def names_of(stamp: Stamp) -> Mapping[str, str]:
    """The tools' own names by those that were sent, where they differ."""
    names = [tool.name for tool in tools_of(stamp.body)]
    return {sent: name for name in names if (sent := tool_name(name)) != name}


def read_completion(body: bytes, model_id: str, model: Model, reply: str | None, stamp: Stamp) -> Completion | Failure:
    """An answer of Converse. Raises `Malformed`."""
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Malformed("the upstream's answer is not JSON") from error
    output = answer.get("output") if isinstance(answer, dict) else None
    message = output.get("message") if isinstance(output, dict) else None
    content = message.get("content") if isinstance(message, dict) else None
    if not isinstance(content, list):
        raise Malformed("the upstream's answer is not one of Converse's")
    failure = broken(answer.get("stopReason"))
    if failure is not None:
        return failure
    parts = _Parts(model, names_of(stamp))
    for block in content:
        if isinstance(block, dict):
            parts.add(block)
    legacy = is_legacy(stamp.body)
    finish = finish_of(answer.get("stopReason"), calls=bool(parts.calls), legacy=legacy)
    more: dict[str, Any] = {"reasoning_details": parts.details} if parts.details else {}
    if legacy and parts.calls:
        more["function_call"] = parts.calls[0]["function"]
        parts.calls = []
    return completion(
        stamp,
        model=model_id,
        reply=reply,
        text="".join(parts.text),
        finish=finish,
        usage=usage_of(answer),
        tools=parts.calls,
        reasoning="".join(parts.reasoning),
        more=more,
        filtered=finish == "content_filter",
    )


class _Parts:
    """What the content blocks of one answer hold."""

    def __init__(self, model: Model, names: Mapping[str, str]) -> None:
        self._model = model
        self._names = names
        self.text: list[str] = []
        self.reasoning: list[str] = []
        self.details: list[dict[str, Any]] = []
        self.calls: list[dict[str, Any]] = []

    def add(self, block: dict[str, Any]) -> None:
        text = block.get("text")
        if isinstance(text, str):
            self.text.append(text)
        elif isinstance(use := block.get("toolUse"), dict):
            if use.get("type") != SERVER_TOOL:
                self._call(use)
        elif isinstance(thought := block.get("reasoningContent"), dict):
            self._thought(thought)
        elif isinstance(cited := block.get("citationsContent"), dict):
            inner = cited.get("content")
            for part in inner if isinstance(inner, list) else ():
                if isinstance(part, dict) and isinstance(part.get("text"), str):
                    self.text.append(part["text"])

    def _call(self, use: dict[str, Any]) -> None:
        given = use.get("input")
        arguments = given if isinstance(given, str) else orjson.dumps(given if given is not None else {}).decode()
        name = str(use.get("name") or "")
        function = {"name": self._names.get(name, name), "arguments": arguments}
        self.calls.append({"id": str(use.get("toolUseId") or ""), "type": "function", "function": function})

    def _thought(self, thought: dict[str, Any]) -> None:
        told = thought.get("reasoningText")
        inner = told if isinstance(told, dict) else thought
        if isinstance(inner.get("text"), str):
            self.reasoning.append(inner["text"])
        detail = details_of(inner, self._model, len(self.details))
        if detail is not None:
            self.details.append(detail)


def _inner(data: str) -> str:
    """Anthropic's own text, which came as bytes in base64."""
    try:
        text = base64.b64decode(data, validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        return data
    return text if text.isprintable() else data


def _count(value: Mapping[str, Any], name: str) -> int | None:
    count = value.get(name)
    return count if type(count) is int and 0 <= count < _MAX else None
