"""Providers that go on with an answer at another place than they begin one (DeepSeek's /beta)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from proxy.backends.head import Address
from proxy.backends.openai import credentials, heads
from proxy.backends.openai_completions import CompletionsDialect
from proxy.backends.openai_spec import OpenAICompatible
from proxy.config.values import Backend
from proxy.core.call import HttpCall
from proxy.core.chat import ChatRequest
from proxy.core.dialect import Prepared
from proxy.core.failure import Failure
from proxy.core.route import Target


class PrefixDialect(CompletionsDialect):
    """One target at such a provider; see `proxy.core.dialect.Dialect`."""

    __slots__ = ("_prefix_heads",)

    def __init__(self, spec: OpenAICompatible, where: Address, backend: Backend, target: Target) -> None:
        """Raises `ValueError` where a header or the key cannot be sent."""
        super().__init__(spec, where, backend, target)
        self._prefix_heads = heads(where._replace(path=""), spec.prefill_path, credentials(spec, backend, target))

    def chat(self, request: ChatRequest) -> Prepared | Failure:
        prepared = super().chat(request)
        if isinstance(prepared, Failure) or not _goes_on(request.body):
            return prepared
        return prepared._replace(call=HttpCall(self._prefix_heads[request.stream], prepared.call.body))


def _goes_on(body: Mapping[str, Any]) -> bool:
    messages = body.get("messages")
    last = messages[-1] if isinstance(messages, list) and messages else None
    return isinstance(last, dict) and bool(last.get("prefix"))
