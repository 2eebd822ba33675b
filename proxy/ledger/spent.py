"""What is on record as spent, for budgets: by whose money it was."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import closing
from math import inf
from pathlib import Path

import orjson

from proxy.core.money.budget import UNIT, Owned, Per, Scope, period
from proxy.ledger.recover import recover
from proxy.ledger.schema import open_database

LONGEST = 24 * 3600.0
"""Seconds after a request came in within which its last attempt is sent."""
_COST = f"CAST(round(cost * {UNIT}.0) AS INTEGER)"
"""Of one attempt, in whole parts of a dollar."""
_SPAN = "cost IS NOT NULL AND started_at >= ? AND started_at + sent >= ? AND started_at + sent < ?"
_COLUMNS = {Scope.KEY: "key", Scope.ROUTE: "route", Scope.BACKEND: "backend"}
_SUM = f"SELECT key, route, backend, tags, sum({_COST}) FROM attempts WHERE {_SPAN} GROUP BY key, route, backend, tags"


def spent(path: str | Path, pers: Iterable[Per], now: float, before: float = inf) -> Mapping[Owned, int]:
    """In the periods of this moment (Unix time), of attempts that were sent before another: what those killed processes
    left behind counts too. Nothing where there is no ledger yet. Raises `LedgerError`, `sqlite3.Error`, `OSError`.
    """
    path = Path(path).absolute()
    found: dict[Owned, int] = {}
    if not path.is_file():
        return found
    recover(path)
    with closing(open_database(path, busy=5.0)) as db:
        for per in pers:
            begins = period(per, now)[0]
            for key, route, backend, tags, cost in db.execute(_SUM, (begins - LONGEST, begins, before)):
                for owned in _owners(per, key or "", route, backend, tags):
                    found[owned] = found.get(owned, 0) + cost
    return found


def spent_of(path: str | Path, owned: Owned, at: float) -> int:
    """Of one budget, in the period of a moment, of attempts that were sent before it. Raises as `spent`."""
    column, name = _COLUMNS.get(owned.scope), owned.name
    one = f"SELECT coalesce(sum({_COST}), 0) FROM attempts WHERE {_SPAN}"
    if column is not None:
        one += f" AND {column} = ?"
    elif owned.scope is Scope.TAG:
        one += " AND tags IS NOT NULL AND EXISTS (SELECT 1 FROM json_each(tags) WHERE value = ?)"
    begins = period(owned.per, at)[0]
    values = (begins - LONGEST, begins, at) if owned.scope is Scope.ALL else (begins - LONGEST, begins, at, name)
    with closing(open_database(Path(path).absolute(), busy=5.0)) as db:
        return int(db.execute(one, values).fetchone()[0])


def _owners(per: Per, key: str, route: str, backend: str, tags: str | None) -> list[Owned]:
    named = [(Scope.ALL, ""), (Scope.KEY, key), (Scope.ROUTE, route), (Scope.BACKEND, backend)]
    named += [(Scope.TAG, tag) for tag in (orjson.loads(tags) if tags else ())]
    return [Owned(scope, name, per) for scope, name in named]
