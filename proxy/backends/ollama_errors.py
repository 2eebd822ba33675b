"""What an error of Ollama means.

It is a text (`{"error": "…"}`), whole or as a line of a stream, with `status` beside it in newer versions. What Ollama
hands on from its llama-server (since 0.30) is that server's JSON, as text inside the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import orjson

from proxy.backends.openai_errors import ErrorReader
from proxy.core.call import Headers
from proxy.core.failure import Failure, FailureKind

K = FailureKind

_RULES = (
    # server/sched.go, ErrMaxQueue: its queue fills while a model is loaded, and the model comes
    (K.LOADING, re.compile(r"maximum pending requests exceeded|server loading model")),
    # llm/llama_server.go of 0.33: "the prompt is longer than the context length currently available to the model"
    (K.CONTEXT_LENGTH, re.compile(r"longer than the context|input length exceeds|prompt too long")),
    # server/routes.go: tools, thinking, chat, insert, vision; under 400, 500 and 501
    (
        K.UNSUPPORTED,
        re.compile(
            r"does not support|think value .{0,40}not supported|only supports one image"
            r"|missing data required for image input"
        ),
    ),
)
_MAX_TEXT = 4096


class OllamaErrors:
    """Reads the errors of one backend. `hide` are the texts that must not get out."""

    __slots__ = ("_reader",)

    def __init__(self, hide: Iterable[str] = ()) -> None:
        self._reader = ErrorReader(hide)

    def __repr__(self) -> str:
        return "OllamaErrors()"

    def failure(self, status: int, headers: Headers, body: bytes) -> Failure:
        """What a non-2xx answer means."""
        try:
            value = orjson.loads(body)
        except orjson.JSONDecodeError:
            return _named(self._reader.failure(status, headers, body), "")
        inner = _unwrapped(value)
        return _named(self._reader.failure(status, headers, orjson.dumps(inner)), _text(inner))

    def in_stream(self, value: object) -> Failure:
        """What an error inside a stream, or under 200, means."""
        inner = _unwrapped(value)
        return _named(self._reader.in_stream(inner), _text(inner))


def _named(failure: Failure, text: str) -> Failure:
    """Ollama's own words say more than the status that it happens to give them."""
    for kind, pattern in _RULES:
        if pattern.search(text):
            code = "context_length_exceeded" if kind is K.CONTEXT_LENGTH else failure.code
            words = "the backend is still loading the model" if kind is K.LOADING else failure.message
            return failure._replace(kind=kind, code=code, message=words)
    return failure


def _unwrapped(value: object) -> object:
    """The JSON inside the text, where there is one."""
    error = value.get("error") if isinstance(value, dict) else None
    if not isinstance(error, str) or not error.lstrip().startswith("{"):
        return value
    try:
        inner: Any = orjson.loads(error)
    except orjson.JSONDecodeError:
        return value
    return inner if isinstance(inner, dict) else value


def _text(value: object) -> str:
    error = value.get("error") if isinstance(value, dict) else value
    if isinstance(error, dict):
        error = error.get("message")
    return error[:_MAX_TEXT].lower() if isinstance(error, str) else ""
