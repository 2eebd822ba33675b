"""All routes of one configuration, made ready; swapped as a whole when the configuration changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from cachetools import LRUCache

from proxy.engine.lane import Road

MAX_DIRECT = 1000
"""Targets named by callers directly that are kept ready: a caller cannot make the table grow without end."""

_NONE: Mapping[str, Road] = MappingProxyType({})


class Roads:
    """Finds the road for the `model` of a request."""

    def __init__(
        self,
        by_name: Mapping[str, Road],
        direct: Callable[[str], Road | None] | None = None,
        inner: Mapping[str, Road] = _NONE,
    ) -> None:
        """`inner`: targets that the configuration itself asks, by name, and that no caller can."""
        self.by_name = by_name
        self._direct = direct
        self._inner = inner
        self._made: LRUCache[str, Road] = LRUCache(MAX_DIRECT)

    def within(self, name: str) -> Road | None:
        """The route or target of that name, for a question of Wayline's own."""
        return self.by_name.get(name) or self._inner.get(name)

    def find(self, model: str) -> Road | None:
        """The route of that name; else, where the configuration allows it, the target `backend/model` itself."""
        road = self.by_name.get(model)
        if road is not None or self._direct is None:
            return road
        road = self._made.get(model)
        if road is None:
            road = self._direct(model)
            if road is not None:
                self._made[model] = road
        return road

    def nearest(self, model: str, most: int = 10) -> list[str]:
        """Up to `most` route names, those most like `model` first."""
        from difflib import SequenceMatcher

        def likeness(name: str) -> float:
            return -SequenceMatcher(None, name, model[:100]).ratio()

        return sorted(self.by_name, key=lambda name: (likeness(name), name))[:most]
