"""The backend types there are: an explicit table; what other packages bring is asked for by its name alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from proxy.backends import anthropic, azure, bedrock, gemini, lmstudio, ollama, openrouter, vertex
from proxy.backends.head import Address, address
from proxy.backends.llamacpp import LlamaDialect
from proxy.backends.openai import OpenAIDialect
from proxy.backends.openai_completions import CompletionsDialect, is_text_model
from proxy.backends.openai_prefix import PrefixDialect
from proxy.backends.openai_responses import ResponsesDialect
from proxy.backends.openai_spec import OpenAICompatible
from proxy.backends.providers import CLOUD, OPENAI
from proxy.backends.servers import OWN
from proxy.config.extensions import Extension, extension
from proxy.config.kinds import BACKEND_TYPES
from proxy.config.values import Backend
from proxy.core.call import Origin
from proxy.core.dialect import Dialect, Prefill
from proxy.core.route import Target


class Provider(NamedTuple):
    """A backend type: how its targets are bound to their dialect, and where one of its backends is. Both raise
    `ValueError` for what cannot be used."""

    bind: Callable[[Backend, Target], Dialect]
    origin: Callable[[Backend], Origin]


NATIVE: Mapping[str, Provider] = {
    "anthropic": Provider(anthropic.bind, anthropic.origin),
    "azure": Provider(azure.bind, azure.origin),
    "bedrock": Provider(bedrock.bind, bedrock.origin),
    "gemini": Provider(gemini.bind, gemini.origin),
    "lmstudio": Provider(lmstudio.bind, lmstudio.origin),
    "ollama": Provider(ollama.bind, ollama.origin),
    "openrouter": Provider(openrouter.bind, openrouter.origin),
    "vertex": Provider(vertex.bind, vertex.origin),
}
"""Types with a dialect of their own."""

SPECS: Mapping[str, OpenAICompatible] = {
    "openai": OPENAI,
    "llamacpp": OpenAICompatible(base_url="http://local/v1", own_queue=True, prefill=Prefill(), repeatable=True),
    **CLOUD,
    **OWN,
}
"""Types that speak OpenAI's dialect, as data."""

TYPES = frozenset(SPECS) | frozenset(NATIVE)


def bind(backend: Backend, target: Target) -> Dialect:
    """The dialect of one target, with its address, key and parameters.

    A target with an empty model serves whichever model a request names, without the `backend/` before it.
    Raises `ValueError` for an unknown type, a base URL that cannot be used or a header that cannot be sent.
    """
    native = NATIVE.get(backend.type) or _brought(backend.type)
    if native is not None:
        return native.bind(backend, target)
    spec = _spec(backend)
    where = _address(spec, backend)
    return _kind(spec, where, backend, target)(spec, where, backend, target)


def origin(backend: Backend) -> Origin:
    """Where a network backend is. Raises `ValueError` as `bind` does. (A local model's place says where it is.)"""
    native = NATIVE.get(backend.type) or _brought(backend.type)
    return native.origin(backend) if native is not None else _address(_spec(backend), backend).origin


def _brought(type_: str) -> Extension | None:
    """A type of another package."""
    return None if type_ in SPECS else extension(type_)


def _kind(spec: OpenAICompatible, where: Address, backend: Backend, target: Target) -> type[OpenAIDialect]:
    if backend.type == "llamacpp" and not backend.base_url:
        return LlamaDialect
    if "responses" in spec.speaks and spec.at_home(where.origin.host) and not is_text_model(target.model):
        return ResponsesDialect
    if spec.prefill_path:
        return PrefixDialect
    return CompletionsDialect if "completions" in spec.speaks else OpenAIDialect


def _spec(backend: Backend) -> OpenAICompatible:
    spec = SPECS.get(backend.type)
    if spec is None:
        raise ValueError(f"{backend.type!r} is not a backend type; there are {', '.join(sorted(TYPES))}")
    return spec


def _address(spec: OpenAICompatible, backend: Backend) -> Address:
    found = address(backend.base_url or spec.base_url or BACKEND_TYPES[backend.type].base_url or "")
    return found._replace(path=found.path or spec.default_path)
