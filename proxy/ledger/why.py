"""Why a request went where it went, and what became of it: its attempts, and what else is on record of it.

    story(path, id) -> Story            # raises NoStory, LedgerError
    why_view.as_text(story) -> lines
    story.as_json() -> dict

`id` may be the beginning of one, where only one request's id begins so. A server may be running meanwhile.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson

from proxy.core.outcome import How
from proxy.ledger.plans import AS_WRITTEN
from proxy.ledger.recover import recover
from proxy.ledger.schema import LedgerError, check_version

PATIENCE = 0.3
"""Seconds after which the rows of a running server are in the database."""
_LOOK_AGAIN = 0.1
_NAMED = 5


class NoStory(LedgerError):
    """No request of that id is on record, or the beginning of an id is one of several."""


@dataclass(frozen=True, slots=True)
class Try:
    """One attempt. Times are seconds since the request came in."""

    attempt: int
    target: str
    backend: str
    model: str
    """As the upstream named it; empty when it said none."""
    ended: str
    failure: str | None
    status: int | None
    """The upstream's."""
    sent: float
    first_byte: float | None
    first_content: float | None
    last: float
    input: int | None
    output: int | None
    cached_input: int | None
    usage_source: str
    cost: Decimal | None
    maybe_billed: bool
    how: str


_TRY = tuple(field.name for field in fields(Try))


@dataclass(frozen=True, slots=True)
class Story:
    """One request."""

    request_id: str
    started_at: float
    """Unix time in seconds."""
    route: str
    key: str
    agent: str
    tags: tuple[str, ...]
    endpoint: str
    stream: bool
    ended: str | None
    """`None`: no end is on record. It is still on its way, or its server was killed."""
    status: int | None
    """What the client got, as far as it is on record."""
    failure: str | None
    duration: float | None
    """Seconds."""
    attempts: tuple[Try, ...]
    as_written: bool
    """All targets of its route were fit for it, in their order."""
    queued: float
    """Seconds that it waited for its turn."""
    plan: dict[str, Any] | None
    """strategy, rule, use; targets, behind, left_out: [name, reason, Unix time until which]; `None`: not on record."""
    asked: dict[str, Any]
    """What the caller asked of targets, in its own words."""
    notes: tuple[tuple[str, str, str], ...]
    """What it met with: limit, budget, queue; whose that is; and how it stood."""
    message: str
    """Why it was refused without any attempt, in Wayline's words; may be empty."""
    others: int
    """Earlier requests of the same id."""

    @property
    def usual(self) -> bool:
        """All targets of its route were fit for it, in their order, and the first one served."""
        return self.as_written and len(self.attempts) == 1 and self.ended == "served"

    @property
    def target(self) -> str:
        """The target that served, or the last one tried; empty when none was."""
        served = [one.target for one in self.attempts if one.ended == "served" and one.how != How.SPARE.value]
        return served[-1] if served else self.attempts[-1].target if self.attempts else ""

    @property
    def cost(self) -> Decimal | None:
        """US dollars that its attempts cost, as far as it is known; `None`: nothing is."""
        known = [one.cost for one in self.attempts if one.cost is not None]
        return sum(known, Decimal(0)) if known else None

    def as_json(self) -> dict[str, Any]:
        """For programs: numbers, texts, lists; costs are decimal text."""
        document = asdict(self) | {
            "time": datetime.fromtimestamp(self.started_at, UTC).isoformat(),
            "target": self.target,
            "cost": _text(self.cost),
            "usual": self.usual,
        }
        del document["as_written"]
        for plain, one in zip(document["attempts"], self.attempts, strict=True):
            plain["cost"] = _text(one.cost)
        return document


def story(path: str | Path, request_id: str, *, patience: float = PATIENCE) -> Story:
    """The latest request of that id, or the one whose id begins so. Raises `NoStory`, and `LedgerError` where the
    ledger cannot be read.

    `patience`: seconds to wait where it is not found at once, since a running server may be about to write it.
    """
    until = time.monotonic() + patience
    while True:
        try:
            with reading(path) as connection:
                return _story(connection, request_id)
        except NoStory:
            if time.monotonic() >= until:
                raise
        time.sleep(min(_LOOK_AGAIN, patience))


@contextlib.contextmanager
def reading(path: str | Path) -> Iterator[sqlite3.Connection]:
    """The database, all in one state of it. Raises `LedgerError`, also for what goes wrong inside."""
    path = Path(path).absolute()
    if not path.is_file():
        raise LedgerError(f"There is no ledger {path}.")
    try:
        # Without the right to write, what killed servers left stays where it is.
        with contextlib.suppress(sqlite3.OperationalError, PermissionError):
            recover(path)
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=5.0)) as connection:
            if check_version(connection, path) < _SINCE:
                raise LedgerError(f"The ledger {path} is of an older Wayline: serve with this one once.")
            connection.execute("BEGIN")
            yield connection
    except (sqlite3.Error, OSError) as error:
        raise LedgerError(f"The ledger {path} cannot be read: {error}.") from error


_TOLD = "plan, route, key, agent, tags, endpoint, stream, ended, status, failure, duration, queued, more"
_SINCE = 4
"""The schema that has the table `requests`."""


def _story(connection: sqlite3.Connection, wanted: str) -> Story:
    request_id, started_at, others = _find(connection, wanted)
    which = (request_id, started_at)
    rows = connection.execute(
        f"SELECT {', '.join(_TRY)}, plan, route, key, agent, tags, endpoint, stream FROM attempts "
        "WHERE request_id = ? AND started_at = ? ORDER BY attempt, id",
        which,
    ).fetchall()
    tries = tuple(_try(row) for row in rows)
    told = connection.execute(
        f"SELECT {_TOLD} FROM requests WHERE request_id = ? AND started_at = ? ORDER BY id DESC LIMIT 1", which
    ).fetchone()
    if told is None:
        labels = rows[-1][len(_TRY) :]
        ended, status, failure, duration = _end_of(tries)
        queued = more = None
    else:
        *labels, ended, status, failure, duration, queued, more = told
    number, route, key, agent, tags, endpoint, stream = labels
    rest = {} if more is None else orjson.loads(more)
    return Story(
        request_id,
        started_at,
        route or "",
        key or "",
        agent or "",
        tags_of(tags),
        endpoint or "chat",
        bool(stream),
        ended,
        status,
        failure,
        duration,
        tries,
        number == AS_WRITTEN,
        queued or 0.0,
        _plan(connection, number),
        rest.get("asked", {}),
        tuple((what, whose, words) for what, whose, words in rest.get("notes", ())),
        rest.get("message", ""),
        others,
    )


def _plan(connection: sqlite3.Connection, number: int | None) -> dict[str, Any] | None:
    found = connection.execute("SELECT plan FROM plans WHERE number = ? ORDER BY id DESC LIMIT 1", (number,)).fetchone()
    if found is None:
        return None
    plan: dict[str, Any] = orjson.loads(found[0])
    return plan


def _find(connection: sqlite3.Connection, wanted: str) -> tuple[str, float, int]:
    """The request's id, when it came in, and how many came in under that id before."""
    if not wanted:
        raise NoStory("Whose story? Name a request by its id.")
    span = (wanted, wanted[:-1] + chr(min(ord(wanted[-1]) + 1, 0x10FFFF)))
    found = connection.execute(
        "SELECT request_id, started_at FROM attempts WHERE request_id >= ? AND request_id < ? "
        "UNION SELECT request_id, started_at FROM requests WHERE request_id >= ? AND request_id < ? ORDER BY 2",
        (*span, *span),
    ).fetchall()
    names = sorted({name for name, _ in found})
    if wanted in names:
        names = [wanted]
    if not names:
        raise NoStory(
            f"No request {wanted} is on record: its key was refused (see the log), it is forgotten by now, "
            "or it was another server's."
        )
    if len(names) > 1:
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        raise NoStory(f"{len(names)} requests begin with {wanted}: {', '.join(names[:_NAMED])}{more}.")
    times = [came for name, came in found if name == names[0]]
    return names[0], times[-1], len(times) - 1


def _try(row: tuple[Any, ...]) -> Try:
    values = dict(zip(_TRY, row, strict=False))
    values["cost"] = None if values["cost"] is None else Decimal(values["cost"])
    values["maybe_billed"] = bool(values["maybe_billed"])
    return Try(**values)


def _end_of(tries: tuple[Try, ...]) -> tuple[str | None, int | None, str | None, float | None]:
    """How a request ended of which only its attempts are on record."""
    if tries[-1].ended == "served":
        return "served", 200, None, tries[-1].last
    return None, None, None, None


def tags_of(text: str | None) -> tuple[str, ...]:
    """As they stand in the table."""
    return () if text is None else tuple(orjson.loads(text))


def _text(cost: Decimal | None) -> str | None:
    return None if cost is None else format(cost, "f")
