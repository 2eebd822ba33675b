"""Where a configuration's databases are, and whether callers' keys stand in one."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from proxy.config.spec.top import LEDGER_PATH

Plain = Mapping[str, Any]


def ledger_of(ledger: Plain | bool) -> str | None:
    """The ledger's path; `None`: there is none."""
    return None if isinstance(ledger, bool) else ledger.get("path", LEDGER_PATH)


def state_of(state: Plain | bool, ledger: Plain | bool) -> str | None:
    """The path of what outlives a process besides: beside the ledger, where nothing else is said."""
    if isinstance(state, bool):
        return None
    if "path" in state:
        return str(state["path"])
    path = ledger_of(ledger)
    return None if path is None else str(Path(path).with_name(f"{Path(path).stem}-state.db"))


def keys_in(path: str | None) -> bool:
    """Callers' keys stand in this database. Changes nothing, makes nothing."""
    if path is None or not Path(path).is_file():
        return False
    with contextlib.suppress(sqlite3.Error):
        db = sqlite3.connect(f"{Path(path).absolute().as_uri()}?mode=ro", uri=True)
        with contextlib.closing(db):
            return db.execute("SELECT 1 FROM keys LIMIT 1").fetchone() is not None
    return False
