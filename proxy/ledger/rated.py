"""Which target answered a request, for whoever rates it afterwards."""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

from proxy.core.outcome import How
from proxy.ledger.why import PATIENCE, reading

_LOOK_AGAIN = 0.1


class Answered(NamedTuple):
    """One request, by the last attempt whose answer went to its client."""

    route: str
    target: str


def answered(path: str | Path, request_id: str, key: str, since: float) -> Answered | None:
    """The latest request of that id and that caller's key since that Unix time. Raises `LedgerError`.

    It waits a moment where there is none: a running server may be about to write it.
    """
    until = time.monotonic() + PATIENCE
    while True:
        with reading(path) as connection:
            row = connection.execute(
                "SELECT route, target FROM attempts WHERE started_at >= ? AND request_id = ? AND COALESCE(key, '') = ? "
                f"AND ended IN ('served', 'cut') AND COALESCE(how, '') <> '{How.SPARE.value}' ORDER BY id DESC LIMIT 1",
                (since, request_id, key),
            ).fetchone()
        if row is not None:
            return Answered(*row)
        if time.monotonic() >= until:
            return None
        time.sleep(_LOOK_AGAIN)
