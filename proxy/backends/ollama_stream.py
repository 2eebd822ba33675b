"""A stream of Ollama's `/api/chat`: one JSON object a line (application/x-ndjson), the last with `done: true`."""

from __future__ import annotations

from typing import Any

import orjson

from proxy.backends.chunks import Chunks, Translated
from proxy.backends.ollama_errors import OllamaErrors
from proxy.backends.ollama_reply import FINISHES, calls_of, logprobs_of, message_of, text_of, truncated, usage_of
from proxy.backends.ollama_request import Asked
from proxy.core.chat import Event, Kind
from proxy.core.dialect import Malformed, Stamp, TooLarge
from proxy.core.sse import MAX_EVENT

_loads = orjson.loads
_END = b',"finish_reason":null}]}\n\n'


class OllamaDecoder(Translated):
    """One answer; see `proxy.core.dialect.Decoder`."""

    __slots__ = ("_calls", "_content", "_errors", "_named", "_over", "_own", "_stamp", "_tail")

    def __init__(
        self, errors: OllamaErrors, own: Asked, stamp: Stamp, *, wants_usage: bool, model: str | None = None
    ) -> None:
        super().__init__(stamp, wants_usage=wants_usage, model=model)
        self._errors = errors
        self._own = own
        self._stamp = stamp
        self._content = self._chunks.content
        self._tail = bytearray()
        """The line that is not ended yet."""
        self._named = False
        self._calls = 0
        self._over = False
        """The last line or an error came: nothing after it counts."""

    @property
    def choices_seen(self) -> int:
        return int(self._named)

    def feed(self, data: bytes) -> list[Event]:
        events: list[Event] = []
        if self._over:
            return events
        lines = data.split(b"\n")
        rest = lines.pop()
        if lines and self._tail:
            lines[0] = bytes(self._tail) + lines[0]
            self._tail.clear()
        for line in lines:
            try:  # by far the most lines: a piece of content
                chunk = _loads(line)
                message = chunk["message"]
                text = message["content"]
                plain = type(text) is str and text and len(message) == 2 and len(chunk) == 4
                if plain and chunk["done"] is False and "created_at" in chunk and self._named:
                    events.append(self._content(text))
                    continue
            except (orjson.JSONDecodeError, KeyError, TypeError):
                pass
            if not self._line(line, events):
                self._over = True
                return events
        if rest:
            self._tail += rest
            self._bound(self._tail)
        return events

    def _bound(self, line: bytes | bytearray) -> None:
        if len(line) > MAX_EVENT:
            raise TooLarge(f"a line of the upstream is larger than {MAX_EVENT} bytes")

    def _line(self, line: bytes, events: list[Event]) -> bool:
        """Any line, with all that can be in one. False: it is the last."""
        self._bound(line)
        if not line.strip():
            return True
        try:
            chunk = _loads(line)
        except orjson.JSONDecodeError as error:
            raise Malformed("a line of the upstream is not JSON") from error
        if type(chunk) is not dict:
            raise Malformed("a line of the upstream is not a JSON object")
        if chunk.get("error"):
            self._failed = True
            events.append(self._chunks.failed(self._errors.in_stream(chunk)))
            return False
        message = message_of(chunk)
        if message is not None:
            self._said(chunk, message, events)
        if chunk.get("done") is not True:
            return True
        self._done(chunk, events)
        return False

    def _said(self, chunk: dict[str, Any], message: dict[str, Any], events: list[Event]) -> None:
        chunks = self._chunks
        if not self._named:
            self._named = True
            model = chunk.get("model")
            chunks.name(model if type(model) is str else "")
            events.append(chunks.role())
        thought, text = text_of(message, "thinking"), text_of(message, "content")
        if thought:
            events.append(chunks.reasoning(thought))
        probable = logprobs_of(chunk)
        if text or probable:
            events.append(_with(chunks.content(text), chunks, text, probable))
        for call in calls_of(message, self._stamp, self._calls):
            function = call["function"]
            events.append(
                chunks.tool(self._calls, call_id=call["id"], name=function["name"], arguments=function["arguments"])
            )
            self._calls += 1

    def _done(self, chunk: dict[str, Any], events: list[Event]) -> None:
        chunks = self._chunks
        usage = usage_of(chunk)
        cut = truncated(usage, self._stamp, self._own)
        if cut is not None:
            self._failed = True
            chunks.usage = usage
            events.append(chunks.failed(cut))
            return
        self._named = True
        reason = FINISHES.get(str(chunk.get("done_reason")), "stop")
        events.append(chunks.finished("tool_calls" if self._calls and reason == "stop" else reason))
        if usage is not None:
            events.append(chunks.counted(usage))
        events.append(Event(Kind.DONE, b""))


def _with(event: Event, chunks: Chunks, text: str, probable: dict[str, Any] | None) -> Event:
    """The event with `logprobs` in its choice. Those of text that is still held back come without any."""
    if probable is None:
        return event
    raw = event.raw if text else chunks.delta(Kind.EMPTY, {"content": ""}).raw
    return event._replace(raw=raw.removesuffix(_END) + b',"logprobs":' + orjson.dumps(probable) + _END)
