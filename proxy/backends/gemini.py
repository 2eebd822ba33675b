"""Gemini's own API: `generateContent`, its stream, and `batchEmbedContents`.

Source: the discovery document of generativelanguage v1beta, revision 20260529. Whether a conversation that ends in the
model's words is continued is documented nowhere, so that `prefill` is the operator's word.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from proxy.backends.gemini_answer import read_answer
from proxy.backends.gemini_contents import CannotSay, Reach
from proxy.backends.gemini_embed import batch_body, vectors_of
from proxy.backends.gemini_errors import GoogleErrors
from proxy.backends.gemini_models import in_path, traits_of
from proxy.backends.gemini_request import Own, Written, written
from proxy.backends.gemini_stream import GeminiDecoder
from proxy.backends.head import Address, address, head, standard, to_hide
from proxy.backends.vectors import embedding
from proxy.config.values import Backend
from proxy.core.call import Headers, HttpCall, Origin
from proxy.core.chat import ChatRequest, Completion, Embedding, EmbedRequest
from proxy.core.dialect import UNSTAMPED, Decoder, Malformed, Prefill, Prepared, Stamp
from proxy.core.failure import Failure, FailureKind
from proxy.core.route import Target
from proxy.core.secret import Secret

BASE_URL = "https://generativelanguage.googleapis.com/v1beta"
_LONGEST = 128
"""Characters of a model's name that are looked at: what is known of it is remembered, and a request may name any."""


def bind(backend: Backend, target: Target) -> GeminiDialect:
    """See `proxy.backends.registry.bind`."""
    own = Own(Reach(buckets=False, names_type=False), tiers=True, safety=backend.options.get("safety"))
    return GeminiDialect(address(backend.base_url or BASE_URL), backend, target, own, _place)


def origin(backend: Backend) -> Origin:
    """See `proxy.backends.registry.origin`."""
    return address(backend.base_url or BASE_URL).origin


def _place(model: str) -> str:
    return f"/{model}" if model.startswith(("models/", "tunedModels/")) else f"/models/{model}"


class GeminiDialect:
    """One of Google's models; see `proxy.core.dialect.Dialect`."""

    speaks: frozenset[str] = frozenset()
    translates = True
    stream_type = b"event-stream"
    repeatable = False

    __slots__ = ("_errors", "_heads", "_more", "_own", "_place", "_prefix", "_target", "_where", "prefill")

    def __init__(
        self, where: Address, backend: Backend, target: Target, own: Own, place: Callable[[str], str], *hide: str
    ) -> None:
        """`place`: a model's path below the base URL; `hide`: more texts that must not get out. Raises `ValueError`
        where a header or the key cannot be sent."""
        self._where = where
        self._target = target
        self._own = own
        self._place = place
        self._prefix = f"{backend.name}/"
        self.prefill = Prefill() if target.prefill else None
        key = {"x-goog-api-key": backend.api_key} if backend.api_key else {}
        self._more: tuple[Mapping[str, str | Secret], ...] = (key, backend.headers, target.headers)
        self._heads: dict[str, bytes] = {}
        for method in ("generateContent", "streamGenerateContent", "embedContent", "batchEmbedContents", "predict"):
            self._heads[method] = self._head(target.model or "model", method)
        self._errors = GoogleErrors([*to_hide(where, backend, target), *hide])

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._target.name!r})"

    def chat(self, request: ChatRequest) -> Prepared | Failure:
        asked, left = self._adapted(request.body)
        model = self._named(request.model)
        try:
            found = written(asked, traits_of(model[:_LONGEST]), self._own)
        except CannotSay as error:
            return Failure(FailureKind.UNSUPPORTED, str(error))
        return self._prepared(model, "streamGenerateContent" if request.stream else "generateContent", found, left)

    def embed(self, request: EmbedRequest) -> Prepared | Failure:
        asked, left = self._adapted(request.body)
        model = self._named(request.model)
        try:
            method, found = self._embedding_of(asked, model)
        except CannotSay as error:
            return Failure(FailureKind.UNSUPPORTED, str(error), param="input")
        return self._prepared(model, method, found, left)

    def completion(self, body: bytes, *, model: str | None = None, stamp: Stamp = UNSTAMPED) -> Completion | Failure:
        return read_answer(body, self._errors, model, stamp)

    def embedding(self, body: bytes, *, base64: bool, model: str | None = None) -> Embedding | Failure:
        try:
            reply = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise Malformed("the upstream's answer is not JSON") from error
        if type(reply) is list and len(reply) == 1:
            reply = reply[0]
        if type(reply) is not dict:
            raise Malformed("the upstream's answer is not a JSON object")
        if reply.get("error"):
            return self._errors.in_stream(reply)
        vectors, usage = vectors_of(reply)
        return embedding(vectors, base64=base64, model=self._target.model, reply=model, usage=usage)

    def decoder(self, *, wants_usage: bool, model: str | None = None, stamp: Stamp = UNSTAMPED) -> Decoder:
        return GeminiDecoder(self._errors, stamp, wants_usage=wants_usage, model=model)

    def failure(self, status: int, headers: Headers, body: bytes) -> Failure:
        return self._errors.failure(status, headers, body)

    def _embedding_of(self, asked: Mapping[str, Any], model: str) -> tuple[str, Written]:
        return "batchEmbedContents", batch_body(asked, model)

    def _prepared(self, model: str, method: str, found: Written, left: set[str]) -> Prepared:
        made = self._heads[method] if self._target.model else self._head(model, method)
        dropped = tuple(sorted({*found.dropped, *left})) if left else found.dropped
        return Prepared(HttpCall(made, orjson.dumps(found.body)), dropped, found.unsupported)

    def _head(self, model: str, method: str) -> bytes:
        """The key stands in a header, never in the address: those get into logs."""
        where = self._where
        streams = method == "streamGenerateContent"
        if streams:
            where = where._replace(query="alt=sse" + (f"&{where.query}" if where.query else ""))
        line = f"POST {where.target(f'{self._place(in_path(model))}:{method}')} HTTP/1.1"
        accept = standard("text/event-stream" if streams else "application/json")
        return head(line, where.authority, accept, *self._more)

    def _named(self, model: str) -> str:
        return self._target.model or model.removeprefix(self._prefix)

    def _adapted(self, asked: Mapping[str, Any]) -> tuple[Mapping[str, Any], set[str]]:
        """The request with what the operator set for this target, and what he wants left out of it."""
        target = self._target
        if not (target.defaults or target.overrides or target.drop):
            return asked, set()
        body = {**target.defaults, **asked, **target.overrides}
        left = set(target.drop.intersection(body))
        for name in left:
            del body[name]
        return body, left
