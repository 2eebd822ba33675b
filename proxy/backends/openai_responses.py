"""OpenAI's Responses API, handed on as it is: what came in it leaves in it, and its answers go back as they came.

https://platform.openai.com/docs/api-reference/responses and …/responses-streaming (as of 2026-11-21).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from proxy.backends.head import Address
from proxy.backends.openai import credentials, heads
from proxy.backends.openai_native import NativeDialect
from proxy.backends.openai_responses_reply import ResponsesDecoder, read_response
from proxy.backends.openai_spec import OpenAICompatible
from proxy.config.values import Backend
from proxy.core.call import HttpCall
from proxy.core.chat import ChatRequest, Completion, Native
from proxy.core.dialect import Decoder, Prepared
from proxy.core.failure import Failure
from proxy.core.route import Target

API = "responses"

_PLACES: Mapping[str, tuple[str, ...]] = {
    "max_tokens": ("max_output_tokens",),
    "max_completion_tokens": ("max_output_tokens",),
    "reasoning_effort": ("reasoning", "effort"),
    "response_format": ("text", "format"),
    "verbosity": ("text", "verbosity"),
}
"""Where a parameter of chat completions stands in this API, if not in the same place."""


class ResponsesDialect(NativeDialect):
    """One target at OpenAI itself, or at Azure; see `proxy.core.dialect.Dialect`."""

    speaks = frozenset({API})

    __slots__ = ("_responses_head", "_responses_stream_head")

    def __init__(self, spec: OpenAICompatible, where: Address, backend: Backend, target: Target) -> None:
        """Raises `ValueError` where a header or the key cannot be sent."""
        super().__init__(spec, where, backend, target)
        more = credentials(spec, backend, target)
        self._responses_head, self._responses_stream_head = heads(where, "/responses", more)

    def _native_answer(self, body: bytes, model: str | None) -> Completion | Failure:
        return read_response(body, self._errors, model)

    def _native_decoder(self, *, wants_usage: bool, model: str | None) -> Decoder:
        return ResponsesDecoder(self._errors, model)

    def _native(self, request: ChatRequest, native: Native) -> Prepared:
        """Its own body, with what the operator and the model's family say of parameters applied in its places."""
        body = dict(native.body)
        target = self._target
        for name, value in target.defaults.items():
            _put(body, _place(name), value, over=False)
        for name, value in target.overrides.items():
            _put(body, _place(name), value, over=True)
        dropped = tuple(name for name in sorted(target.drop) if _take(body, _place(name)))
        dropped += self._beyond(body)
        body["model"] = self._model or request.model.removeprefix(self._prefix)
        head = self._responses_stream_head if request.stream else self._responses_head
        unsupported = tuple(name for name in dropped if name in self._refuses)
        return Prepared(HttpCall(head, orjson.dumps(body)), dropped, unsupported)

    def _beyond(self, body: dict[str, Any]) -> tuple[str, ...]:
        """Takes out sampling parameters that this model does not take; all others this API has of its own."""
        own = self._terms
        effort = _get(body, ("reasoning", "effort"))
        missed = []
        for name in ("temperature", "top_p", "top_logprobs"):
            if body.get(name) is None:
                continue
            bounded = name in own.only and body[name] not in own.only[name]
            if name in own.refuses or (bounded and not (own.free and effort in own.free)):
                del body[name]
                missed.append(name)
        return tuple(missed)


def _place(name: str) -> tuple[str, ...]:
    return _PLACES.get(name, (name,))


def _get(body: Mapping[str, Any], place: tuple[str, ...]) -> Any:
    found: Any = body
    for name in place:
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _put(body: dict[str, Any], place: tuple[str, ...], value: Any, *, over: bool) -> None:
    """`over`: also where there is a value already. `body` itself is changed, what is in it is not."""
    if not over and _get(body, place) is not None:
        return
    first, rest = place[0], place[1:]
    if rest:
        inner = body.get(first)
        value = {**(inner if isinstance(inner, dict) else {}), rest[0]: value}
    body[first] = value


def _take(body: dict[str, Any], place: tuple[str, ...]) -> bool:
    """Takes it out. Was it there?"""
    if _get(body, place) is None:
        return False
    first, rest = place[0], place[1:]
    if rest:
        body[first] = {name: value for name, value in body[first].items() if name != rest[0]}
    else:
        del body[first]
    return True
