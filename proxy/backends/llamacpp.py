"""llama.cpp's dialect: OpenAI's, with what llama-server tells besides, so that a cut stream's tokens are counted."""

from __future__ import annotations

from typing import Any

from proxy.backends.openai import OpenAIDialect
from proxy.backends.openai_stream import ChatDecoder
from proxy.core.chat import ChatRequest, Event, Kind
from proxy.core.dialect import UNSTAMPED, Decoder, Prepared, Stamp


class LlamaDecoder(ChatDecoder):
    """Counts: the prompt's tokens come before the first word (`return_progress`), and each token is an event, but for
    those that make up one character together."""

    __slots__ = ("_pieces", "_prompt")

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        self._prompt: int | None = None
        self._pieces = 0

    @property
    def counted(self) -> tuple[int, int] | None:
        return None if self._prompt is None else (self._prompt, self._pieces)

    def feed(self, data: bytes) -> list[Event]:
        events = super().feed(data)
        for event in events:
            self._pieces += event.kind >= Kind.CONTENT
        return events

    def _event(self, chunk: Any, raw: bytes, name: bytes) -> Event:
        progress = chunk.get("prompt_progress") if isinstance(chunk, dict) else None
        if not isinstance(progress, dict):
            return super()._event(chunk, raw, name)
        total = progress.get("total")
        if type(total) is int and total >= 0:
            self._prompt = total
        return Event(Kind.EMPTY, b"")


class LlamaDialect(OpenAIDialect):
    """One model that we run; see `proxy.core.dialect.Dialect`."""

    __slots__ = ()

    def chat(self, request: ChatRequest) -> Prepared:
        if request.stream:
            request = request._replace(body={**request.body, "return_progress": True})
        return super().chat(request)

    def decoder(self, *, wants_usage: bool, model: str | None = None, stamp: Stamp = UNSTAMPED) -> Decoder:
        return LlamaDecoder(self._errors, wants_usage=wants_usage, model=model)
