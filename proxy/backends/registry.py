"""The backend types there are: an explicit table, no discovery."""

from __future__ import annotations

from collections.abc import Mapping

from proxy.backends.head import Address, address
from proxy.backends.llamacpp import LlamaDialect
from proxy.backends.openai import OpenAICompatible, OpenAIDialect
from proxy.config.values import Backend
from proxy.core.call import Origin
from proxy.core.dialect import Dialect, Prefill
from proxy.core.route import Target

SPECS: Mapping[str, OpenAICompatible] = {
    "openai": OpenAICompatible(base_url="https://api.openai.com/v1"),
    "ollama": OpenAICompatible(base_url="http://127.0.0.1:11434/v1", default_path="/v1"),
    "llamacpp": OpenAICompatible(base_url="http://local/v1", own_queue=True, prefill=Prefill(), repeatable=True),
}
"""Backend types, by the name that stands in the configuration."""

TYPES = frozenset(SPECS)


def bind(backend: Backend, target: Target) -> Dialect:
    """The dialect of one target, with its address, key and parameters.

    A target with an empty model serves whichever model a request names, without the `backend/` before it.
    Raises `ValueError` for an unknown type, a base URL that cannot be used or a header that cannot be sent.
    """
    spec = _spec(backend)
    kind = LlamaDialect if backend.type == "llamacpp" and not backend.base_url else OpenAIDialect
    return kind(spec, _address(spec, backend), backend, target)


def origin(backend: Backend) -> Origin:
    """Where a network backend is. Raises `ValueError` as `bind` does. (A local model's place says where it is.)"""
    return _address(_spec(backend), backend).origin


def _spec(backend: Backend) -> OpenAICompatible:
    spec = SPECS.get(backend.type)
    if spec is None:
        raise ValueError(f"{backend.type!r} is not a backend type; there are {', '.join(sorted(SPECS))}")
    return spec


def _address(spec: OpenAICompatible, backend: Backend) -> Address:
    found = address(backend.base_url or spec.base_url)
    return found._replace(path=found.path or spec.default_path)
