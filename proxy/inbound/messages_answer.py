"""Answers of chat completions in the words of Anthropic's API: whole messages, and what streams share with them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson

from proxy.core.chat import ChatRequest
from proxy.core.tokens import of_chars, of_request
from proxy.inbound.chunks import cost_in
from proxy.inbound.messages_history import CLAUDE
from proxy.inbound.responses_thoughts import completed, sealed

STOP_REASONS: Mapping[str, str] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}
CALL = frozenset({"index", "id", "type", "function"})
"""Members of a tool call that have their place in a `tool_use` block."""
DIRECT: Mapping[str, str] = {"type": "direct"}
_ODD = re.compile(r"[^a-zA-Z0-9_-]")
"""What an id of a tool call may not hold in Anthropic's API."""


def message_id(request_id: str) -> str:
    """Every answer of a request has the same."""
    return "msg_" + _ODD.sub("_", request_id.removeprefix("req_"))


def call_id(given: object, request_id: str, place: int) -> str:
    """An id that Anthropic's API allows; the client hands it back, in the call and in its result."""
    return _ODD.sub("_", given) if isinstance(given, str) and given else f"toolu_{message_id(request_id)[4:]}_{place}"


def text_of(said: Mapping[str, Any], *names: str) -> str:
    """The first of these members that is a text, and not empty."""
    for name in names:
        value = said.get(name)
        if isinstance(value, str) and value:
            return value
    return ""


def words(content: object) -> str:
    """A text, or the words of a list of parts."""
    if isinstance(content, str):
        return content
    return "".join(text_of(part, "text") for part in listed(content))


def members(value: object) -> Mapping[str, Any]:
    """An object; an empty one for anything else."""
    return value if isinstance(value, Mapping) else {}


def listed(value: object) -> list[Mapping[str, Any]]:
    """The objects in a list."""
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def further(call: Mapping[str, Any]) -> dict[str, Any]:
    """What a tool call holds that a `tool_use` block has no place for."""
    return {name: value for name, value in call.items() if name not in CALL and value is not None}


def thinking(details: list[dict[str, Any]], text: str) -> list[dict[str, Any]]:
    """The blocks for reasoning: `text` as it was shown, `details` as the backend wants it back."""
    ours = [one for one in details if one.get("format") == CLAUDE]
    if not ours or len(ours) < len(details):
        kept = sealed(completed(details, text), {}) if details else None
        shown = text or "".join(text_of(one, "text", "summary") for one in details)
        return [{"type": "thinking", "thinking": shown, "signature": kept or ""}] if shown or kept else []
    blocks: list[dict[str, Any]] = []
    for one in completed(ours, text):
        if one.get("type") == "reasoning.encrypted":
            blocks.append({"type": "redacted_thinking", "data": text_of(one, "data")})
        else:
            blocks.append(
                {"type": "thinking", "thinking": text_of(one, "text"), "signature": text_of(one, "signature")}
            )
    return blocks


def tool_use(call: Mapping[str, Any], request_id: str, place: int) -> dict[str, Any]:
    """A call's block. Arguments that are no object are given as the text that they are."""
    function = members(call.get("function")) or members(call.get("custom"))
    given = function.get("arguments", function.get("input"))
    try:
        value = orjson.loads(given) if isinstance(given, str) and given.strip() else given or {}
    except orjson.JSONDecodeError:
        value = {"arguments": given}
    return {
        "type": "tool_use",
        "id": call_id(call.get("id"), request_id, place),
        "name": text_of(function, "name") or "unknown",
        "input": value if isinstance(value, dict) else {"arguments": value},
        "caller": DIRECT,
    }


def usage_of(usage: Mapping[str, Any], request: ChatRequest, chars: int) -> dict[str, Any]:
    """Counts as Anthropic gives them: what was read from a cache, or written to it, is not in `input_tokens`. Where the
    upstream reported none they are estimated."""
    if not usage:
        return _counts(of_request(request.body), of_chars(chars), 0, 0, 0)
    details, spent = members(usage.get("prompt_tokens_details")), members(usage.get("completion_tokens_details"))
    cached = _count(details, "cached_tokens") or _count(usage, "prompt_cache_hit_tokens")
    asked = _count(usage, "prompt_tokens")
    cached = min(cached, asked)  # Azure has been seen to report more of them than there were
    written = min(_count(details, "cache_write_tokens"), asked - cached)
    fresh = asked - cached - written
    counts = _counts(fresh, _count(usage, "completion_tokens"), cached, written, _count(spent, "reasoning_tokens"))
    return {**counts, **cost_in(usage)}


def stop_reason(choice: Mapping[str, Any], request: ChatRequest, *, called: bool) -> tuple[str, str | None]:
    """Stop reason and stop sequence. (vLLM and SGLang say which one it was.)"""
    finish = choice.get("finish_reason")
    reason = STOP_REASONS.get(finish, "end_turn") if isinstance(finish, str) else "end_turn"
    if reason == "end_turn" and called:
        return "tool_use", None
    hit = choice.get("stop_reason", choice.get("matched_stop"))
    if reason == "end_turn" and isinstance(hit, str) and hit in request.body.get("stop", ()):
        return "stop_sequence", hit
    return reason, None


def message(request_id: str, model: str, usage: Mapping[str, Any], content: list[dict[str, Any]]) -> dict[str, Any]:
    """A message without an end."""
    return {
        "id": message_id(request_id),
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content,
        "stop_reason": None,
        "stop_sequence": None,
        "stop_details": None,
        "container": None,
        "usage": {"cache_creation": None, "inference_geo": None, "service_tier": None, **usage},
    }


def whole(body: bytes, request: ChatRequest, request_id: str) -> bytes:
    """A complete answer."""
    completion = members(orjson.loads(body))
    choice = next(iter(listed(completion.get("choices"))), {})
    said = members(choice.get("message"))
    details = [dict(one) for one in listed(said.get("reasoning_details"))]
    reasoning = text_of(said, "reasoning_content", "reasoning")
    content = thinking(details, reasoning)
    text = words(said.get("content")) or text_of(said, "refusal")
    if text:
        content.append({"type": "text", "text": text, "citations": None})
    calls = [(tool_use(call, request_id, place), call) for place, call in enumerate(listed(said.get("tool_calls")))]
    kept = sealed((), {block["id"]: more for block, call in calls if (more := further(call))})
    if kept:
        content.append({"type": "redacted_thinking", "data": kept})
    content += [block for block, _ in calls]
    chars = len(text) + len(reasoning) + sum(len(str(block["input"])) for block, _ in calls)
    usage = usage_of(members(completion.get("usage")), request, chars)
    answer = message(request_id, text_of(completion, "model"), usage, content)
    answer["stop_reason"], answer["stop_sequence"] = stop_reason(choice, request, called=bool(calls))
    return orjson.dumps(answer)


def _count(given: Mapping[str, Any], name: str) -> int:
    value = given.get(name)
    return value if type(value) is int and value > 0 else 0


def _counts(fresh: int, output: int, cached: int, written: int, reasoning: int) -> dict[str, Any]:
    return {
        "input_tokens": fresh,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": cached,
        "output_tokens": output,
        "output_tokens_details": {"thinking_tokens": reasoning} if reasoning else None,
        "server_tool_use": None,
    }
