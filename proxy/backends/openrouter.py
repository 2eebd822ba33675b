"""OpenRouter: OpenAI's API with preferences among providers, charges told with each answer, and free variants.

https://openrouter.ai/docs: features/provider-routing, use-cases/usage-accounting, api/reference (as of 2026-11-21).
What fails in mid-stream comes as a chunk with a top-level `error` and `finish_reason: error` (openai_errors.py).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from proxy.backends.head import Address, address
from proxy.backends.openai import OpenAIDialect
from proxy.backends.openai_spec import Charge, Family, OpenAICompatible
from proxy.backends.openrouter_models import Unfree, free_variant
from proxy.config.kinds import BACKEND_TYPES
from proxy.config.values import Backend
from proxy.core.call import Origin
from proxy.core.chat import ChatRequest, EmbedRequest
from proxy.core.dialect import Prefill, Prepared
from proxy.core.failure import Failure, FailureKind
from proxy.core.route import Target
from proxy.core.secret import Secret

_DOCS = "https://openrouter.ai/docs/api/reference/overview"
_SEEN = "2026-11-21"

SPEC = OpenAICompatible(
    developer=True,
    prefill=Prefill(strips=True),
    families=(
        Family(  # they go on with a message that comes last
            r"anthropic/claude-(?:3|opus-4(?:\.[015])?(?![.\d])|sonnet-4(?:\.5)?(?![.\d])|haiku-4\.5)"
            r"|mistralai/|deepseek/|moonshotai/",
            "Claude up to 4.5, and those of Mistral, DeepSeek and Moonshot",
            _DOCS,
            _SEEN,
        ),
        Family(r"", "all others", _DOCS, _SEEN, prefill=False),  # others begin a new one, or refuse it
    ),
    charge=Charge(("cost",), more=("cost_details", "upstream_inference_cost")),
    limits="x-ratelimit-{limit,remaining,reset}, also in error.metadata.headers",
    source=_DOCS,
    dated=_SEEN,
)

COSTS = frozenset({"plugins", "web_search_options"})
"""Parameters that cost money whatever the model costs."""


class OpenRouterDialect(OpenAIDialect):
    """One target at OpenRouter; see `proxy.core.dialect.Dialect`."""

    __slots__ = ("_ceiling", "_free", "_provider")

    def __init__(self, where: Address, backend: Backend, target: Target) -> None:
        """Raises `ValueError` where a header or the key cannot be sent, and for a model that has no free variant."""
        options = backend.options
        named = {"HTTP-Referer": options.get("referer"), "X-Title": options.get("title")}
        self._free = bool(options.get("free_only"))
        self._provider: Any = options.get("provider")
        self._ceiling = {name: _number(value) for name, value in (options.get("max_price") or {}).items()}
        bound = _with(backend, {name: value for name, value in named.items() if value})
        spec = dataclasses.replace(SPEC, refuses=COSTS) if self._free else SPEC
        super().__init__(spec, where, bound, _free(target) if self._free and target.model else target)

    def chat(self, request: ChatRequest) -> Prepared | Failure:
        body = self._asking(request.body)
        if isinstance(body, Failure):
            return body
        return super().chat(request._replace(body=body, model=str(body["model"])))

    def embed(self, request: EmbedRequest) -> Prepared | Failure:
        body = self._asking(request.body)
        if isinstance(body, Failure):
            return body
        return super().embed(request._replace(body=body, model=str(body["model"])))

    def _asking(self, asked: Mapping[str, Any]) -> dict[str, Any] | Failure:
        """With what the operator wants of OpenRouter, and the question what it costs."""
        body = {"usage": {"include": True}, **asked}
        if self._provider is not None:
            body.setdefault("provider", self._provider)
        if self._ceiling:
            provider = body.get("provider")
            provider = provider if isinstance(provider, dict) else {}
            body["provider"] = {**provider, "max_price": _lower(provider.get("max_price"), self._ceiling)}
        if self._free:
            try:
                self._only_free(body)
            except Unfree as error:
                return Failure(FailureKind.UNSUPPORTED, str(error), param="model")
        return body

    def _only_free(self, body: dict[str, Any]) -> None:
        if not self._model:
            body["model"] = free_variant(str(body["model"]).removeprefix(self._prefix))
        others = body.get("models")
        if isinstance(others, list):  # tried in turn where the first cannot be had
            body["models"] = [free_variant(str(name)) for name in others]


def bind(backend: Backend, target: Target) -> OpenRouterDialect:
    """The dialect of one target. Raises `ValueError` for an address, a header or a model that cannot be used."""
    return OpenRouterDialect(_address(backend), backend, target)


def origin(backend: Backend) -> Origin:
    """Where it is. Raises `ValueError` as `bind` does."""
    return _address(backend).origin


def _address(backend: Backend) -> Address:
    return address(backend.base_url or BACKEND_TYPES["openrouter"].base_url or "")


def _with(backend: Backend, headers: Mapping[str, str | Secret]) -> Backend:
    """The backend with headers that its own `headers` may replace."""
    return dataclasses.replace(backend, headers={**headers, **backend.headers})


def _free(target: Target) -> Target:
    return dataclasses.replace(target, model=free_variant(target.model))


def _number(value: Decimal) -> float | int:
    """As JSON has it."""
    return int(value) if value == value.to_integral_value() else float(value)


def _lower(asked: object, ceiling: Mapping[str, float | int]) -> dict[str, Any]:
    """Of two limits the lower one, part by part."""
    both: dict[str, Any] = dict(asked) if isinstance(asked, dict) else {}
    for name, most in ceiling.items():
        theirs = both.get(name)
        lower = isinstance(theirs, int | float) and not isinstance(theirs, bool) and 0 <= theirs < most
        both[name] = theirs if lower else most
    return both
