"""What an OpenAI-speaking backend's error means, from any bytes at all."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import orjson

from proxy.backends.openai_verdicts import kind_of
from proxy.core.call import Headers
from proxy.core.failure import Failure, FailureKind
from proxy.core.retry_after import named_wait
from proxy.core.scrub import scrub

K = FailureKind

_MAX_BODY = 1024 * 1024
"""Bytes of an error that are parsed."""
_MAX_TEXT = 4096
"""Characters of its text that are looked at."""
_GZIP = b"\x1f\x8b"
_MAX_UNREADABLE = 4
"""So many bytes that are no UTF-8 make a text something else than text."""
_WORD = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_BROKEN_OFF = frozenset({"error", "insufficient_system_resource"})
"""Finish reasons that say that the upstream failed: OpenRouter's and DeepSeek's."""

_FIXED = {
    K.KEY_REFUSED: "the backend does not accept the credentials that Wayline has for it",
    K.QUOTA: "the quota or credit that Wayline has at the backend is used up",
    K.NOT_FOUND: "the backend does not serve the model of this target",
    K.REDIRECT: "the backend answered with a redirect, which is never followed",
    K.RATE_LIMITED: "the backend limits the rate of requests",
    K.LOADING: "the backend is still loading the model",
    K.BUSY: "the queue in front of the local model is full",
}
"""Said in our words, since the upstream's own would tell of our key, our account or our configuration."""
_WAITS = frozenset({K.RATE_LIMITED, K.QUOTA, K.OVERLOADED, K.LOADING, K.SERVER_ERROR, K.BUSY})


class Fault(NamedTuple):
    """An error as the upstream words it. Everything in it is unscrubbed."""

    message: str = ""
    extra: str = ""
    """More text to look at, which is not the message: what stands behind an aggregator's own words."""
    words: frozenset[str] = frozenset()
    code: str | None = None
    type: str | None = None
    param: str | None = None
    status: int | None = None
    """A status given as a number inside the error."""
    body: object = None


class ErrorReader:
    """Reads the errors of one backend. `hide` are the texts that must not get out: its key, its host."""

    __slots__ = ("_busy", "_hide")

    def __init__(self, hide: Iterable[str] = (), *, own_queue: bool = False) -> None:
        self._hide = tuple(sorted((text for text in hide if text), key=len, reverse=True))
        self._busy = own_queue
        """A full queue is one of our own: no failure of the target."""

    def __repr__(self) -> str:
        return "ErrorReader()"

    def failure(self, status: int, headers: Headers, body: bytes) -> Failure:
        """What a non-2xx answer means."""
        fault = read_fault(_parsed(body))
        return self._failure(fault, status, headers)

    def in_stream(self, value: object) -> Failure:
        """What an error inside a stream, or under 200, means; `value` is the parsed event or its text."""
        fault = read_fault(value)
        return self._failure(fault, fault.status, [])

    def fault_in(self, answer: Mapping[str, Any], choices: list[Any]) -> object | None:
        """The error in an answer under 200, if there is one; to be given to `in_stream`."""
        if answer.get("error") or answer.get("object") == "error":
            return answer
        for choice in choices:
            if type(choice) is dict and (fault := self.fault_of(choice)) is not None:
                return fault
        return None

    def fault_of(self, choice: Mapping[str, Any]) -> object | None:
        """The error in one choice (OpenRouter's `error` and `finish_reason: error`), if there is one."""
        error = choice.get("error")
        if not error:
            reason = choice.get("finish_reason")
            if type(reason) is not str or reason not in _BROKEN_OFF:
                return None
            error = {"code": reason}
        return {"error": error}

    def _failure(self, fault: Fault, status: int | None, headers: Headers) -> Failure:
        text = f"{fault.message} {fault.extra}"[:_MAX_TEXT]
        kind = kind_of(status, fault.words, text.lower())
        if self._busy and kind is K.OVERLOADED and ("queue_full" in fault.words or "queue is full" in text):
            kind = K.BUSY
        return self.judged(kind, fault, status, headers)

    def judged(self, kind: FailureKind, fault: Fault, status: int | None, headers: Headers) -> Failure:
        """A fault whose kind is known, made fit for a caller's eyes."""
        text = f"{fault.message} {fault.extra}"[:_MAX_TEXT]
        wait = named_wait(headers, fault.body, text) if kind in _WAITS else None
        message = _FIXED.get(kind) or scrub(fault.message, self._hide) or _default(status)
        param = scrub(fault.param, self._hide, 200) if fault.param else None
        code = "context_length_exceeded" if kind is K.CONTEXT_LENGTH else self._clean(fault.code)  # clients look for it
        return Failure(kind, message, status, wait, code, self._clean(fault.type), param)

    def _clean(self, word: str | None) -> str | None:
        """A code or a type, unless there is something in it to hide."""
        return word if word is not None and scrub(word, self._hide) == word else None


def read_fault(value: object) -> Fault:
    """Finds the error in whatever shape it comes: OpenAI's, a bare string, FastAPI's `detail`, wrapped in an array."""
    if isinstance(value, list):
        value = next((item for item in value if isinstance(item, dict)), None)
    if isinstance(value, str):
        return Fault(message=value)
    if not isinstance(value, dict):
        return Fault()
    error = value.get("error")
    if isinstance(error, dict):
        return _from_object(error)
    if isinstance(error, str):
        return _from_object({"message": error, **{name: value[name] for name in value if name != "error"}})
    return _from_object(value)


def _from_object(error: dict[str, Any]) -> Fault:
    message = _message(error)
    metadata = error.get("metadata")
    raw = metadata.get("raw") if isinstance(metadata, dict) else None
    words = {_lower(word) for word in _words(error)}
    return Fault(
        message=message,
        extra=raw if isinstance(raw, str) else "",
        words=frozenset(words - {""}),
        code=_word(error.get("code")),
        type=_word(error.get("type")),
        param=error["param"] if isinstance(error.get("param"), str) else None,
        status=_status(error.get("code")) or _status(error.get("status")),
        body=error,
    )


def _message(error: dict[str, Any]) -> str:
    for name in ("message", "detail", "error", "msg"):
        found = error.get(name)
        if isinstance(found, str) and found:
            return found
        if isinstance(found, dict) and isinstance(found.get("message"), str):
            return str(found["message"])
        if isinstance(found, list):  # FastAPI: [{"loc": ["body", "n"], "msg": "…", "type": "…"}]
            parts = [item for item in found if isinstance(item, dict)]
            return "; ".join(f"{_path(item.get('loc'))}{item.get('msg', '')}" for item in parts[:5])
    return ""


def _words(error: dict[str, Any]) -> Iterable[object]:
    yield from (error.get(name) for name in ("code", "type", "status", "error_type", "reason"))
    inner = error.get("innererror") or error.get("inner_error")
    if isinstance(inner, dict):
        yield inner.get("code")
    for name in ("details", "detail"):
        details = error.get(name)
        for item in details if isinstance(details, list) else ():
            if isinstance(item, dict):
                yield item.get("reason")
                yield item.get("type")


def _path(place: object) -> str:
    return ".".join(str(part) for part in place) + ": " if isinstance(place, list) else ""


def _lower(value: object) -> str:
    return value.lower() if isinstance(value, str) else ""


def _word(value: object) -> str | None:
    return value if isinstance(value, str) and _WORD.fullmatch(value) else None


def _status(value: object) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) == 3:
        value = int(value)
    return value if type(value) is int and 400 <= value < 600 else None


def _default(status: int | None) -> str:
    return "the backend reported an error" if status is None else f"the backend answered with status {status}"


def _parsed(body: bytes) -> object:
    """The JSON; else the text where it is one for people; else nothing."""
    body = body[:_MAX_BODY]
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        pass
    if body.startswith(_GZIP) or b"\0" in body:
        return None
    text = body[:_MAX_TEXT].decode("utf-8", "replace").strip()
    if text.startswith("<"):  # a page: only what it says of loading is worth knowing
        return {"type": "model_loading"} if "loading" in text.lower() and "model" in text.lower() else None
    return text if text.count("\ufffd") < _MAX_UNREADABLE else None
