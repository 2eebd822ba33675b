"""All callers' keys where no server runs: those of a configuration, and those in its database."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from proxy.config.values import CallerKey, Config
from proxy.core.key import Key
from proxy.state import keys


def with_keys(config: Config) -> Config:
    """The configuration with the keys that `wayline keys` made as well, each as its newest secret has it; one of the
    file goes before one of that name in the database. Nobody gets in by it. Raises `sqlite3.Error` where the database
    cannot be read, `ValueError` where a newer Wayline wrote it."""
    if config.state is None or not Path(config.state).is_file():
        return config
    address = f"{Path(config.state).absolute().as_uri()}?mode=ro"
    with closing(sqlite3.connect(address, uri=True, timeout=5.0)) as db:
        made = {row.key.name: row.key for row in keys.rows(db)}
    own = {one.name for one in config.keys}
    return replace(config, keys=(*config.keys, *(_caller(key) for name, key in made.items() if name not in own)))


def _caller(key: Key) -> CallerKey:
    name, routes, tags, owner, budgets = key.name, key.routes, key.tags, key.owner, key.budgets
    return CallerKey(name, b"", key.limits, key.weight, routes, tags, owner, None, budgets)
