"""What Ollama's answers hold, whole or line by line: its words in OpenAI's terms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from proxy.backends.ollama_messages import least_tokens
from proxy.backends.ollama_request import Asked, cuts, options_of
from proxy.core.dialect import Malformed, Stamp
from proxy.core.failure import Failure, FailureKind
from proxy.core.usage import Usage

FINISHES = {"length": "length"}
"""All others end an answer the ordinary way: `stop`, and none at all before 0.1.35."""

_BRIM = 2
"""Tokens left for an answer: nobody means to ask so."""
_USUAL = 4096
"""Tokens of context where nothing else is said (the smallest of Ollama's defaults since 0.6): what is said in a quarter
of it was not cut."""


def usage_of(reply: Mapping[str, Any]) -> Usage | None:
    """The counts; `None` where there is none of the prompt (versions before 0.2 leave it out when it was cached).

    `prompt_eval_count` contains `prompt_eval_cached_count` (0.33 and later; `promptEvalCount` in its
    llm/llama_server.go). Go leaves out a count that is 0.
    """
    given = _count(reply.get("prompt_eval_count"))
    if given is None:
        return None
    cached = _count(reply.get("prompt_eval_cached_count")) or 0
    return Usage(given, _count(reply.get("eval_count")) or 0, min(cached, given))


def truncated(usage: Usage | None, stamp: Stamp, own: Asked) -> Failure | None:
    """The failure of an answer to a part of the prompt, as far as the counts prove it.

    Versions before 0.12.6 do not know `truncate: false`. They cut a prompt to exactly `num_ctx` tokens, or to half
    of it, or drop the first messages; what the caller gets is an ordinary answer. Proof is a count that fills the
    context to the brim (more than `num_ctx` is another matter: the model has a larger one), and one of fewer tokens
    than a long prompt has words. No count, as of a cached prompt before 0.2, or none worth the name, proves nothing.
    """
    if usage is None or usage.input == 0 or not stamp.body or cuts(stamp.body, own):
        return None
    given = options_of(stamp.body, own).get("num_ctx")
    window = given if type(given) is int and given > 0 else 0
    if not window - _BRIM <= usage.input <= window:
        least = least_tokens(stamp.body.get("messages"))
        if least <= usage.input or least < (window or _USUAL) // 4:
            return None
    message = "the prompt is longer than the model's context: only a part of it was read"
    return Failure(FailureKind.CONTEXT_LENGTH, message, 200, code="context_length_exceeded")


def message_of(reply: Mapping[str, Any]) -> dict[str, Any] | None:
    """What is said in a whole answer or a line. (Of `/api/generate`, for which some servers in Ollama's place take a
    chat too, it stands beside the counts.) Raises `Malformed`."""
    message = reply.get("message")
    if message is None and type(reply.get("response")) is str:
        return {"content": reply["response"], "thinking": reply.get("thinking")}
    if message is not None and type(message) is not dict:
        raise Malformed("a message of the upstream is not a JSON object")
    return message


def text_of(message: Mapping[str, Any], name: str) -> str:
    """`content` or `thinking`. Raises `Malformed`."""
    text = message.get(name)
    if text is None:
        return ""
    if type(text) is not str:
        raise Malformed(f"`{name}` of the upstream is not a text")
    return text


def calls_of(message: Mapping[str, Any], stamp: Stamp, first: int) -> list[dict[str, Any]]:
    """The tool calls, each whole, as `tool_calls` of a message. `first`: how many came before. Raises `Malformed`.

    Before 0.12 they have no ids: made from the answer's own.
    """
    given = message.get("tool_calls")
    if not given:
        return []
    if type(given) is not list:
        raise Malformed("`tool_calls` of the upstream is not a list")
    calls: list[dict[str, Any]] = []
    for at, call in enumerate(given, first):
        function = call.get("function") if type(call) is dict else None
        name = function.get("name") if type(function) is dict else None
        if type(name) is not str:
            raise Malformed("a tool call of the upstream has no name")
        assert function is not None
        arguments = function.get("arguments")
        text = arguments if type(arguments) is str else orjson.dumps(arguments or {}).decode()
        known = call.get("id")
        key = known if type(known) is str and known else f"call_{stamp.id.removeprefix('chatcmpl-')}_{at}"
        calls.append({"id": key, "type": "function", "function": {"name": name, "arguments": text}})
    return calls


def logprobs_of(reply: Mapping[str, Any]) -> dict[str, Any] | None:
    """`logprobs` of a choice, where they were asked for."""
    given = reply.get("logprobs")
    if type(given) is not list or not given:
        return None
    content = []
    for one in given:
        if type(one) is dict:
            top = one.get("top_logprobs")
            others = [_token(other) for other in top if type(other) is dict] if type(top) is list else []
            content.append({**_token(one), "top_logprobs": others})
    return {"content": content, "refusal": None}


def _token(one: Mapping[str, Any]) -> dict[str, Any]:
    token, value, raw = one.get("token"), one.get("logprob"), one.get("bytes")
    return {
        "token": token if type(token) is str else "",
        "logprob": value if type(value) in (int, float) else 0.0,
        "bytes": raw if type(raw) is list and all(type(byte) is int for byte in raw) else None,
    }


def _count(value: object) -> int | None:
    return value if type(value) is int and value >= 0 else None
