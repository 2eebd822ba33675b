"""What a backend may say besides, by its type. A type that is not here has nothing of its own."""

from __future__ import annotations

from collections.abc import Mapping

from proxy.config.spec.shapes import Key

OPTIONS: Mapping[str, tuple[Key, ...]] = {}
"""The keys stand on the backend itself, and reach its dialect as `Backend.options`."""
