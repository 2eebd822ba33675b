"""Answers in OpenAI's form, for dialects that translate: chunks of a stream, and whole completions.

A whole answer here has one choice; of a stream with several, each has its `Chunks`. Reasoning goes out as
`reasoning_content`, the field that most clients look for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from proxy.core.chat import Completion, End, Event, Kind
from proxy.core.dialect import Stamp
from proxy.core.failure import Failure
from proxy.core.usage import Usage

_new = tuple.__new__  # a third of what the class's own `__new__` costs, which is a Python function
_dumps = orjson.dumps
_CONTENT, _REASONING, _TOOL = Kind.CONTENT, Kind.REASONING, Kind.TOOL  # reading a member off its class costs 0.13 us
_END = b"}]}\n\n"


class Chunks:
    """Writes one stream's events, and notes what a decoder has to know of it. Give `name` before the first event."""

    __slots__ = (
        "_before",
        "_choice",
        "_id",
        "_named",
        "_reply",
        "_shows_usage",
        "_stamp",
        "chars",
        "finish",
        "model",
        "said",
        "usage",
    )

    def __init__(self, stamp: Stamp, *, wants_usage: bool, model: str | None = None, choice: int = 0) -> None:
        """`model`: the name that stands in the chunks instead of the upstream's; `choice`: the index of the choice."""
        self._stamp = stamp
        self._choice = b'[{"index":%d,"delta":' % choice
        self._reply = model
        self._shows_usage = wants_usage
        self._id = stamp.id
        self._named = ""
        self._before = b""
        self.model = ""
        """As the upstream names it."""
        self.chars = 0
        """Characters of content, reasoning, tool names and arguments."""
        self.finish = ""
        """OpenAI's finish reason, once there is one."""
        self.said = False
        self.usage: Usage | None = None
        self.name()

    def name(self, model: str = "", answer_id: str = "") -> None:
        """What the upstream calls the model and the answer, as far as it said so."""
        if model and not self.model:
            self.model = model
        self._id = answer_id or self._id
        named = self._reply if self._reply is not None else self.model
        head = {"id": self._id, "object": "chat.completion.chunk", "created": self._stamp.created, "model": named}
        self._before = b"data: " + _dumps(head)[:-1] + b',"choices":' + self._choice

    def role(self) -> Event:
        """The first chunk, as OpenAI begins a stream."""
        return self._event(Kind.EMPTY, b'{"role":"assistant","content":""}')

    def content(self, text: str) -> Event:
        """A piece of the answer; an empty one says nothing."""
        if not text:
            return Event(Kind.EMPTY, b"")
        self.said = True
        self.chars += len(text)
        raw = self._before + b'{"content":' + _dumps(text) + b'},"finish_reason":null' + _END
        event: Event = _new(Event, (_CONTENT, raw, text, None, None))
        return event

    def reasoning(self, text: str, details: list[dict[str, Any]] | None = None) -> Event:
        """A piece of visible reasoning; `details`: `reasoning_details`, which a client may hand back (OpenRouter)."""
        if text:
            self.said = True
        self.chars += len(text)
        delta: dict[str, Any] = {"reasoning_content": text} if text else {}
        if details:
            delta["reasoning_details"] = details
        return self._event(_REASONING if text else Kind.EMPTY, _dumps(delta))

    def tool(
        self, index: int, *, call_id: str, name: str, arguments: str = "", more: Mapping[str, Any] | None = None
    ) -> Event:
        """The beginning of a tool call, or all of it. `more`: further members of the call."""
        self.said = True
        self.chars += len(name) + len(arguments)
        call = {"index": index, "id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
        return self._event(_TOOL, _dumps({"tool_calls": [{**call, **(more or {})}]}))

    def arguments(self, index: int, piece: str) -> Event:
        """More of a tool call's arguments."""
        self.chars += len(piece)
        return self._event(_TOOL, _dumps({"tool_calls": [{"index": index, "function": {"arguments": piece}}]}))

    def delta(self, kind: Kind, delta: Mapping[str, Any], chars: int = 0) -> Event:
        """Anything else that a delta can hold (`refusal`, `annotations`, `audio`)."""
        self.said = self.said or kind >= Kind.CONTENT
        self.chars += chars
        return self._event(kind, _dumps(delta))

    def finished(self, reason: str) -> Event:
        """The chunk with OpenAI's finish reason."""
        self.finish = reason
        raw = self._before + b'{},"finish_reason":' + _dumps(reason) + _END
        return Event(Kind.EMPTY, raw)

    def counted(self, usage: Usage) -> Event:
        """The usage chunk, for a client that asked for it; for others only noted."""
        self.usage = usage
        if not self._shows_usage:
            return Event(Kind.USAGE, b"", "", usage)
        head = self._before.removesuffix(self._choice)
        return Event(Kind.USAGE, head + b'[],"usage":' + _dumps(usage_object(usage)) + b"}\n\n", "", usage)

    def failed(self, failure: Failure) -> Event:
        """The upstream said that it failed."""
        return Event(Kind.ERROR, b"", "", self.usage, failure)

    def _event(self, kind: Kind, delta: bytes) -> Event:
        return Event(kind, self._before + delta + b',"finish_reason":null' + _END)


class Translated:
    """What every decoder has that writes one choice by `Chunks`; see `proxy.core.dialect.Decoder`."""

    __slots__ = ("_chunks", "_failed")

    def __init__(self, stamp: Stamp, *, wants_usage: bool, model: str | None = None) -> None:
        self._chunks = Chunks(stamp, wants_usage=wants_usage, model=model)
        self._failed = False
        """The upstream said so."""

    @property
    def model(self) -> str:
        return self._chunks.model

    @property
    def usage(self) -> Usage | None:
        return self._chunks.usage

    @property
    def chars(self) -> int:
        return self._chunks.chars

    @property
    def counted(self) -> tuple[int, int] | None:
        return None

    @property
    def finished(self) -> bool:
        return self._chunks.finish != ""

    @property
    def filtered(self) -> bool:
        return not self._chunks.said and self._chunks.finish == "content_filter"

    @property
    def empty(self) -> bool:
        if self._chunks.said:
            return False
        usage = self.usage
        return not (usage is not None and usage.output > 0 and self._chunks.finish == "length")

    def close(self) -> End:
        """Complete when it told why it stopped."""
        if self._failed:
            return End.ERRORED
        return End.COMPLETE if self.finished else End.TRUNCATED


def usage_object(usage: Usage) -> dict[str, Any]:
    """`usage` as OpenAI writes it."""
    counts: dict[str, Any] = {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
    }
    if usage.cached_input or usage.cache_write:
        counts["prompt_tokens_details"] = {"cached_tokens": usage.cached_input}
        if usage.cache_write:
            counts["prompt_tokens_details"]["cache_write_tokens"] = usage.cache_write
    if usage.reasoning:
        counts["completion_tokens_details"] = {"reasoning_tokens": usage.reasoning}
    return counts


def completion(
    stamp: Stamp,
    *,
    model: str,
    reply: str | None,
    text: str,
    finish: str,
    usage: Usage | None,
    answer_id: str = "",
    tools: Iterable[Mapping[str, Any]] = (),
    reasoning: str = "",
    more: Mapping[str, Any] | None = None,
    filtered: bool = False,
    logprobs: Mapping[str, Any] | None = None,
) -> Completion:
    """A whole answer. `model` as the upstream names it, `reply` the name that stands instead; `tools` as in
    `tool_calls`; `more`: further members of the message; `filtered`: the upstream's filter ended it."""
    calls = list(tools)
    message: dict[str, Any] = {"role": "assistant", "content": text if text or not calls else None, "refusal": None}
    if reasoning:
        message["reasoning_content"] = reasoning
    if calls:
        message["tool_calls"] = calls
    message.update(more or {})
    body: dict[str, Any] = {
        "id": answer_id or stamp.id,
        "object": "chat.completion",
        "created": stamp.created,
        "model": model if reply is None else reply,
        "choices": [{"index": 0, "message": message, "logprobs": logprobs, "finish_reason": finish}],
    }
    if usage is not None:
        body["usage"] = usage_object(usage)
    chars = len(text) + len(reasoning)
    for call in calls:
        chars += len(call["function"]["name"]) + len(call["function"]["arguments"])
    shown = any(name != "reasoning_details" for name in more or ())  # those may hold nothing but a signature
    silent = not (calls or reasoning or shown) and (not text or text.isspace())
    spent = finish == "length" and usage is not None and usage.output > 0  # all of it on reasoning that is not shown
    return Completion(_dumps(body), model, usage, silent and not spent, silent and filtered, chars)
