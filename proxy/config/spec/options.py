"""What a backend may say besides, by its type. A type that is not here has nothing of its own."""

from __future__ import annotations

from collections.abc import Mapping

from proxy.config.extensions import extension
from proxy.config.kinds import BACKEND_TYPES
from proxy.config.spec.options_anthropic import ANTHROPIC
from proxy.config.spec.options_azure import AZURE
from proxy.config.spec.options_bedrock import BEDROCK
from proxy.config.spec.options_gemini import GEMINI
from proxy.config.spec.options_lmstudio import LMSTUDIO
from proxy.config.spec.options_ollama import OLLAMA
from proxy.config.spec.options_openrouter import OPENROUTER
from proxy.config.spec.options_tokens import with_tokens
from proxy.config.spec.options_vertex import VERTEX
from proxy.config.spec.shapes import Key

_OWN: Mapping[str, tuple[Key, ...]] = {
    "anthropic": ANTHROPIC,
    "azure": AZURE,
    "bedrock": BEDROCK,
    "gemini": GEMINI,
    "lmstudio": LMSTUDIO,
    "ollama": OLLAMA,
    "openrouter": OPENROUTER,
    "vertex": VERTEX,
}
OPTIONS: Mapping[str, tuple[Key, ...]] = with_tokens(_OWN)
"""The keys stand on the backend itself, and reach its dialect as `Backend.options`."""


def options_of(type_: str) -> tuple[Key, ...]:
    """Those of a type, also of one that another package brings."""
    known = OPTIONS.get(type_)
    if known is not None:
        return known
    brought = extension(type_) if type_ not in BACKEND_TYPES else None
    return () if brought is None else brought.options
