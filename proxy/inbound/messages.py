"""Anthropic's Messages API as a way in (`POST /v1/messages`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from proxy.core.chat import ChatRequest, Native
from proxy.inbound.messages_errors import error_object, status_of
from proxy.inbound.messages_request import asked
from proxy.inbound.messages_stream import STOP, MessageRenderer
from proxy.inbound.refused import Refused
from proxy.inbound.way import Fault, Renderer, Wrong

BETA = b"anthropic-beta"
_STOPS = b'"message_stop"'


class Messages:
    """See `proxy.inbound.way.Api`."""

    name = "messages"
    answers = True
    """An answer is asked for, so that its length must be limited."""

    def read(self, body: dict[str, Any], raw: bytes, fields: Mapping[bytes, bytes]) -> ChatRequest | Wrong:
        try:
            found = asked(body, limited=self.answers)
        except Refused as refused:
            return refused.wrong
        beta = fields.get(BETA)
        headers = (("anthropic-beta", beta.decode("latin-1")),) if beta else ()
        native = Native(self.name, found.native, headers, found.lost, found.minor)
        chat = found.body
        return ChatRequest(raw, chat, chat["model"], "stream" in chat, "stream" in chat, native)

    def renderer(self, request: ChatRequest, request_id: str, created: int) -> Renderer:
        return MessageRenderer(request, request_id)

    def lines(self, request_id: str) -> bytes:
        return b"request-id: %b\r\n" % request_id.encode()

    def error(self, fault: Fault) -> tuple[int, bytes]:
        return status_of(fault), orjson.dumps(error_object(fault))

    def ending(self, last: bytes) -> bytes:
        return b"" if _STOPS in last else STOP


class CountTokens(Messages):
    """`POST /v1/messages/count_tokens`; see `proxy.inbound.way.Counts`."""

    name = "count_tokens"
    answers = False

    def counted(self, tokens: int) -> bytes:
        return orjson.dumps({"input_tokens": tokens})
