"""The backend types there are: an explicit table, no discovery."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from proxy.backends import lmstudio, ollama
from proxy.backends.head import Address, address
from proxy.backends.llamacpp import LlamaDialect
from proxy.backends.openai import OpenAIDialect
from proxy.backends.openai_spec import OpenAICompatible
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
    "lmstudio": Provider(lmstudio.bind, lmstudio.origin),
    "ollama": Provider(ollama.bind, ollama.origin),
}
"""Types with a dialect of their own."""

SPECS: Mapping[str, OpenAICompatible] = {
    "openai": OpenAICompatible(base_url="https://api.openai.com/v1"),
    "llamacpp": OpenAICompatible(base_url="http://local/v1", own_queue=True, prefill=Prefill(), repeatable=True),
}
"""Types that speak OpenAI's dialect, as data."""

TYPES = frozenset(SPECS) | frozenset(NATIVE)


def bind(backend: Backend, target: Target) -> Dialect:
    """The dialect of one target, with its address, key and parameters.

    A target with an empty model serves whichever model a request names, without the `backend/` before it.
    Raises `ValueError` for an unknown type, a base URL that cannot be used or a header that cannot be sent.
    """
    native = NATIVE.get(backend.type)
    if native is not None:
        return native.bind(backend, target)
    spec = _spec(backend)
    kind = LlamaDialect if backend.type == "llamacpp" and not backend.base_url else OpenAIDialect
    return kind(spec, _address(spec, backend), backend, target)


def origin(backend: Backend) -> Origin:
    """Where a network backend is. Raises `ValueError` as `bind` does. (A local model's place says where it is.)"""
    native = NATIVE.get(backend.type)
    return native.origin(backend) if native is not None else _address(_spec(backend), backend).origin


def _spec(backend: Backend) -> OpenAICompatible:
    spec = SPECS.get(backend.type)
    if spec is None:
        raise ValueError(f"{backend.type!r} is not a backend type; there are {', '.join(sorted(TYPES))}")
    return spec


def _address(spec: OpenAICompatible, backend: Backend) -> Address:
    found = address(backend.base_url or spec.base_url)
    return found._replace(path=found.path or spec.default_path)
