"""The latest requests on record, each in a line: `recent(path, limit, …) -> tuple[Brief, ...]`."""

from __future__ import annotations

import sqlite3
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from proxy.core.outcome import How
from proxy.ledger.why import reading, tags_of

MOST = 1000
_LOOKED_AT = 64
"""Rows that are looked at for each request that is wanted, at most."""


class Which(NamedTuple):
    """Only such requests; what is empty is not asked for."""

    route: str = ""
    key: str = ""
    agent: str = ""
    tag: str = ""
    ended: str = ""
    """`served`, `failed`, `cut` or `cancelled`."""
    before: float | None = None
    """Came in before this Unix time, for the next page."""


ANY = Which()


@dataclass(frozen=True, slots=True)
class Brief:
    """One request."""

    request_id: str
    started_at: float
    """Unix time in seconds."""
    route: str
    key: str
    agent: str
    tags: tuple[str, ...]
    endpoint: str
    target: str
    """The one that served, or the last one tried; empty when none was."""
    attempts: int
    ended: str | None
    """`None`: no end is on record. It is still on its way, or its server was killed."""
    failure: str | None
    status: int | None
    duration: float | None
    """Seconds."""
    cost: Decimal | None
    """US dollars, as far as it is known; `None`: nothing is."""

    def as_json(self) -> dict[str, Any]:
        """For programs; the cost is decimal text."""
        cost = None if self.cost is None else format(self.cost, "f")
        time = datetime.fromtimestamp(self.started_at, UTC).isoformat()
        return asdict(self) | {"cost": cost, "time": time}


def recent(path: str | Path, limit: int = 50, which: Which = ANY) -> tuple[Brief, ...]:
    """The latest ones first, 1,000 at most. Raises `LedgerError`.

    With rare words in `which` only the latest requests are looked through, not the whole ledger.
    """
    limit = max(1, min(limit, MOST))
    with reading(path) as connection:
        found = [*_by_attempts(connection, limit, which), *_by_end(connection, limit, which)]
    briefs: dict[tuple[str, float], Brief] = {}
    for one in found:  # what was told of the end comes last and knows more
        same = (one.request_id, one.started_at)
        briefs[same] = _joined(briefs.get(same), one)
    latest = sorted(briefs.values(), key=lambda one: one.started_at, reverse=True)
    return tuple(one for one in latest if not which.ended or one.ended == which.ended)[:limit]


def _by_attempts(connection: sqlite3.Connection, limit: int, which: Which) -> list[Brief]:
    where, values = _where(which)
    rows = connection.execute(
        "SELECT request_id, started_at, route, key, agent, tags, endpoint, target, ended, last, cost, attempt, how "
        f"FROM attempts {where} ORDER BY id DESC LIMIT ?",
        (*values, _span(limit, which)),
    )
    found: dict[tuple[str, float], Brief] = {}
    for request_id, came, route, key, agent, tags, endpoint, target, ended, last, cost, attempt, how in rows:
        served = ended == "served" and how != How.SPARE.value
        # fmt: off
        one = Brief(
            request_id, came, route, key or "", agent or "", tags_of(tags), endpoint or "chat", target, attempt,
            "served" if served else None, None, 200 if served else None, last if served else None,
            None if cost is None else Decimal(cost),
        )
        # fmt: on
        before = found.get((request_id, came))
        found[request_id, came] = one if before is None else _with(before, one)
    return list(found.values())


def _with(later: Brief, one: Brief) -> Brief:
    """An attempt of the same request that ended earlier."""
    cost = one.cost if later.cost is None else later.cost if one.cost is None else later.cost + one.cost
    known = max(later, one, key=lambda each: (each.ended is not None, each.attempts))  # whoever served answered it
    return Brief(**asdict(known) | {"cost": cost, "attempts": max(later.attempts, one.attempts)})


def _by_end(connection: sqlite3.Connection, limit: int, which: Which) -> list[Brief]:
    where, values = _where(which)
    rows = connection.execute(
        "SELECT request_id, started_at, route, key, agent, tags, endpoint, attempts, ended, failure, status, duration "
        f"FROM requests {where} ORDER BY id DESC LIMIT ?",
        (*values, _span(limit, which)),
    )
    return [
        Brief(rid, came, route, key, agent or "", tags_of(tags), way, "", count, ended, failure, status, took, None)
        for rid, came, route, key, agent, tags, way, count, ended, failure, status, took in rows
    ]


def _joined(known: Brief | None, end: Brief) -> Brief:
    if known is None:
        return end
    return Brief(**asdict(end) | {"target": known.target, "cost": known.cost})


def _span(limit: int, which: Which) -> int:
    return limit * (_LOOKED_AT if which.ended else 8)


def _where(which: Which) -> tuple[str, list[object]]:
    parts, values = ["1"], list[object]()
    for column in ("route", "key", "agent"):
        word = getattr(which, column)
        if word:
            parts.append(f"{column} = ?")
            values.append(word)
    if which.tag:
        parts.append("EXISTS (SELECT 1 FROM json_each(tags) WHERE value = ?)")
        values.append(which.tag)
    if which.before is not None:
        parts.append("started_at < ?")
        values.append(which.before)
    return "WHERE " + " AND ".join(parts), values
