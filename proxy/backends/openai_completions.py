"""OpenAI's old text completions, handed on as they are: many servers have them, and with `suffix` some fill in the
middle.

https://platform.openai.com/docs/api-reference/completions (read 2026-11-21).
"""

from __future__ import annotations

import re
from typing import Any

import orjson

from proxy.backends.head import Address
from proxy.backends.openai import credentials, heads
from proxy.backends.openai_native import NativeDialect
from proxy.backends.openai_reply import read_completion
from proxy.backends.openai_spec import OpenAICompatible
from proxy.backends.openai_stream import ChatDecoder
from proxy.backends.reading import json_object
from proxy.config.values import Backend
from proxy.core.chat import ChatRequest, Completion, Event, Native
from proxy.core.dialect import Decoder, Prepared
from proxy.core.failure import Failure
from proxy.core.route import Target

API = "completions"
_TEXT_MODELS = re.compile(r"(ft:)?(gpt-3\.5-turbo-instruct|davinci-002|babbage-002)", re.IGNORECASE)


def is_text_model(model: str) -> bool:
    """One of the few models of OpenAI's own that go on with a text, and do nothing else."""
    return _TEXT_MODELS.match(model) is not None


class CompletionsDialect(NativeDialect):
    """One target at a server that has text completions too; see `proxy.core.dialect.Dialect`."""

    speaks = frozenset({API})

    __slots__ = ("_text_head", "_text_stream_head")

    def __init__(self, spec: OpenAICompatible, where: Address, backend: Backend, target: Target) -> None:
        """Raises `ValueError` where a header or the key cannot be sent."""
        super().__init__(spec, where, backend, target)
        more = credentials(spec, backend, target)
        at = where._replace(path="") if spec.text_path else where
        self._text_head, self._text_stream_head = heads(at, spec.text_path or "/completions", more)

    def _native(self, request: ChatRequest, native: Native) -> Prepared:
        body, dropped = self._adapted(native.body, request.model)
        if not request.stream:
            return self._prepared(self._text_head, body, dropped)
        if self._asks_usage:
            body["stream_options"] = {**(body.get("stream_options") or {}), "include_usage": True}
        return self._prepared(self._text_stream_head, body, dropped)

    def _native_answer(self, body: bytes, model: str | None) -> Completion | Failure:
        reply = json_object(body)
        found = read_completion(orjson.dumps(_as_chat(reply, "message")), self._errors, None, self._charge)
        if isinstance(found, Failure):
            return found
        raw = body if model is None else orjson.dumps({**reply, "model": model})
        return found._replace(raw=raw, empty=found.empty and not _ended(reply))

    def _native_decoder(self, *, wants_usage: bool, model: str | None) -> Decoder:
        return TextDecoder(self._errors, wants_usage=wants_usage, model=model, charge=self._charge)


class TextDecoder(ChatDecoder):
    """One stream of text completions; see `proxy.core.dialect.Decoder`."""

    __slots__ = ()

    @property
    def empty(self) -> bool:
        """That there is nothing to add is an answer: between a prompt and its suffix, or at a text's end."""
        return not self.finished

    def _event(self, chunk: Any, raw: bytes, name: bytes) -> Event:
        event = super()._event(_as_chat(chunk, "delta"), raw, name)
        if event.raw and event.raw is not raw and isinstance(chunk, dict):
            event = event._replace(raw=self._rewritten(chunk, raw))
        # White space begins many a text: without words to look at, the engine does not hold it back.
        return event._replace(text="") if event.text.isspace() else event


def _as_chat(reply: Any, member: str) -> Any:
    """A copy whose choices say their text as chat's do."""
    choices = reply.get("choices") if isinstance(reply, dict) else None
    if not isinstance(choices, list):
        return reply
    return {**reply, "choices": [_choice(choice, member) for choice in choices]}


def _choice(choice: Any, member: str) -> Any:
    if not isinstance(choice, dict):
        return choice
    text = choice.get("text")
    return {**choice, member: {"content": text} if isinstance(text, str) else {}}


def _ended(reply: dict[str, Any]) -> bool:
    """The text is at its end by itself."""
    choices = reply.get("choices")
    return isinstance(choices, list) and any(choice.get("finish_reason") == "stop" for choice in choices)
