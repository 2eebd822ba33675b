"""A stream in OpenAI's dialect: bytes in, events out. The hottest code of Wayline; measure before changing it."""

from __future__ import annotations

from typing import Any

import orjson

from proxy.backends.openai_errors import ErrorReader
from proxy.backends.openai_spec import Charge
from proxy.backends.openai_text import said_in
from proxy.backends.openai_usage import usage_in
from proxy.core.chat import End, Event, Kind
from proxy.core.dialect import Malformed
from proxy.core.sse import SseFramer
from proxy.core.usage import Usage

_MAX_CHOICES = 1024
"""OpenAI allows n = 128; beyond this an upstream only wants our memory."""

# Bound once: attribute access on an Enum class, and a NamedTuple's own __new__, cost 100 ns each on every event.
_EMPTY = Kind.EMPTY
_CONTENT = Kind.CONTENT
_REASONING = Kind.REASONING
_TOOL = Kind.TOOL
_new = tuple.__new__
_loads = orjson.loads
_dumps = orjson.dumps


class ChatDecoder:
    """One stream of chat chunks; see `proxy.core.dialect.Decoder`."""

    __slots__ = (
        "_charge",
        "_errors",
        "_failed",
        "_framer",
        "_frames",
        "_hide_usage",
        "_over",
        "_reasons",
        "_reply",
        "_said",
        "chars",
        "finished",
        "model",
        "usage",
    )

    def __init__(
        self, errors: ErrorReader, *, wants_usage: bool, model: str | None = None, charge: Charge | None = None
    ) -> None:
        self._errors = errors
        self._charge = charge
        """Where the usage says what it costs."""
        self._hide_usage = not wants_usage
        self._reply = model
        """The name that stands in every chunk instead of the upstream's."""
        self._framer = SseFramer()
        self._frames = self._framer.feed
        self._reasons: dict[int, str] = {}
        """The finish reason of each choice seen, empty until it has one."""
        self._said = False
        self._over = False
        """`[DONE]` or an error came: nothing after it counts."""
        self._failed = False
        self.finished = False
        self.model = ""
        self.usage: Usage | None = None
        self.chars = 0

    @property
    def choices_seen(self) -> int:
        return len(self._reasons)

    @property
    def counted(self) -> tuple[int, int] | None:
        return None

    @property
    def filtered(self) -> bool:
        return not self._said and "content_filter" in self._reasons.values()

    @property
    def empty(self) -> bool:
        if self._said:
            return False
        spent = self.usage is not None and self.usage.output > 0
        return not (spent and "length" in self._reasons.values())

    def feed(self, data: bytes) -> list[Event]:
        """The events that these bytes complete. After `[DONE]` or an error nothing comes any more."""
        events: list[Event] = []
        if self._over:
            return events
        for payload, raw, name in self._frames(data):
            try:
                chunk = _loads(payload)
            except orjson.JSONDecodeError:
                event = self._not_json(payload, name)
            else:
                try:  # by far the most events: one choice of which only content grows
                    (choice,) = chunk["choices"]
                    delta = choice["delta"]
                    text = delta["content"]
                    plain = (
                        type(text) is str
                        and text
                        and (len(delta) == 1 or (len(delta) == 2 and "role" in delta))
                        and not choice.get("finish_reason")
                        and choice["index"] in self._reasons
                        and chunk.get("usage") is None
                        and "error" not in chunk
                    )
                except (KeyError, TypeError, ValueError):
                    plain = False
                if plain:
                    self._said = True
                    self.chars += len(text)
                    if self._reply is not None:
                        raw = self._rewritten(chunk, raw)
                    events.append(_new(Event, (_CONTENT, raw, text, None, None)))
                    continue
                event = self._event(chunk, raw, name)
            events.append(event)
            if event.kind is Kind.DONE or event.kind is Kind.ERROR:
                self._over = True
                break
        return events

    def close(self) -> End:
        """Complete when every choice seen has its finish reason, or `[DONE]` came after something was said."""
        if self._failed:
            return End.ERRORED
        if self.finished or (self._said and (self._over or self._framer.pending() == b"[DONE]")):
            return End.COMPLETE
        return End.TRUNCATED

    def _not_json(self, payload: bytes, name: bytes) -> Event:
        if payload.strip() == b"[DONE]":
            return Event(Kind.DONE, b"")
        if name == b"error":
            return self._error(payload.decode("utf-8", "replace"), None)
        raise Malformed("an event of the upstream is not JSON")

    def _event(self, chunk: Any, raw: bytes, name: bytes) -> Event:
        """Any event, with all that can be in one."""
        if type(chunk) is not dict:
            chunk = _unwrapped(chunk)
        usage = self._note(chunk)
        if chunk.get("error") or name == b"error" or chunk.get("object") == "error":
            return self._error(chunk, usage)
        choices = chunk.get("choices")
        if not choices:
            return self._without_choices(chunk, raw, usage)
        if type(choices) is not list:
            raise Malformed("`choices` of the upstream is not a list")
        kind, text = _EMPTY, ""
        for choice in choices:
            if type(choice) is not dict:
                raise Malformed("a choice of the upstream is not a JSON object")
            if (fault := self._finish(choice)) is not None:
                return self._error(fault, usage)
            said = said_in(choice.get("delta"))
            if said is not None:
                more, added, chars = said
                self._said = True
                self.chars += chars
                text += added
                if kind is _EMPTY or more is _CONTENT or (more is _TOOL and kind is _REASONING):
                    kind = more
        raw = self._rewritten(chunk, raw)
        event: Event = _new(Event, (kind, raw, text, usage, None))
        return event

    def _note(self, chunk: dict[str, Any]) -> Usage | None:
        model = chunk.get("model")
        if not self.model and type(model) is str:
            self.model = model
        if chunk.get("usage") is None and "x_groq" not in chunk:
            return None
        usage = usage_in(chunk, self._charge)
        self.usage = usage or self.usage
        return usage

    def _error(self, fault: object, usage: Usage | None) -> Event:
        self._failed = True
        return Event(Kind.ERROR, b"", "", usage, self._errors.in_stream(fault))

    def _without_choices(self, chunk: dict[str, Any], raw: bytes, usage: Usage | None) -> Event:
        """The usage chunk; or Azure's preamble without id and object, which would break `chunk.choices[0]` in clients
        that never meet such a chunk from OpenAI."""
        kind = Kind.EMPTY if usage is None else Kind.USAGE
        if self._hide_usage or not chunk.get("object"):
            return Event(kind, b"", "", usage)
        return Event(kind, self._rewritten(chunk, raw), "", usage)

    def _finish(self, choice: dict[str, Any]) -> object | None:
        """Notes the choice and its finish reason. Returns the error that a choice can hold."""
        index = choice.get("index", 0)
        if type(index) is not int:
            index = 0
        reason = choice.get("finish_reason")
        if reason:
            self._reasons[index] = str(reason)
            self.finished = all(self._reasons.values())
        elif index not in self._reasons:
            self._reasons[index] = ""
            self.finished = False
            if len(self._reasons) > _MAX_CHOICES:
                raise Malformed(f"the upstream sent more than {_MAX_CHOICES} choices")
        return self._errors.fault_of(choice) if reason or "error" in choice else None

    def _rewritten(self, chunk: dict[str, Any], raw: bytes) -> bytes:
        """The client's bytes: the upstream's own, but for a usage that the client did not ask for and the name."""
        hide = self._hide_usage and chunk.get("usage") is not None
        if hide:
            del chunk["usage"]
        if self._reply is not None:
            chunk["model"] = self._reply
        elif not hide:
            return raw
        return b"data: " + _dumps(chunk) + b"\n\n"


def _unwrapped(chunk: Any) -> dict[str, Any]:
    """Google wraps errors in an array."""
    if isinstance(chunk, list) and len(chunk) == 1:
        chunk = chunk[0]
    if not isinstance(chunk, dict):
        raise Malformed("an event of the upstream is not a JSON object")
    return chunk
