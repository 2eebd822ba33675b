"""A stream of chat completion chunks as a stream of Anthropic's events.

    message_start  (content_block_start  content_block_delta…  content_block_stop)…  message_delta  message_stop

One block is open at a time. A text goes on in its block until something else comes. The stop reason and the usage stand
in one event at the end, since chunks tell the usage last.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from proxy.core.chat import ChatRequest
from proxy.inbound.messages_answer import (
    DIRECT,
    call_id,
    further,
    listed,
    members,
    message,
    stop_reason,
    text_of,
    thinking,
    usage_of,
    whole,
    words,
)
from proxy.inbound.messages_errors import error_object
from proxy.inbound.messages_history import CLAUDE
from proxy.inbound.responses_thoughts import merged, sealed
from proxy.inbound.way import Fault

_dumps = orjson.dumps
STOP = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
_TEXT_DELTA = (
    b"event: content_block_delta\n"
    b'data: {"type":"content_block_delta","index":%d,"delta":{"type":"text_delta","text":%b}}\n\n'
)
_NO_USAGE: Mapping[str, Any] = {
    "input_tokens": 0,
    "cache_creation_input_tokens": 0,
    "cache_read_input_tokens": 0,
    "output_tokens": 0,
    "output_tokens_details": None,
    "server_tool_use": None,
}
"""Before anything was counted."""


class MessageRenderer:
    """See `proxy.inbound.way.Renderer`."""

    __slots__ = (
        "_block",
        "_calls",
        "_chars",
        "_choice",
        "_details",
        "_index",
        "_kept",
        "_out",
        "_request",
        "_request_id",
        "_shown",
        "_started",
        "_usage",
    )

    def __init__(self, request: ChatRequest, request_id: str) -> None:
        self._request = request
        self._request_id = request_id
        self._out: list[bytes] = []
        self._started = False
        self._block = ""
        """The type of the open block; empty: none is."""
        self._index = -1
        """Of the block that was opened last."""
        self._calls: dict[int, int] = {}
        """Blocks of tool calls, by the calls' own index."""
        self._kept: dict[str, dict[str, Any]] = {}
        """Further members of tool calls, to be handed to the client for the next turn."""
        self._details: list[dict[str, Any]] = []
        """`reasoning_details` of the thinking that is open."""
        self._shown = ""
        """The words of the thinking that is open."""
        self._usage: Mapping[str, Any] = {}
        self._choice: Mapping[str, Any] = {}
        """The choice with the finish reason."""
        self._chars = 0

    def whole(self, body: bytes) -> bytes:
        return whole(body, self._request, self._request_id)

    def push(self, data: bytes) -> bytes:
        for event in data.split(b"\n\n"):
            if event.startswith(b"data: "):
                self._chunk(event[6:])
            elif event.startswith(b":"):
                self._out.append(event + b"\n\n")
        out, self._out = self._out, []
        return out[0] if len(out) == 1 else b"".join(out)

    def close(self, last: bytes) -> bytes:
        before = self.push(last)
        self._start("")
        self._end_block()
        self._hand_over()
        reason, sequence = stop_reason(self._choice, self._request, called=bool(self._calls))
        ending = {"stop_reason": reason, "stop_sequence": sequence, "stop_details": None, "container": None}
        usage = usage_of(self._usage, self._request, self._chars)
        self._event("message_delta", {"delta": ending, "usage": usage})
        return before + b"".join(self._out) + STOP

    def broken(self, fault: Fault) -> bytes:
        return b"event: error\ndata: " + _dumps(error_object(fault)) + b"\n\n"

    # Chunks in

    def _chunk(self, data: bytes) -> None:
        try:
            chunk = orjson.loads(data.replace(b"\ndata: ", b"\n"))
        except orjson.JSONDecodeError:
            return
        if type(chunk) is not dict:
            return
        usage = chunk.get("usage")
        if usage:
            self._usage = members(usage) or self._usage
        for choice in listed(chunk.get("choices")):
            if choice.get("index", 0) == 0:
                if not self._started:
                    self._start(text_of(chunk, "model"))
                self._take(members(choice.get("delta")))
                if choice.get("finish_reason"):
                    self._choice = choice

    def _take(self, delta: Mapping[str, Any]) -> None:
        if "reasoning_content" in delta or "reasoning" in delta or "reasoning_details" in delta:
            self._think(delta)
        text = words(delta.get("content")) or text_of(delta, "refusal")
        if text:
            self._say(text)
        for call in listed(delta.get("tool_calls")):
            self._call(call)

    def _say(self, text: str) -> None:
        if self._block != "text":
            self._open({"type": "text", "text": "", "citations": None})
        self._chars += len(text)
        self._out.append(_TEXT_DELTA % (self._index, _dumps(text)))

    def _think(self, delta: Mapping[str, Any]) -> None:
        details = listed(delta.get("reasoning_details"))
        text = text_of(delta, "reasoning_content", "reasoning") or "".join(text_of(one, "text") for one in details)
        redacted = [one for one in details if one.get("type") == "reasoning.encrypted" and one.get("format") == CLAUDE]
        details = [one for one in details if one not in redacted]
        if text or details:
            self._say_thought(text, details)
        for one in redacted:
            self._end_block()
            self._whole_block({"type": "redacted_thinking", "data": text_of(one, "data")})

    def _say_thought(self, text: str, details: list[Mapping[str, Any]]) -> None:
        if self._block != "thinking" or self._signed_before(details):
            self._open({"type": "thinking", "thinking": "", "signature": ""})
        merged(self._details, details)
        if text:
            self._chars += len(text)
            self._shown += text
            self._delta(self._index, {"type": "thinking_delta", "thinking": text})

    def _signed_before(self, details: list[Mapping[str, Any]]) -> bool:
        """The thinking that is open is signed, and these belong to another one."""
        signed = [one for one in self._details if text_of(one, "signature")]
        return bool(signed and details and details[0].get("index") != signed[-1].get("index"))

    def _call(self, call: Mapping[str, Any]) -> None:
        number = call.get("index")
        if type(number) is not int:
            number = len(self._calls)
        function = members(call.get("function"))
        index = self._calls.get(number)
        if index is None:
            key = call_id(call.get("id"), self._request_id, number)
            more = further(call)
            if more:
                self._kept[key] = more
                self._hand_over()
            name = text_of(function, "name") or "unknown"
            self._open({"type": "tool_use", "id": key, "name": name, "input": {}, "caller": DIRECT})
            self._calls[number] = index = self._index
        piece = text_of(function, "arguments")
        if piece:
            self._chars += len(piece)
            self._delta(index, {"type": "input_json_delta", "partial_json": piece})

    # Events out

    def _start(self, model: str) -> None:
        if not self._started:
            self._started = True
            self._event("message_start", {"message": message(self._request_id, model, _NO_USAGE, [])})

    def _open(self, block: Mapping[str, Any]) -> None:
        self._end_block()
        self._index += 1
        self._block = block["type"]
        self._event("content_block_start", {"index": self._index, "content_block": block})

    def _end_block(self) -> None:
        if self._block == "thinking":
            self._sign()
        elif self._block:
            self._event("content_block_stop", {"index": self._index})
        self._block = ""

    def _sign(self) -> None:
        """Ends thinking, with its signature."""
        details, self._details = self._details, []
        shown, self._shown = self._shown, ""
        signature = "".join(text_of(block, "signature") for block in thinking(details, shown))
        if signature:
            self._delta(self._index, {"type": "signature_delta", "signature": signature})
        self._event("content_block_stop", {"index": self._index})

    def _hand_over(self) -> None:
        """What a tool call holds besides, in a block before it."""
        kept, self._kept = sealed((), self._kept), {}
        if kept:
            self._end_block()
            self._whole_block({"type": "redacted_thinking", "data": kept})

    def _whole_block(self, block: Mapping[str, Any]) -> None:
        self._index += 1
        self._event("content_block_start", {"index": self._index, "content_block": block})
        self._event("content_block_stop", {"index": self._index})

    def _delta(self, index: int, delta: Mapping[str, Any]) -> None:
        self._event("content_block_delta", {"index": index, "delta": delta})

    def _event(self, name: str, members: Mapping[str, Any]) -> None:
        self._out.append(b"event: %b\ndata: %b\n\n" % (name.encode(), _dumps({"type": name, **members})))
