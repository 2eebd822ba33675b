"""OpenAI's Responses API as a way in (`POST /v1/responses`)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Any

import orjson

from proxy.core.chat import ChatRequest, Native
from proxy.inbound.chunks import chunks_in, completion_in
from proxy.inbound.errors import error_body, told_in_stream
from proxy.inbound.refused import Refused
from proxy.inbound.responses_events import Writer
from proxy.inbound.responses_object import INCOMPLETE, Envelope, usage_of
from proxy.inbound.responses_output import Output
from proxy.inbound.responses_request import asked
from proxy.inbound.responses_thoughts import MARK
from proxy.inbound.way import Fault, Renderer, Wrong

NAME = "responses"
Keep = Callable[[Mapping[str, Any]], None]
_PLAIN = re.compile(r"req_([0-9a-z]{8,64})").fullmatch


class Responses:
    """See `proxy.inbound.way.Api`."""

    name = NAME

    def read(self, body: dict[str, Any], raw: bytes, fields: Mapping[bytes, bytes]) -> ChatRequest | Wrong:
        try:
            chat, native, lost, minor = asked(body)
        except Refused as refused:
            return refused.wrong
        stream = "stream" in chat
        return ChatRequest(raw, chat, chat["model"], stream, stream, Native(NAME, native, (), lost, minor))

    def renderer(self, request: ChatRequest, request_id: str, created: int) -> Renderer:
        return ResponsesAnswer(request, request_id, created)

    def lines(self, request_id: str) -> bytes:
        return b""

    def error(self, fault: Fault) -> tuple[int, bytes]:
        return fault.status, error_body(fault)

    def ending(self, last: bytes) -> bytes:
        return b""  # `response.completed` is the end


class ResponsesAnswer:
    """One answer; see `proxy.inbound.way.Renderer`."""

    __slots__ = ("_begun", "_envelope", "_finish", "_keep", "_output", "_usage", "_writer")

    def __init__(
        self,
        request: ChatRequest,
        request_id: str,
        created: int,
        *,
        asked: Mapping[str, Any] | None = None,
        keep: Keep | None = None,
    ) -> None:
        """`asked`: the request as it came, where `request` says more. `keep` gets the response when it is complete."""
        key = key_of(request_id)
        given = asked or ({} if request.native is None else request.native.body)
        custom = frozenset(str(tool.get("name")) for tool in given.get("tools") or () if tool["type"] == "custom")
        self._envelope = Envelope(given, f"resp_{key}", created, stored=keep is not None)
        self._keep = keep
        self._writer = Writer()
        self._output = Output(self._writer, key, custom)
        self._begun = False
        self._finish = ""
        self._usage: dict[str, Any] | None = None

    def whole(self, body: bytes) -> bytes:
        reply = completion_in(body)
        self._note(reply)
        for choice in _choices(reply):
            self._output.delta(choice.get("message"), choice.get("logprobs"))
            self._note_finish(choice)
        self._output.end(self._item_status())
        return orjson.dumps(self._complete(self._status()))

    def push(self, data: bytes) -> bytes:
        for chunk in chunks_in(data, self._writer.out):
            try:  # by far the most: one choice of which only content grows
                (choice,) = chunk["choices"]
                text = choice["delta"]["content"]
                plain = (
                    self._begun
                    and len(choice["delta"]) == 1
                    and type(text) is str
                    and text
                    and not choice["finish_reason"]
                    and choice["index"] == 0
                    and not choice.get("logprobs")
                )
            except (KeyError, TypeError, ValueError):
                plain = False
            if plain:
                self._output.text(text)
            else:
                self._chunk(chunk)
        return self._writer.take()

    def close(self, last: bytes) -> bytes:
        out = self.push(last) if last else b""
        self._begin()
        self._output.end(self._item_status())
        status = self._status()
        self._writer.event(f"response.{status}", response=self._complete(status))
        return out + self._writer.take()

    def broken(self, fault: Fault) -> bytes:
        """An `error` event, which the openai SDK raises, and the response as it stands: failed.

        Its members stand twice: as OpenAI documents them, and in `error`, as OpenAI sends them. Items that are not
        finished get no end: some clients run a tool as soon as its item is done.
        """
        error = told_in_stream(fault)
        told = {"code": fault.code or fault.type, "message": fault.message, "param": fault.param}
        self._writer.event("error", **told, error=error)
        if self._begun:
            self._writer.event("response.failed", response=self._now("failed", fault))
        return self._writer.take()

    def _chunk(self, chunk: dict[str, Any]) -> None:
        self._note(chunk)
        choices = _choices(chunk)
        if choices:
            self._begin()
        for choice in choices:
            self._output.delta(choice.get("delta"), choice.get("logprobs"))
            self._note_finish(choice)
            if choice.get("finish_reason"):
                self._output.end(self._item_status())

    def _begin(self) -> None:
        if not self._begun:
            self._begun = True
            now = self._now("in_progress")
            self._writer.event("response.created", response=now)
            self._writer.event("response.in_progress", response=now)

    def _note(self, reply: Mapping[str, Any]) -> None:
        """What it tells besides words. The model stays what the stream's first event said."""
        model, tier = reply.get("model"), reply.get("service_tier")
        if not self._begun and isinstance(model, str) and model:
            self._envelope.model = model
        if isinstance(tier, str):
            self._envelope.tier = tier
        self._usage = usage_of(reply.get("usage")) or self._usage

    def _note_finish(self, choice: Mapping[str, Any]) -> None:
        reason = choice.get("finish_reason")
        if isinstance(reason, str) and reason:
            self._finish = reason

    def _status(self) -> str:
        return "incomplete" if self._finish in INCOMPLETE else "completed"

    _item_status = _status

    def _complete(self, status: str) -> dict[str, Any]:
        response = self._now(status)
        if self._keep is not None:
            self._keep(response)
        return response

    def _now(self, status: str, fault: Fault | None = None) -> dict[str, Any]:
        items = self._output.items
        return self._envelope.of(status, items, usage=self._usage, fault=fault, finish=self._finish)


def key_of(request_id: str) -> str:
    """What the ids of an answer hold: of the request's id, so that one leads to the other."""
    found = _PLAIN(request_id)
    return MARK + (found[1] if found else blake2b(request_id.encode(), digest_size=16).hexdigest())


def _choices(reply: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The first choice's pieces: a response is one answer."""
    choices = reply.get("choices")
    found = choices if isinstance(choices, list) else []
    return [choice for choice in found if isinstance(choice, Mapping) and choice.get("index", 0) in (0, None)]
