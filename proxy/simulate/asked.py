"""What the ledger tells of requests besides their attempts: what they asked for, and those that were never sent on."""

from __future__ import annotations

import sqlite3
from typing import Any, NamedTuple

import orjson

from proxy.core.choice.wish import NONE, Unclear, Wish, wish_of
from proxy.core.failure import FailureKind

TABLE = "requests"
_COLUMNS = "request_id, started_at, route, key, stream, endpoint, agent, tags, ended, failure, duration, attempts, more"
NOT_FOR_THEIR_OWN_SAKE = frozenset(
    {kind.value for kind in FailureKind}
    - {kind.value for kind in (FailureKind.CONTEXT_LENGTH, FailureKind.UNSUPPORTED, FailureKind.BAD_REQUEST)}
    - {FailureKind.FILTERED.value}
)
"""Why a request was refused that might have been served another time, or by others."""
_UNPAID = frozenset({FailureKind.BUDGET.value, FailureKind.UNBOUNDED.value})


class Unsent(NamedTuple):
    """A request that no target was asked for."""

    of_request: tuple[Any, ...]
    """As the rows of attempts begin."""
    left: float | None
    """Seconds after which its client left; `None`: it was refused."""
    unpaid: bool = False
    """By a budget."""


class AskedFor(NamedTuple):
    """All of a span of time."""

    wishes: dict[tuple[str, float], Wish]
    """By request id and the time at which it came in."""
    unsent: list[Unsent]
    tells: bool
    """There is such a record at all."""


def asked_for(connection: sqlite3.Connection, since: float, until: float) -> AskedFor:
    """Raises `sqlite3.Error`."""
    found = AskedFor({}, [], bool(connection.execute(f"PRAGMA table_info({TABLE})").fetchall()))
    if not found.tells:
        return found
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM {TABLE} WHERE started_at >= ? AND started_at < ?", (since, until)
    )
    for *of_request, ended, failure, duration, attempts, more in rows:
        wish = NONE if more is None else _wish(more)
        if wish is not NONE:
            found.wishes[of_request[0], of_request[1]] = wish
        if attempts:
            continue
        if ended == "cancelled":
            found.unsent.append(Unsent(tuple(of_request), duration))
        elif failure in NOT_FOR_THEIR_OWN_SAKE:
            found.unsent.append(Unsent(tuple(of_request), None, failure in _UNPAID))
    return found


def _wish(more: str) -> Wish:
    said = orjson.loads(more).get("asked")
    if not said:
        return NONE
    said = {word: value for word, value in said.items() if not (isinstance(value, list) and "…" in value)}
    try:
        return wish_of(said)
    except Unclear:  # of a version that knew other words
        return NONE
