"""A stream of Anthropic's in, chunks in OpenAI's terms out (platform.claude.com, "Streaming messages")."""

from __future__ import annotations

from typing import Any

import orjson

from proxy.backends.anthropic_blocks import annotation, encrypted, finish_of, signed, word
from proxy.backends.anthropic_tools import is_legacy
from proxy.backends.anthropic_usage import Counts
from proxy.backends.chunks import Translated
from proxy.backends.openai_errors import ErrorReader
from proxy.core.chat import End, Event, Kind
from proxy.core.dialect import Malformed, Stamp
from proxy.core.sse import SseFramer
from proxy.core.usage import Usage

_MAX_OPEN = 1024
"""Blocks that are not closed; beyond this an upstream only wants our memory."""
_MAX_THOUGHT = 8 * 1024 * 1024
"""Characters of thinking that are kept until it is signed."""

_DONE, _ERROR, _TOOL, _EMPTY = Kind.DONE, Kind.ERROR, Kind.TOOL, Kind.EMPTY
_loads = orjson.loads


class Block:
    """A content block that is not closed yet."""

    __slots__ = ("at", "begun", "citations", "given", "kind", "signature", "text", "tool")

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.at = 0
        """Characters of content before it."""
        self.begun = False
        """Arguments came."""
        self.tool = 0
        """The index of its tool call."""
        self.given: object = None
        """A tool's `input` that came at once."""
        self.text: list[str] = []
        self.signature = ""
        self.citations: list[Any] = []


class MessagesDecoder(Translated):
    """One stream; see `proxy.core.dialect.Decoder`."""

    __slots__ = (
        "_blocks",
        "_counts",
        "_details",
        "_errors",
        "_frames",
        "_kept",
        "_legacy",
        "_length",
        "_over",
        "_seen",
        "_tools",
    )

    def __init__(self, errors: ErrorReader, stamp: Stamp, *, wants_usage: bool, model: str | None = None) -> None:
        super().__init__(stamp, wants_usage=wants_usage, model=model)
        self._errors = errors
        self._legacy = is_legacy(stamp.body)
        self._frames = SseFramer().feed
        self._counts = Counts()
        self._blocks: dict[int, Block] = {}
        self._kept = 0
        """Characters of thinking in open blocks."""
        self._length = 0
        """Characters of content."""
        self._tools = 0
        self._details = 0
        self._seen = False
        self._over = False

    @property
    def usage(self) -> Usage | None:
        """Its input is told at the beginning; until the output is told at the end, that is estimated."""
        return self._counts.usage(self._chunks.chars)

    @property
    def choices_seen(self) -> int:
        return int(self._seen)

    def feed(self, data: bytes) -> list[Event]:
        """The events that these bytes complete. After `message_stop` or an error nothing comes any more."""
        events: list[Event] = []
        if self.ended():
            return events
        for payload, _, name in self._frames(data):
            self.take(payload, name, events)
            if self._over:
                break
        return events

    def ended(self) -> bool:
        """Nothing that still comes counts."""
        return self._over

    def close(self) -> End:
        """Complete with a stop reason, or when `message_stop` came after something was said."""
        if self._failed:
            return End.ERRORED
        return End.COMPLETE if self.finished or (self._over and self._chunks.said) else End.TRUNCATED

    def take(self, payload: bytes, name: bytes, events: list[Event]) -> Any:
        """Adds what one event says. Returns the event, parsed."""
        try:
            event = _loads(payload)
        except orjson.JSONDecodeError:
            if name != b"error":
                raise Malformed("an event of the upstream is not JSON") from None
            event = {"type": "error", "error": payload.decode("utf-8", "replace")}
        try:  # by far the most events: more of a text
            delta = event["delta"]
            text = delta["text"] if delta["type"] == "text_delta" else None
        except (KeyError, TypeError, IndexError):
            text = None
        if type(text) is str and text:
            self._seen = True
            self._length += len(text)
            events.append(self._chunks.content(text))
        elif type(event) is dict:
            self._any(event, name, events)
        else:
            raise Malformed("an event of the upstream is not a JSON object")
        return event

    def _any(self, event: dict[str, Any], name: bytes, events: list[Event]) -> None:
        match event.get("type"):
            case "content_block_delta":
                block = self._blocks.get(_index(event))
                if block is not None:
                    self._delta(block, _object(event, "delta"), events)
            case "content_block_start":
                self._start(_index(event), _object(event, "content_block"), events)
            case "content_block_stop":
                block = self._blocks.pop(_index(event), None)
                if block is not None:
                    self._stop(block, events)
            case "message_start":
                self._begin(_object(event, "message"), events)
            case "message_delta":
                self._finish(event, events)
            case "message_stop":
                self._over = True
                events.append(Event(_DONE, b""))
            case _ if event.get("error") or name == b"error" or event.get("type") == "error":
                self._over = self._failed = True
                events.append(self._chunks.failed(self._errors.in_stream(event))._replace(usage=self.usage))
            case _:
                pass  # `ping`, and whatever else there will be

    def _begin(self, message: dict[str, Any], events: list[Event]) -> None:
        self._chunks.name(word(message, "model"), word(message, "id"))
        self._counts.note(message.get("usage"), final=False)
        self._seen = True
        events.append(self._chunks.role())

    def _start(self, index: int, given: dict[str, Any], events: list[Event]) -> None:
        kind = word(given, "type")
        if kind not in ("text", "thinking", "redacted_thinking", "tool_use"):
            return  # a tool of Anthropic's own, or something new: nothing that OpenAI's terms have a place for
        if len(self._blocks) >= _MAX_OPEN:
            raise Malformed(f"the upstream has more than {_MAX_OPEN} open blocks")
        self._seen = True
        block = self._blocks[index] = Block(kind)
        if kind == "text":
            block.at = self._length
            self._text(word(given, "text"), events)
            citations = given.get("citations")
            block.citations = citations[:_MAX_OPEN] if isinstance(citations, list) else []
        elif kind == "thinking":
            block.signature = word(given, "signature")
            self._think(block, word(given, "thinking"), events)
        elif kind == "redacted_thinking":
            events.append(self._chunks.reasoning("", [encrypted(word(given, "data"), self._details)]))
            self._details += 1
        else:
            block.tool, block.given = self._tools, given.get("input")
            self._tools += 1
            self._call(block, word(given, "id"), word(given, "name"), events)

    def _delta(self, block: Block, delta: dict[str, Any], events: list[Event]) -> None:
        kind = delta.get("type")
        if kind == "input_json_delta" and block.kind == "tool_use":
            piece = word(delta, "partial_json")
            if piece:
                block.begun = True
                self._arguments(block, piece, events)
        elif kind == "thinking_delta":
            self._think(block, word(delta, "thinking"), events)
        elif kind == "signature_delta":
            block.signature += word(delta, "signature")
            self._keep(len(word(delta, "signature")))
        elif kind == "citations_delta" and len(block.citations) < _MAX_OPEN:
            block.citations.append(delta.get("citation"))

    def _stop(self, block: Block, events: list[Event]) -> None:
        if block.kind == "tool_use" and not block.begun:
            given = block.given if isinstance(block.given, dict) else {}
            self._arguments(block, orjson.dumps(given).decode(), events)
        elif block.kind == "thinking":
            text = "".join(block.text)
            self._kept -= len(text) + len(block.signature)
            if block.signature:
                events.append(self._chunks.reasoning("", [signed(text, block.signature, self._details)]))
                self._details += 1
        elif block.citations:
            found = [annotation(one, block.at, self._length) for one in block.citations]
            shown = [one for one in found if one is not None]
            if shown:
                events.append(self._chunks.delta(_EMPTY, {"annotations": shown}))

    def _finish(self, event: dict[str, Any], events: list[Event]) -> None:
        reason = word(_object(event, "delta"), "stop_reason")
        self._counts.note(event.get("usage"), final=bool(reason) or self.finished)
        if not reason or self.finished:
            return
        self._seen = True
        events.append(self._chunks.finished(finish_of(reason, legacy=self._legacy)))
        usage = self.usage
        if usage is not None and self._counts.final:
            events.append(self._chunks.counted(usage))

    def _text(self, text: str, events: list[Event]) -> None:
        if text:
            self._length += len(text)
            events.append(self._chunks.content(text))

    def _think(self, block: Block, text: str, events: list[Event]) -> None:
        if text:
            self._keep(len(text))
            block.text.append(text)
            events.append(self._chunks.reasoning(text))

    def _keep(self, chars: int) -> None:
        self._kept += chars
        if self._kept > _MAX_THOUGHT:
            raise Malformed(f"the upstream thinks for more than {_MAX_THOUGHT} characters")

    def _call(self, block: Block, call_id: str, name: str, events: list[Event]) -> None:
        if not self._legacy:
            events.append(self._chunks.tool(block.tool, call_id=call_id, name=name))
        elif block.tool == 0:
            events.append(self._chunks.delta(_TOOL, {"function_call": {"name": name, "arguments": ""}}, len(name)))

    def _arguments(self, block: Block, piece: str, events: list[Event]) -> None:
        if not self._legacy:
            events.append(self._chunks.arguments(block.tool, piece))
        elif block.tool == 0:
            events.append(self._chunks.delta(_TOOL, {"function_call": {"arguments": piece}}, len(piece)))


def _index(event: dict[str, Any]) -> int:
    index = event.get("index")
    return index if type(index) is int else 0


def _object(event: dict[str, Any], name: str) -> dict[str, Any]:
    value = event.get(name)
    if type(value) is not dict:
        raise Malformed(f"`{name}` of the upstream is not a JSON object")
    return value
