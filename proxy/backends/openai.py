"""OpenAI's dialect: the reference, and, as data, that of every backend that speaks it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from proxy.backends.head import Address, head, standard
from proxy.backends.openai_errors import ErrorReader
from proxy.backends.openai_reply import read_completion, read_embedding
from proxy.backends.openai_stream import ChatDecoder
from proxy.config.values import Backend
from proxy.core.call import Headers, HttpCall
from proxy.core.chat import ChatRequest, Completion, Embedding, EmbedRequest
from proxy.core.dialect import UNSTAMPED, Decoder, Prefill, Prepared, Stamp
from proxy.core.failure import Failure
from proxy.core.route import Target
from proxy.core.secret import Secret

_new = tuple.__new__  # a third of what the class's own `__new__` costs, which is a Python function
_LEAST_SECRET = 8
"""Characters. A shorter key (`x`, `none`, `ollama`) only fills a place, and may be a word of an ordinary message."""


@dataclass(frozen=True, slots=True)
class OpenAICompatible:
    """What tells one OpenAI-speaking provider from another. Everything else is the same code."""

    base_url: str = ""
    """Used where the configuration names none."""
    default_path: str = ""
    """Added to a base URL without a path."""
    key_header: str = "Authorization"
    key_prefix: str = "Bearer "
    refuses: frozenset[str] = frozenset()
    """Request parameters that it answers with an error: left out, and said so."""
    renames: Mapping[str, str] = field(default_factory=dict)
    """Request parameters that it knows by another name."""
    asks_usage: bool = True
    """It takes `stream_options: {include_usage: true}`."""
    own_queue: bool = False
    """When it says that its queue is full, that is a queue of Wayline's own."""
    prefill: Prefill | None = None
    """How it continues an assistant message that comes last; `None`: it does not, or it is not known to."""
    repeatable: bool = False
    """The same request with the same seed gives the same bytes again."""


class OpenAIDialect:
    """One target at an OpenAI-speaking backend; see `proxy.core.dialect.Dialect`."""

    speaks: frozenset[str] = frozenset()
    stream_type = b"event-stream"

    __slots__ = (
        "_adapts",
        "_asks_usage",
        "_embed_head",
        "_errors",
        "_head",
        "_model",
        "_prefix",
        "_refuses",
        "_renames",
        "_spec",
        "_stream_head",
        "_target",
        "_without",
        "prefill",
        "repeatable",
    )

    def __init__(self, spec: OpenAICompatible, where: Address, backend: Backend, target: Target) -> None:
        """Raises `ValueError` where a header or the key cannot be sent."""
        self._spec = spec
        self._target = target
        self._model = target.model
        self._prefix = f"{backend.name}/"
        self.prefill = None if target.prefill is False else spec.prefill
        if target.prefill and self.prefill is None:
            self.prefill = Prefill()
        self.repeatable = spec.repeatable
        self._refuses = spec.refuses - target.drop
        self._without = target.drop | spec.refuses
        self._adapts = bool(target.defaults or target.overrides)
        self._renames = bool(spec.renames)
        self._asks_usage = spec.asks_usage and "stream_options" not in self._without
        chat = f"POST {where.target('/chat/completions')} HTTP/1.1"
        embed = f"POST {where.target('/embeddings')} HTTP/1.1"
        key = _key_header(spec, backend.api_key)
        more = (key, backend.headers, target.headers)
        self._head = head(chat, where.authority, standard("application/json"), *more)
        self._stream_head = head(chat, where.authority, standard("text/event-stream"), *more)
        self._embed_head = head(embed, where.authority, standard("application/json"), *more)
        secrets = [backend.api_key, *backend.headers.values(), *target.headers.values()]
        hide = [secret.reveal() for secret in secrets if isinstance(secret, Secret)]
        hide = [text for text in hide if len(text) >= _LEAST_SECRET]
        if backend.base_url:
            hide += [where.authority, where.origin.host]
        self._errors = ErrorReader(hide, own_queue=spec.own_queue)

    def __repr__(self) -> str:
        return f"OpenAIDialect({self._target.name!r})"

    def chat(self, request: ChatRequest) -> Prepared:
        """The body is written anew from its parsed form: what was checked is what is sent (an upstream might take the
        first of two keys of one name), and measured, it costs less than the scan that makes a splice of `raw` safe.
        """
        body, dropped = self._adapted(request.body, request.model)
        if not request.stream:
            return self._prepared(self._head, body, dropped)
        if self._asks_usage and not request.wants_usage:
            options = body.get("stream_options")
            if options is None:
                body["stream_options"] = {"include_usage": True}
            elif isinstance(options, dict):
                body["stream_options"] = {**options, "include_usage": True}
        return self._prepared(self._stream_head, body, dropped)

    def embed(self, request: EmbedRequest) -> Prepared:
        body, dropped = self._adapted(request.body, request.model)
        return self._prepared(self._embed_head, body, dropped)

    def completion(self, body: bytes, *, model: str | None = None, stamp: Stamp = UNSTAMPED) -> Completion | Failure:
        return read_completion(body, self._errors, model)

    def embedding(self, body: bytes, *, base64: bool, model: str | None = None) -> Embedding | Failure:
        return read_embedding(body, self._errors, base64=base64, model=model)

    def decoder(self, *, wants_usage: bool, model: str | None = None, stamp: Stamp = UNSTAMPED) -> Decoder:
        return ChatDecoder(self._errors, wants_usage=wants_usage, model=model)

    def failure(self, status: int, headers: Headers, body: bytes) -> Failure:
        return self._errors.failure(status, headers, body)

    def _prepared(self, head: bytes, body: dict[str, Any], dropped: tuple[str, ...]) -> Prepared:
        unsupported = tuple(name for name in dropped if name in self._refuses) if dropped else ()
        return _new(Prepared, (HttpCall(head, orjson.dumps(body)), dropped, unsupported))

    def _adapted(self, asked: Mapping[str, Any], model: str) -> tuple[dict[str, Any], tuple[str, ...]]:
        """The request for this target, and what had to be left out of it."""
        body = dict(asked)
        if self._adapts:
            self._adapt(body)
        dropped: tuple[str, ...] = ()
        if self._without and not self._without.isdisjoint(body):
            dropped = tuple(sorted(self._without.intersection(body)))
            for name in dropped:
                del body[name]
        if self._renames:
            self._rename(body)
        body["model"] = self._model or model.removeprefix(self._prefix)
        return body, dropped

    def _adapt(self, body: dict[str, Any]) -> None:
        for name, value in self._target.defaults.items():
            body.setdefault(name, value)
        body.update(self._target.overrides)

    def _rename(self, body: dict[str, Any]) -> None:
        for name, other in self._spec.renames.items():
            if name in body:
                body.setdefault(other, body.pop(name))


def _key_header(spec: OpenAICompatible, key: Secret | None) -> dict[str, str | Secret]:
    return {spec.key_header: Secret(spec.key_prefix + key.reveal())} if key else {}
