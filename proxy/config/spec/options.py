"""What a backend may say besides, by its type. A type that is not here has nothing of its own."""

from __future__ import annotations

from collections.abc import Mapping

from proxy.config.spec.options_lmstudio import LMSTUDIO
from proxy.config.spec.options_ollama import OLLAMA
from proxy.config.spec.shapes import Key

OPTIONS: Mapping[str, tuple[Key, ...]] = {
    "lmstudio": LMSTUDIO,
    "ollama": OLLAMA,
}
"""The keys stand on the backend itself, and reach its dialect as `Backend.options`."""
