"""Dialects for the stage that lack something, or speak more than OpenAI's API."""

from __future__ import annotations

from typing import cast

import orjson
import pytest

from proxy.backends import registry
from proxy.backends.head import address
from proxy.backends.openai import OpenAIDialect
from proxy.backends.openai_spec import OpenAICompatible
from proxy.backends.registry import Provider
from proxy.config.values import Backend
from proxy.core.call import HttpCall
from proxy.core.chat import ChatRequest, Completion
from proxy.core.dialect import UNSTAMPED, Decoder, Prepared, Stamp
from proxy.core.failure import Failure, FailureKind
from proxy.core.route import Target

CANNOT = Failure(FailureKind.UNSUPPORTED, "This backend has no chat.", code="unsupported_endpoint")


class NoChat(OpenAIDialect):
    """It cannot be asked at all."""

    __slots__ = ()

    def chat(self, request: ChatRequest) -> Prepared | Failure:
        return CANNOT


class Messages(OpenAIDialect):
    """It speaks `messages` as well: such a request goes out, and its answer comes back, as it is."""

    __slots__ = ()
    translates = True
    speaks = frozenset({"messages"})

    def chat(self, request: ChatRequest) -> Prepared | Failure:
        prepared = super().chat(request._replace(native=None))
        if request.native is None or isinstance(prepared, Failure):
            return prepared
        return Prepared(HttpCall(prepared.call.head, orjson.dumps(request.native.body)))

    def completion(self, body: bytes, *, model: str | None = None, stamp: Stamp = UNSTAMPED) -> Completion | Failure:
        found = super().completion(body, model=model)
        return found._replace(raw=body) if stamp.native and isinstance(found, Completion) else found

    def decoder(self, *, wants_usage: bool, model: str | None = None, stamp: Stamp = UNSTAMPED) -> Decoder:
        assert stamp.id.startswith("chatcmpl-") and stamp.created and stamp.body["messages"]
        return super().decoder(wants_usage=wants_usage or bool(stamp.native), model=None if stamp.native else model)


def _provider(dialect: type[OpenAIDialect], spec: OpenAICompatible) -> Provider:
    def bind(backend: Backend, target: Target) -> OpenAIDialect:
        return dialect(spec, address(backend.base_url), backend, target)

    return Provider(bind, lambda backend: address(backend.base_url).origin)


def install(monkeypatch: pytest.MonkeyPatch) -> None:
    """`ollama` backends refuse `seed` and `logit_bias`, `llama-server` ones cannot be asked, `vllm` ones speak
    `messages`."""
    native = cast(dict[str, Provider], registry.NATIVE)
    refuses = OpenAICompatible(refuses=frozenset({"seed", "logit_bias"}))
    monkeypatch.setitem(native, "ollama", _provider(OpenAIDialect, refuses))
    monkeypatch.setitem(native, "llama-server", _provider(NoChat, OpenAICompatible()))
    monkeypatch.setitem(native, "vllm", _provider(Messages, OpenAICompatible()))
