"""What comes back in OpenAI's Responses API, read only as far as Wayline must know of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from proxy.backends.openai_errors import ErrorReader
from proxy.backends.openai_usage import usage_in
from proxy.backends.reading import json_object
from proxy.core.chat import Completion, End, Event, Kind
from proxy.core.dialect import Malformed
from proxy.core.failure import Failure
from proxy.core.sse import SseFramer
from proxy.core.usage import Usage

_new = tuple.__new__  # a third of what the class's own `__new__` costs, which is a Python function
_loads = orjson.loads
_EMPTY, _CONTENT, _REASONING, _TOOL = Kind.EMPTY, Kind.CONTENT, Kind.REASONING, Kind.TOOL

_SAYS: Mapping[str, Kind] = {
    "response.output_text.delta": _CONTENT,
    "response.refusal.delta": _CONTENT,
    "response.audio.delta": _CONTENT,
    "response.output_audio.delta": _CONTENT,
    "response.audio.transcript.delta": _CONTENT,
    "response.image_generation_call.partial_image": _CONTENT,
    "response.reasoning_summary_text.delta": _REASONING,
    "response.reasoning_text.delta": _REASONING,
    "response.reasoning_summary.delta": _REASONING,
    "response.reasoning.delta": _REASONING,
    "response.function_call_arguments.delta": _TOOL,
    "response.custom_tool_call_input.delta": _TOOL,
    "response.mcp_call_arguments.delta": _TOOL,
    "response.code_interpreter_call_code.delta": _TOOL,
}
"""The events that a client would miss."""
_CALLS = ("function_call", "custom_tool_call", "mcp_call", "computer_call", "shell_call", "apply_patch_call")
"""Output items that ask the client to do something, or have been done for it."""
_ENDS = ("response.completed", "response.incomplete")


class ResponsesDecoder:
    """One stream of Responses events; see `proxy.core.dialect.Decoder`."""

    __slots__ = (
        "_errors",
        "_failed",
        "_frames",
        "_over",
        "_reason",
        "_reply",
        "_said",
        "_seen",
        "chars",
        "finished",
        "model",
        "usage",
    )

    def __init__(self, errors: ErrorReader, model: str | None = None) -> None:
        """`model`: the name that stands in the events instead of the upstream's."""
        self._errors = errors
        self._reply = model
        self._frames = SseFramer().feed
        self._seen = False
        self._said = False
        self._over = False
        self._failed = False
        self._reason = ""
        self.finished = False
        self.model = ""
        self.usage: Usage | None = None
        self.chars = 0

    @property
    def choices_seen(self) -> int:
        return int(self._seen)

    @property
    def counted(self) -> tuple[int, int] | None:
        return None

    @property
    def filtered(self) -> bool:
        return not self._said and self._reason == "content_filter"

    @property
    def empty(self) -> bool:
        if self._said:
            return False
        spent = self.usage is not None and self.usage.output > 0
        return not (spent and self._reason == "max_output_tokens")

    def feed(self, data: bytes) -> list[Event]:
        """The events that these bytes complete. After an error nothing comes any more."""
        events: list[Event] = []
        if self._over:
            return events
        for payload, raw, name in self._frames(data):
            try:
                found = _loads(payload)
            except orjson.JSONDecodeError as error:
                if payload.strip() == b"[DONE]":  # this API has none, but servers that speak it do
                    self._over = True
                    events.append(Event(Kind.DONE, b""))
                    break
                raise Malformed("an event of the upstream is not JSON") from error
            if type(found) is not dict:
                raise Malformed("an event of the upstream is not a JSON object")
            if name:
                raw = b"event: " + name + b"\n" + raw
            event = self._event(found, raw)
            events.append(event)
            if event[0] is Kind.ERROR:
                self._over = True
                break
        return events

    def close(self) -> End:
        """Complete when the response said that it is."""
        if self._failed:
            return End.ERRORED
        return End.COMPLETE if self.finished else End.TRUNCATED

    def _event(self, found: dict[str, Any], raw: bytes) -> Event:
        type_ = found.get("type")
        kind = None
        if type(type_) is str:
            kind = _SAYS.get(type_) or (_TOOL if type_.endswith(".delta") else None)
        if kind is not None:
            return self._delta(found, raw, kind)
        if type_ == "error" or type_ == "response.failed" or "error" in found:
            return self._error(found)
        response = found.get("response")
        if type(response) is dict:
            return self._whole(found, response, raw)
        item = found.get("item")
        if type_ == "response.output_item.added" and type(item) is dict and item.get("type") in _CALLS:
            self._said = True
            name = item.get("name")
            self.chars += len(name) if type(name) is str else 0
            return Event(_TOOL, raw)
        return Event(_EMPTY, raw)

    def _delta(self, found: dict[str, Any], raw: bytes, kind: Kind) -> Event:
        delta = found.get("delta")
        text = delta if type(delta) is str else ""
        if delta == "":
            return Event(_EMPTY, raw)
        self._seen = self._said = True
        if "audio" not in found["type"]:
            self.chars += len(text)
        shown = text if found["type"] == "response.output_text.delta" else ""
        event: Event = _new(Event, (kind, raw, shown, None, None))
        return event

    def _whole(self, found: dict[str, Any], response: dict[str, Any], raw: bytes) -> Event:
        """`response.created`, `.in_progress` and the events at the end, which hold the response so far."""
        self._seen = True
        model = response.get("model")
        if not self.model and type(model) is str:
            self.model = model
        usage = usage_in(response)
        self.usage = usage or self.usage
        if found.get("type") in _ENDS:
            self.finished = True
            self._said = self._said or _says(response)
            self._reason = _reason(response)
        if self._reply is not None and "model" in response:
            response["model"] = self._reply
            name = raw.partition(b"data: ")[0]
            raw = name + b"data: " + orjson.dumps(found) + b"\n\n"
        return Event(_EMPTY, raw, "", usage)

    def _error(self, found: dict[str, Any]) -> Event:
        self._failed = True
        response = found.get("response")
        fault = response if isinstance(response, dict) and response.get("error") else found
        if isinstance(response, dict):
            self.usage = usage_in(response) or self.usage
        return Event(Kind.ERROR, b"", "", self.usage, self._errors.in_stream(fault))


def read_response(body: bytes, errors: ErrorReader, model: str | None = None) -> Completion | Failure:
    """A whole response; a `Failure` where it failed. `model`: the name that stands in it. Raises `Malformed`."""
    reply = json_object(body)
    if reply.get("error"):
        return errors.in_stream(reply)
    output = reply.get("output")
    if type(output) is not list:
        raise Malformed("the upstream's answer is not a response")
    usage = usage_in(reply)
    named = reply.get("model")
    chars = sum(_chars(item) for item in output)
    under_way = reply.get("status") in ("queued", "in_progress")  # `background: true`
    silent = not under_way and not _says(reply)
    spent = _reason(reply) == "max_output_tokens" and usage is not None and usage.output > 0
    raw = body if model is None else orjson.dumps({**reply, "model": model})
    filtered = silent and _reason(reply) == "content_filter"
    return Completion(raw, named if isinstance(named, str) else "", usage, silent and not spent, filtered, chars)


def _reason(response: Mapping[str, Any]) -> str:
    """Why it is incomplete, if it is."""
    details = response.get("incomplete_details")
    reason = details.get("reason") if isinstance(details, dict) else None
    return reason if isinstance(reason, str) else ""


def _says(response: Mapping[str, Any]) -> bool:
    """Does it hold anything besides reasoning that is not shown, and messages without words?"""
    output = response.get("output")
    return any(_says_something(item) for item in (output if isinstance(output, list) else ()))


def _says_something(item: object) -> bool:
    if not isinstance(item, dict):
        return False
    if item.get("type") == "message":
        return any(text.strip() for text in _texts(item.get("content"))) or _sounds(item.get("content"))
    if item.get("type") == "reasoning":
        return bool(_texts(item.get("summary")) or _texts(item.get("content")))
    return isinstance(item.get("type"), str)


def _texts(parts: object) -> list[str]:
    found = []
    for part in _list(parts):
        if isinstance(part, dict):
            found += [part[name] for name in ("text", "refusal", "transcript") if isinstance(part.get(name), str)]
    return found


def _sounds(parts: object) -> bool:
    return any(isinstance(part, dict) and part.get("type") == "output_audio" for part in _list(parts))


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _chars(item: object) -> int:
    if not isinstance(item, dict):
        return 0
    texts = [*_texts(item.get("content")), *_texts(item.get("summary"))]
    texts += [item[name] for name in ("name", "arguments", "input") if isinstance(item.get(name), str)]
    return sum(map(len, texts))
