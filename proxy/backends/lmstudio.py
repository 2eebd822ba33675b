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

SPEC = OpenAICompatible(base_url="http://127.0.0.1:1234/v1", default_path="/v1")
LOADING = "the backend is still loading the model"
_UNLOADED = (b"model is unloaded", b"model unloaded", b"model has been unloaded", b"model is loading")
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
        page = status in (500, 502, 503) and text.startswith(b"<")
        if page or any(words in text for words in _UNLOADED):
            return failure._replace(kind=FailureKind.LOADING, message=LOADING)
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
