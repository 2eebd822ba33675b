"""Anthropic's own bytes, handed on to a client that speaks its API; what they say is noted all the same."""

from __future__ import annotations

from typing import Any

import orjson

from proxy.backends.anthropic_stream import MessagesDecoder
from proxy.backends.openai_errors import ErrorReader
from proxy.core.chat import Event, Kind
from proxy.core.dialect import Stamp

_EMPTY, _DONE, _ERROR, _CONTENT = Kind.EMPTY, Kind.DONE, Kind.ERROR, Kind.CONTENT
_UNSEEN = ("text", "thinking", "redacted_thinking", "tool_use")
"""Blocks that say something by their deltas, or nothing. All others are content of Anthropic's own."""


class NativeDecoder(MessagesDecoder):
    """One stream, each event as it came (`event: …`, `data: …`)."""

    __slots__ = ("_reply",)

    def __init__(self, errors: ErrorReader, stamp: Stamp, *, model: str | None = None) -> None:
        super().__init__(errors, stamp, wants_usage=False)
        self._reply = model
        """The name that stands in `message_start` instead of the upstream's."""

    def feed(self, data: bytes) -> list[Event]:
        """The events that these bytes complete, one for each of the upstream's, and a `DONE` after `message_stop`."""
        events: list[Event] = []
        if self.ended():
            return events
        for payload, raw, name in self._frames(data):
            said: list[Event] = []
            event = self.take(payload, name, said)
            if self._failed:
                events += said
                break
            kind, text, usage = _EMPTY, "", None
            for one in said:
                if one.kind is not _DONE:
                    kind = max(kind, one.kind)
                text += one.text
                usage = one.usage or usage
            if _is_own_content(event):
                self._chunks.said = True
                kind = _CONTENT
            if self._reply is not None and event.get("type") == "message_start":
                raw = b"data: " + orjson.dumps(_renamed(event, self._reply)) + b"\n\n"
            events.append(Event(kind, b"event: " + name + b"\n" + raw if name else raw, text, usage))
            if self._over:
                events.append(Event(_DONE, b""))
                break
        return events


def _is_own_content(event: dict[str, Any]) -> bool:
    if event.get("type") != "content_block_start":
        return False
    block = event.get("content_block")
    return isinstance(block, dict) and block.get("type") not in _UNSEEN


def _renamed(event: dict[str, Any], model: str) -> dict[str, Any]:
    return {**event, "message": {**event["message"], "model": model}}
