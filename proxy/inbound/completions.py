"""OpenAI's old text completions as a way in (`POST /v1/completions`).

A backend that has them gets the request as it came. For others a single prompt is a message of the user, which is not
the same: a chat model answers it, where a text model goes on with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from proxy.core.chat import ChatRequest, Native
from proxy.inbound.chunks import chunks_in, completion_in
from proxy.inbound.errors import error_body, error_event
from proxy.inbound.refused import Refused, flag, missing, model_of
from proxy.inbound.way import Fault, Renderer, Wrong

NAME = "completions"
DONE = b"data: [DONE]\n\n"
DEFAULT_TOKENS = 16
"""What a request gets that names no `max_tokens` (OpenAI's API reference)."""
OWN = frozenset({"prompt", "suffix", "echo", "best_of", "logprobs"})
"""Parameters that chat completions do not have, or not so."""
REASONS = frozenset({"stop", "length", "content_filter"})


class Completions:
    """See `proxy.inbound.way.Api`."""

    name = NAME

    def read(self, body: dict[str, Any], raw: bytes, fields: Mapping[bytes, bytes]) -> ChatRequest | Wrong:
        try:
            return _asked(body, raw)
        except Refused as refused:
            return refused.wrong

    def renderer(self, request: ChatRequest, request_id: str, created: int) -> Renderer:
        return CompletionsAnswer(request, request_id, created)

    def lines(self, request_id: str) -> bytes:
        return b""

    def error(self, fault: Fault) -> tuple[int, bytes]:
        return fault.status, error_body(fault)

    def ending(self, last: bytes) -> bytes:
        return DONE


class CompletionsAnswer:
    """One answer; see `proxy.inbound.way.Renderer`."""

    __slots__ = ("_before", "_begun", "_echo", "_head", "_shows_usage")

    def __init__(self, request: ChatRequest, request_id: str, created: int) -> None:
        given: Mapping[str, Any] = {} if request.native is None else request.native.body
        prompt = given.get("prompt")
        self._echo = (prompt if isinstance(prompt, str) else "".join(prompt or ())) if given.get("echo") else ""
        self._head = {
            "id": f"cmpl-{request_id}",
            "object": "text_completion",
            "created": created,
            "model": request.model,
        }
        self._before = b""
        self._begun: set[int] = set()
        """Choices of which something was sent."""
        self._shows_usage = request.wants_usage

    def whole(self, body: bytes) -> bytes:
        reply = completion_in(body)
        self._name(reply)
        choices = []
        for choice in _choices(reply):
            index, text = _index(choice), self._echo + _text(choice.get("message"))
            choices.append({"text": text, "index": index, "logprobs": None, "finish_reason": _reason(choice) or "stop"})
        answer: dict[str, Any] = {**self._head, "choices": choices}
        if isinstance(reply.get("usage"), dict):
            answer["usage"] = reply["usage"]
        return orjson.dumps(answer)

    def push(self, data: bytes) -> bytes:
        out: list[bytes] = []
        for chunk in chunks_in(data, out):
            if not self._before:
                self._name(chunk)
                self._before = b"data: " + orjson.dumps(self._head)[:-1] + b',"choices":['
            for choice in _choices(chunk):
                self._piece(choice, out)
            usage = chunk.get("usage")
            if self._shows_usage and isinstance(usage, dict):
                out.append(self._before + b'],"usage":' + orjson.dumps(usage) + b"}\n\n")
        return b"".join(out)

    def close(self, last: bytes) -> bytes:
        return (self.push(last) if last else b"") + DONE

    def broken(self, fault: Fault) -> bytes:
        return error_event(fault)

    def _piece(self, choice: Mapping[str, Any], out: list[bytes]) -> None:
        index, text, reason = _index(choice), _text(choice.get("delta")), _reason(choice)
        if not text and reason is None:
            return
        if index not in self._begun:
            self._begun.add(index)
            text = self._echo + text
        piece = {"text": text, "index": index, "logprobs": None, "finish_reason": reason}
        out.append(self._before + orjson.dumps(piece) + b"]}\n\n")

    def _name(self, reply: Mapping[str, Any]) -> None:
        model = reply.get("model")
        if isinstance(model, str) and model:
            self._head["model"] = model


def _asked(body: dict[str, Any], raw: bytes) -> ChatRequest:
    """Raises `Refused`."""
    model = model_of(body)
    stream = flag(body, "stream")
    text, only = _prompt(body.get("prompt"))
    if body.get("suffix"):
        only = "No target of this model can fill in the middle ('suffix')."
    lost = []
    best_of, n = body.get("best_of"), body.get("n")
    if best_of is not None and best_of != (1 if n is None else n):
        lost.append("best_of")
    if body.get("logprobs") is not None:
        lost.append("logprobs")
    flag(body, "echo")
    options = body.get("stream_options")
    if options is not None and not isinstance(options, dict):
        raise Refused("'stream_options' must be an object.", "stream_options")
    chat = {name: value for name, value in body.items() if name not in OWN and name != "messages"}
    chat["messages"] = [{"role": "user", "content": text}]
    if chat.get("max_tokens") is None:
        chat["max_tokens"] = DEFAULT_TOKENS
    wants_usage = stream and options is not None and options.get("include_usage") is True
    native = Native(NAME, body, (), tuple(lost), only=only)
    return ChatRequest(raw, chat, model, stream, wants_usage, native)


def _prompt(prompt: object) -> tuple[str, str]:
    """The words of it, and why a target without text completions cannot be asked. Raises `Refused`."""
    if prompt is None:
        raise missing("prompt")
    if isinstance(prompt, str):
        return prompt, ""
    if isinstance(prompt, list) and prompt:
        if all(isinstance(one, str) for one in prompt):
            several = "No target of this model takes several prompts at once." if len(prompt) > 1 else ""
            return "\n".join(prompt), several
        if all(type(one) is int or isinstance(one, list) for one in prompt):
            return "", "No target of this model takes a prompt of token ids."
    raise Refused("'prompt' must be a text, a list of texts, or token ids, and not empty.", "prompt")


def _choices(reply: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    choices = reply.get("choices")
    return [choice for choice in (choices if isinstance(choices, list) else ()) if isinstance(choice, Mapping)]


def _index(choice: Mapping[str, Any]) -> int:
    index = choice.get("index")
    return index if type(index) is int else 0


def _reason(choice: Mapping[str, Any]) -> str | None:
    reason = choice.get("finish_reason")
    if not isinstance(reason, str) or not reason:
        return None
    return reason if reason in REASONS else "stop"


def _text(message: object) -> str:
    """Its words. (A refusal is words here too; what the model thought has no place in a text.)"""
    if not isinstance(message, Mapping):
        return ""
    content = message.get("content") or message.get("refusal")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else ()
    texts = [part.get("text") for part in parts if isinstance(part, Mapping)]
    return "".join(text for text in texts if isinstance(text, str))
