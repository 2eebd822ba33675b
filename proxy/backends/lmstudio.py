"""LM Studio: OpenAI's dialect, with a model that is loaded at the first request for it.

While it loads, LM Studio may answer 500 with an HTML page; a model that was unloaded between two requests is loaded by
the next one. `ttl` (seconds unused until a model loaded so is unloaded) is a field of the request:
https://lmstudio.ai/docs/api/ttl-and-auto-evict (read 2026-11-21).
"""

from __future__ import annotations

from proxy.backends.head import Address, address
from proxy.backends.openai import OpenAIDialect
from proxy.backends.openai_spec import OpenAICompatible
from proxy.config.values import Backend
from proxy.core.call import Headers, Origin
from proxy.core.chat import ChatRequest, EmbedRequest
from proxy.core.dialect import Prepared
from proxy.core.failure import Failure, FailureKind
from proxy.core.route import Target

SPEC = OpenAICompatible(base_url="http://127.0.0.1:1234/v1", default_path="/v1", relays={})
K = FailureKind
_TEXTS = (
    (b"no models loaded", K.NOT_FOUND, "the backend has no model loaded, and does not load one on demand"),
    (b"failed to load model", K.SERVER_ERROR, "the backend could not load the model"),
    (b"model is unloaded", K.LOADING, "the backend is still loading the model"),
    (b"model unloaded", K.LOADING, "the backend is still loading the model"),
)
"""What LM Studio answers with 400 or 404, as if the request were at fault (lmstudio-bug-tracker 417, 1492, 1730)."""
_PAGE = frozenset({500, 502, 503})
_MAX_LOOK = 4096
"""Bytes of an error that are looked at."""


class LMStudioDialect(OpenAIDialect):
    """One model of an LM Studio; see `proxy.core.dialect.Dialect`."""

    __slots__ = ("_ttl",)

    def __init__(self, where: Address, backend: Backend, target: Target) -> None:
        """Raises `ValueError` where a header or the key cannot be sent."""
        super().__init__(SPEC, where, backend, target)
        ttl = backend.options.get("ttl")
        self._ttl = None if ttl is None else max(round(ttl), 1)

    def chat(self, request: ChatRequest) -> Prepared | Failure:
        if self._ttl is not None:
            request = request._replace(body={"ttl": self._ttl, **request.body})
        return super().chat(request)

    def embed(self, request: EmbedRequest) -> Prepared | Failure:
        if self._ttl is not None:
            request = request._replace(body={"ttl": self._ttl, **request.body})
        return super().embed(request)

    def failure(self, status: int, headers: Headers, body: bytes) -> Failure:
        failure = super().failure(status, headers, body)
        text = body[:_MAX_LOOK].lstrip().lower()
        if status in _PAGE and text.startswith(b"<"):
            return failure._replace(kind=K.LOADING, message="the backend is still loading the model")
        for words, kind, message in _TEXTS:
            if words in text:
                return failure._replace(kind=kind, message=message)
        return failure


def lmstudio_address(base_url: str) -> Address:
    """Where its OpenAI-compatible door is. Raises `ValueError` as `address` does."""
    found = address(base_url or SPEC.base_url)
    return found._replace(path=found.path or SPEC.default_path)


def bind(backend: Backend, target: Target) -> LMStudioDialect:
    """See `proxy.backends.registry.bind`."""
    return LMStudioDialect(lmstudio_address(backend.base_url), backend, target)


def origin(backend: Backend) -> Origin:
    """See `proxy.backends.registry.origin`."""
    return lmstudio_address(backend.base_url).origin
