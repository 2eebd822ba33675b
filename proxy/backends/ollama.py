"""Ollama's own API: `/api/chat` and `/api/embed`, which take what its OpenAI-compatible door does not (`num_ctx`,
`keep_alive`, `think`) and say what that one hides.

Source: Ollama's docs/api.md and OpenAPI of 2026, and its server's code where those are silent (0.12 to 0.33).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from proxy.backends.chunks import completion
from proxy.backends.head import Address, address, head, standard, to_hide
from proxy.backends.ollama_embed import embed_body, read_embedding
from proxy.backends.ollama_errors import OllamaErrors
from proxy.backends.ollama_reply import FINISHES, calls_of, logprobs_of, message_of, text_of, truncated, usage_of
from proxy.backends.ollama_request import Asked, written
from proxy.backends.ollama_stream import OllamaDecoder
from proxy.backends.reading import json_object
from proxy.config.values import Backend
from proxy.core.call import Headers, HttpCall, Origin
from proxy.core.chat import ChatRequest, Completion, Embedding, EmbedRequest
from proxy.core.dialect import UNSTAMPED, Decoder, Malformed, Prefill, Prepared, Stamp
from proxy.core.failure import Failure
from proxy.core.route import Target
from proxy.core.secret import Secret

BASE_URL = "http://127.0.0.1:11434"
CONTINUES = Prefill(body={"think": False})
"""A chat that ends in the assistant's words is continued, and the answer holds only what is new (ollama#6778, its
maintainers: "this can be done today"). A model that thinks would begin to think anew in the middle of its answer."""
_DOORS = ("/v1", "/api")
"""What a base URL may end in: the OpenAI-compatible door, and the root of the API as Ollama's docs name it."""


def ollama_address(base_url: str) -> Address:
    """Where the API is. Raises `ValueError` as `address` does."""
    found = address(base_url or BASE_URL)
    for door in _DOORS:
        if found.path.endswith(door):
            return found._replace(path=found.path.removesuffix(door))
    return found


def bind(backend: Backend, target: Target) -> OllamaDialect:
    """See `proxy.backends.registry.bind`."""
    return OllamaDialect(ollama_address(backend.base_url), backend, target)


def origin(backend: Backend) -> Origin:
    """See `proxy.backends.registry.origin`."""
    return ollama_address(backend.base_url).origin


class OllamaDialect:
    """One model of an Ollama; see `proxy.core.dialect.Dialect`.

    Not `repeatable`: a seed makes the same request give the same bytes only where nothing of the prompt was cached,
    and Ollama always caches.
    """

    speaks: frozenset[str] = frozenset()
    translates = True
    stream_type = b"ndjson"
    repeatable = False

    __slots__ = ("_embed_head", "_errors", "_head", "_model", "_own", "_prefix", "_stream_head", "_target", "prefill")

    def __init__(self, where: Address, backend: Backend, target: Target) -> None:
        """Raises `ValueError` where a header or the key cannot be sent."""
        self._target = target
        self._model = target.model
        self._prefix = f"{backend.name}/"
        self._own = _asked(backend.options)
        self.prefill = None if target.prefill is False else CONTINUES
        key = {"Authorization": Secret(f"Bearer {backend.api_key.reveal()}")} if backend.api_key else {}
        more: tuple[Mapping[str, str | Secret], ...] = (key, backend.headers, target.headers)
        chat = f"POST {where.target('/api/chat')} HTTP/1.1"
        embed = f"POST {where.target('/api/embed')} HTTP/1.1"
        self._head = head(chat, where.authority, standard("application/json"), *more)
        self._stream_head = head(chat, where.authority, standard("application/x-ndjson"), *more)
        self._embed_head = head(embed, where.authority, standard("application/json"), *more)
        self._errors = OllamaErrors(to_hide(where, backend, target))

    def __repr__(self) -> str:
        return f"OllamaDialect({self._target.name!r})"

    def chat(self, request: ChatRequest) -> Prepared | Failure:
        asked, left = self._adapted(request.body)
        found = written(asked, self._named(request.model), request.stream, self._own)
        if isinstance(found, Failure):
            return found
        call = HttpCall(self._stream_head if request.stream else self._head, orjson.dumps(found.body))
        return Prepared(call, tuple(sorted({*found.dropped, *left})), found.unsupported)

    def embed(self, request: EmbedRequest) -> Prepared | Failure:
        asked, left = self._adapted(request.body)
        found = embed_body(asked, self._named(request.model), self._own)
        if isinstance(found, Failure):
            return found
        call = HttpCall(self._embed_head, orjson.dumps(found.body))
        return Prepared(call, tuple(sorted({*found.dropped, *left})), found.unsupported)

    def completion(self, body: bytes, *, model: str | None = None, stamp: Stamp = UNSTAMPED) -> Completion | Failure:
        reply = json_object(body)
        if reply.get("error"):
            return self._errors.in_stream(reply)
        message = message_of(reply)
        if message is None:
            raise Malformed("the upstream's answer holds no message")
        if reply.get("done") is False:
            raise Malformed("the upstream's answer is not complete")
        usage = usage_of(reply)
        cut = truncated(usage, stamp, self._own)
        if cut is not None:
            return cut
        calls = calls_of(message, stamp, 0)
        reason = FINISHES.get(str(reply.get("done_reason")), "stop")
        name = reply.get("model")
        return completion(
            stamp,
            model=name if type(name) is str else "",
            reply=model,
            text=text_of(message, "content"),
            finish="tool_calls" if calls and reason == "stop" else reason,
            usage=usage,
            tools=calls,
            reasoning=text_of(message, "thinking"),
            logprobs=logprobs_of(reply),
        )

    def embedding(self, body: bytes, *, base64: bool, model: str | None = None) -> Embedding | Failure:
        reply = json_object(body)
        if reply.get("error"):
            return self._errors.in_stream(reply)
        return read_embedding(reply, base64=base64, model=model)

    def decoder(self, *, wants_usage: bool, model: str | None = None, stamp: Stamp = UNSTAMPED) -> Decoder:
        return OllamaDecoder(self._errors, self._own, stamp, wants_usage=wants_usage, model=model)

    def failure(self, status: int, headers: Headers, body: bytes) -> Failure:
        return self._errors.failure(status, headers, body)

    def _named(self, model: str) -> str:
        return self._model or model.removeprefix(self._prefix)

    def _adapted(self, asked: Mapping[str, Any]) -> tuple[Mapping[str, Any], frozenset[str]]:
        """The request with what the operator set for this target, and what he wants left out of it."""
        target = self._target
        if not (target.defaults or target.overrides or target.drop):
            return asked, frozenset()
        body = {**target.defaults, **asked, **target.overrides}
        left = target.drop.intersection(body)
        for name in left:
            del body[name]
        return body, left


def _asked(options: Mapping[str, Any]) -> Asked:
    stay = options.get("keep_alive")
    # A text: Ollama's OpenAPI wants one for embeddings, and Go's parser a unit in it. Below zero: for ever.
    keep_alive = None if stay is None else f"{stay:g}s"
    return Asked(options.get("num_ctx"), keep_alive, options.get("think"), bool(options.get("truncate")))
