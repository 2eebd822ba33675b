"""Callers' keys by their names, read where no server runs: those of a configuration, and those in its database."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from proxy.config.values import Config
from proxy.core.key import Key
from proxy.state import keys


def keys_of(config: Config) -> Mapping[str, Key]:
    """What the newest secret of each may do; a key of the configuration goes before one of that name in the database.
    Raises `sqlite3.Error` where that cannot be read, `ValueError` where a newer Wayline wrote it."""
    known: dict[str, Key] = {}
    if config.state is not None and Path(config.state).is_file():
        address = f"{Path(config.state).absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(address, uri=True, timeout=5.0)) as db:
            known = {row.key.name: row.key for row in keys.rows(db)}
    return {**known, **{one.name: one.key for one in config.keys}}
