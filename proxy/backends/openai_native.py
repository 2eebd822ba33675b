"""OpenAI's dialect at servers that speak another of its APIs too: what came in it is handed on as it is."""

from __future__ import annotations

from abc import abstractmethod

from proxy.backends.openai import OpenAIDialect
from proxy.core.chat import ChatRequest, Completion, Native
from proxy.core.dialect import UNSTAMPED, Decoder, Prepared, Stamp
from proxy.core.failure import Failure


class NativeDialect(OpenAIDialect):
    """See `proxy.core.dialect.Dialect`. Who inherits says which API that is (`speaks`), and how it is spoken."""

    __slots__ = ()

    def chat(self, request: ChatRequest) -> Prepared | Failure:
        native = request.native
        return self._native(request, native) if native and native.api in self.speaks else super().chat(request)

    def completion(self, body: bytes, *, model: str | None = None, stamp: Stamp = UNSTAMPED) -> Completion | Failure:
        return self._native_answer(body, model) if stamp.native else super().completion(body, model=model)

    def decoder(self, *, wants_usage: bool, model: str | None = None, stamp: Stamp = UNSTAMPED) -> Decoder:
        if stamp.native:
            return self._native_decoder(wants_usage=wants_usage, model=model)
        return super().decoder(wants_usage=wants_usage, model=model)

    @abstractmethod
    def _native(self, request: ChatRequest, native: Native) -> Prepared | Failure:
        """The call for a request in that API."""

    @abstractmethod
    def _native_answer(self, body: bytes, model: str | None) -> Completion | Failure:
        """A whole answer in it. Raises `Malformed`."""

    @abstractmethod
    def _native_decoder(self, *, wants_usage: bool, model: str | None) -> Decoder:
        """For a stream in it."""
