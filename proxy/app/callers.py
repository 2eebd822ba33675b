"""All callers' keys: those of the configuration in force, and those that come and go in the database."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from proxy.config.values import CallerKey
from proxy.core.key import ANYONE, Key
from proxy.engine.engine import Engine
from proxy.state.key_table import KeyTable

NOTED_EVERY = 60.0
"""Seconds between two times that it is put on record which keys were seen."""


class Callers:
    """By name. A key of the configuration goes before one of that name in the database."""

    def __init__(self, engine: Engine, table: KeyTable | None) -> None:
        self.table = table
        self.on_change: list[Callable[[], None]] = []
        """Told when a key may do something else than before, or a new one is there."""
        self._engine = engine
        self._own: dict[str, Key] = {}
        self._noted = time.monotonic()
        if table is not None:
            table.on_change = lambda _: self._changed()

    def of(self, name: str) -> Key:
        """The key of that name."""
        key = self._own.get(name)
        if key is None and self.table is not None:
            key = self.table.by_name.get(name)
        return ANYONE if key is None else key

    def all(self) -> Iterable[Key]:
        """Each of them once."""
        known = {} if self.table is None else self.table.by_name
        return {**known, **self._own}.values()

    def adopt(self, keys: Iterable[CallerKey]) -> None:
        """The keys of the configuration that is in force from now on."""
        self._own = {one.name: one.key for one in keys}
        self._changed()

    def refresh(self) -> None:
        """To be called about once a second: see what changed in the database, and put on record which were seen."""
        if self.table is None:
            return
        self.table.refresh()
        now = time.monotonic()
        if now - self._noted >= NOTED_EVERY:
            self._noted = now
            self.table.note_use(time.time())

    def close(self) -> None:
        """Put on record which were seen."""
        if self.table is not None:
            self.table.note_use(time.time())

    def _changed(self) -> None:
        self._engine.key_tags = {key.name: key.tags for key in self.all() if key.tags}
        for tell in self.on_change:
            tell()
