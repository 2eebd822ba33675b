"""llama.cpp's dialect: OpenAI's, with what our workers tell besides, so that a cut stream's tokens are known.

Each event with content begins with the ids of its tokens (`{"tokens":[…],`): they stand in the same event as the text,
so that no cut can come between the two, and first, so that they are taken out without parsing it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from proxy.backends.openai_completions import API, CompletionsDialect
from proxy.backends.openai_relay import has_not
from proxy.backends.openai_stream import ChatDecoder
from proxy.core.chat import ChatRequest, Event, Kind
from proxy.core.dialect import UNSTAMPED, Decoder, Malformed, Prepared, Stamp
from proxy.core.failure import Failure
from proxy.core.relay import RelayRequest

_TOLD = b'data: {"tokens":['


class LlamaDecoder(ChatDecoder):
    """Counts: the prompt's tokens come before the first word (`return_progress`), and each event tells its own."""

    __slots__ = ("_pieces", "_prompt", "_told", "_torn")

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        self._prompt: int | None = None
        self._pieces = 0
        self._told: list[int] = []
        self._torn = False
        """Content came without its tokens, or with some of them to follow."""

    @property
    def counted(self) -> tuple[int, int] | None:
        if self._prompt is None:
            return None
        return self._prompt, self._pieces if self._torn else max(self._pieces, len(self._told))

    @property
    def tokens(self) -> Sequence[int] | None:
        """The ids of all tokens of the answer so far; `None` where they are not those of the text so far."""
        return None if self._torn else self._told

    def feed(self, data: bytes) -> list[Event]:
        events = super().feed(data)
        for at, event in enumerate(events):
            said = event.kind >= Kind.CONTENT
            self._pieces += said
            if event.raw.startswith(_TOLD):
                end = event.raw.index(b"]")
                try:
                    self._told += map(int, event.raw[len(_TOLD) : end].split(b","))
                except ValueError as error:
                    raise Malformed("`tokens` of the worker are no token ids") from error
                self._torn = False
                events[at] = event._replace(raw=b"data: {" + event.raw[end + 2 :])
            elif said:
                self._torn = True
        return events

    def _event(self, chunk: Any, raw: bytes, name: bytes) -> Event:
        progress = chunk.get("prompt_progress") if isinstance(chunk, dict) else None
        if not isinstance(progress, dict):
            return super()._event(chunk, raw, name)
        total = progress.get("total")
        if type(total) is int and total >= 0:
            self._prompt = total
        return Event(Kind.EMPTY, b"")


class LlamaDialect(CompletionsDialect):
    """One model that we run; see `proxy.core.dialect.Dialect`."""

    __slots__ = ()

    def chat(self, request: ChatRequest) -> Prepared | Failure:
        if request.stream:
            request = request._replace(body={**request.body, "return_progress": True, "return_tokens": True})
        return super().chat(request)

    def relay(self, request: RelayRequest) -> Prepared | Failure:
        return has_not()

    def decoder(self, *, wants_usage: bool, model: str | None = None, stamp: Stamp = UNSTAMPED) -> Decoder:
        if stamp.native == API:
            return super().decoder(wants_usage=wants_usage, model=model, stamp=stamp)
        return LlamaDecoder(self._errors, wants_usage=wants_usage, model=model)
