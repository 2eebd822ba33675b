"""What chat completions say, delta by delta, as the items of a response."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from proxy.inbound.responses_events import Call, Message, Reasoning, Writer

OWN = frozenset({"id", "index", "type", "function", "custom"})
"""Members of a tool call that chat completions themselves have."""
MAX_ITEMS = 4096
"""More than any model calls tools at once; beyond this an upstream only wants our memory."""


class Output:
    """The items so far. Whatever the deltas hold, nothing raises: what is not known is passed over."""

    __slots__ = ("_calls", "_count", "_custom", "_done", "_key", "_message", "_reasoning", "_writer")

    def __init__(self, writer: Writer, key: str, custom: frozenset[str]) -> None:
        """`custom`: the tools that are custom ones to the client."""
        self._writer = writer
        self._key = key
        self._custom = custom
        self._count = 0
        self._done: dict[int, dict[str, Any]] = {}
        self._message: tuple[int, Message] | None = None
        self._reasoning: tuple[int, Reasoning] | None = None
        self._calls: dict[int, Call] = {}
        """By chat's index. They stay open to the end: pieces of several may come in turns."""

    def text(self, text: str, logprobs: list[dict[str, Any]] | None = None) -> None:
        """A piece of the answer: what nearly all deltas are."""
        (self._message[1] if self._message is not None else self._words()).text(text, logprobs)

    def delta(self, delta: object, logprobs: object = None) -> None:
        """A `delta` of a chunk, or a whole `message`."""
        if not isinstance(delta, Mapping):
            return
        self._think(delta)
        content = delta.get("content")
        if isinstance(content, str):
            if content:
                self.text(content, logprobs_of(logprobs))
        elif isinstance(content, list):
            for part in content:
                self._typed(part)
        refusal = delta.get("refusal")
        if isinstance(refusal, str) and refusal:
            self._words().refuse(refusal)
        for annotation in _list(delta.get("annotations")):
            found = _citation(annotation)
            if found is not None:
                self._words().annotate(found)
        for place, call in enumerate(_list(delta.get("tool_calls"))):
            if isinstance(call, Mapping):
                self._call(call, place)
        old = delta.get("function_call")
        if isinstance(old, Mapping):
            self._call({"index": 0, "function": old}, 0)

    def end(self, status: str) -> None:
        """Nothing more comes. `status` of what is still open last; what came before it is complete."""
        calls, self._calls = list(self._calls.values()), {}
        open_: list[tuple[int, Callable[[str], dict[str, Any]]]] = [(call.index, call.end) for call in calls]
        open_ += [(other[0], other[1].end) for other in (self._message, self._reasoning) if other is not None]
        self._message = self._reasoning = None
        open_.sort(key=lambda one: one[0])
        for place, (index, end) in enumerate(open_):
            self._done[index] = end(status if place == len(open_) - 1 else "completed")

    @property
    def items(self) -> list[dict[str, Any]]:
        """All items that are finished, in order."""
        return [self._done[index] for index in sorted(self._done)]

    def _next(self) -> int:
        index, self._count = self._count, self._count + 1
        return index

    def _words(self) -> Message:
        if self._message is not None:
            return self._message[1]
        self._thought()
        index = self._next()
        message = Message(self._writer, index, self._key)
        self._message = (index, message)
        return message

    def _thoughts(self) -> Reasoning:
        if self._reasoning is not None:
            return self._reasoning[1]
        self._spoken()
        index = self._next()
        reasoning = Reasoning(self._writer, index, self._key)
        self._reasoning = (index, reasoning)
        return reasoning

    def _spoken(self) -> None:
        if self._message is not None:
            index, message = self._message
            self._message = None
            self._done[index] = message.end("completed")

    def _thought(self) -> None:
        if self._reasoning is not None:
            index, reasoning = self._reasoning
            self._reasoning = None
            self._done[index] = reasoning.end("completed")

    def _think(self, delta: Mapping[str, Any]) -> None:
        text = delta.get("reasoning_content") or delta.get("reasoning")
        if isinstance(text, str) and text:
            self._thoughts().text(text)
        details = delta.get("reasoning_details")
        if isinstance(details, list) and details:
            self._thoughts().keep(details)

    def _typed(self, part: object) -> None:
        """Mistral's reasoning models send content as a list of typed parts."""
        if isinstance(part, str):
            part = {"type": "text", "text": part}
        if not isinstance(part, Mapping):
            return
        if part.get("type") == "thinking":
            for inner in _list(part.get("thinking")):
                text = inner.get("text") if isinstance(inner, Mapping) else None
                if isinstance(text, str) and text:
                    self._thoughts().text(text)
        elif isinstance(part.get("text"), str) and part["text"]:
            self.text(part["text"])

    def _call(self, given: Mapping[str, Any], place: int) -> None:
        function = given.get("function") or given.get("custom")
        if not isinstance(function, Mapping):
            function = {}
        key, call_id = given.get("index"), given.get("id")
        if type(key) is not int:
            key = place
        call = self._calls.get(key)
        if call is not None and isinstance(call_id, str) and call_id and call_id != call.id:
            key = max(self._calls) + 1  # some give each of several calls the same index
            call = None
        if call is None:
            call = self._called(key, given, function, call_id)
        if call is not None:
            said = function.get("arguments", function.get("input"))
            call.arguments(said if isinstance(said, str) else "" if said is None else orjson.dumps(said).decode())

    def _called(self, key: int, given: Mapping[str, Any], function: Mapping[str, Any], call_id: object) -> Call | None:
        name = function.get("name")
        if not isinstance(name, str) or not name or len(self._calls) >= MAX_ITEMS:
            return None
        id_ = call_id if isinstance(call_id, str) and call_id else f"call_{self._key}{self._count:02x}"
        more = {member: value for member, value in given.items() if member not in OWN}
        if more:
            self._thoughts().keep_call(id_, more)
        self._thought()
        self._spoken()
        index = self._next()
        call = Call(self._writer, index, self._key, id_, name, custom=name in self._custom)
        self._calls[key] = call
        return call


def logprobs_of(given: object) -> list[dict[str, Any]] | None:
    """A choice's `logprobs` as a response's."""
    entries = given.get("content") if isinstance(given, Mapping) else None
    if not isinstance(entries, list):
        return None
    return [
        {**_likely(one), "top_logprobs": [_likely(other) for other in _list(one.get("top_logprobs"))]}
        for one in entries
        if isinstance(one, Mapping)
    ]


def _likely(one: Any) -> dict[str, Any]:
    given = one if isinstance(one, Mapping) else {}
    return {"token": given.get("token", ""), "bytes": given.get("bytes") or [], "logprob": given.get("logprob", 0.0)}


def _citation(annotation: object) -> dict[str, Any] | None:
    given = annotation.get("url_citation") if isinstance(annotation, Mapping) else None
    if not isinstance(given, Mapping) or not isinstance(given.get("url"), str):
        return None
    return {
        "type": "url_citation",
        "url": given["url"],
        "title": str(given.get("title") or ""),
        "start_index": given.get("start_index") or 0,
        "end_index": given.get("end_index") or 0,
    }


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
