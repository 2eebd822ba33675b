"""The ledger's rows as requests: when each came in, what it asked for, and what its attempts met."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby
from math import inf
from pathlib import Path
from statistics import median_low
from sys import intern
from typing import Any, NamedTuple

import orjson

from proxy.core.choice.wish import NONE, Wish
from proxy.core.failure import FailureKind
from proxy.core.outcome import Ended, How
from proxy.core.usage import Usage
from proxy.ledger.recover import recover
from proxy.ledger.schema import LedgerError, check_version
from proxy.simulate.asked import AskedFor, Unsent, asked_for

# fmt: off
_COLUMNS = (
    "request_id", "started_at", "route", "key", "stream", "endpoint", "agent", "tags",
    "target", "backend", "model", "ended", "failure", "how", "sent", "first_byte", "first_content", "last",
    "input", "output", "cached_input", "cache_write", "reasoning", "price", "cost",
)
# fmt: on
_OF_REQUEST = 8
"""So many of them are the same for all attempts of a request."""
_WHOLE = frozenset({How.FRESH, How.EXACT, How.REPLAY, How.SPARE})
"""What gave an answer from its beginning."""
MOST = 1_000_000
"""Attempts that are read: each takes some 1.5 KB of memory."""
OUTPUT = 500
"""Tokens of an answer where nothing on record says how long answers are."""


class Tried(NamedTuple):
    """One attempt on record. Times are seconds, but for `at`, in Unix time."""

    at: float
    """When it was sent."""
    target: str
    backend: str
    ended: Ended
    failure: FailureKind | None
    how: How
    head: float | None
    """From its sending to the answer's head; `first`: to the first content; `took`: to its end."""
    first: float | None
    took: float
    usage: Usage | None
    price: str
    """As the ledger has it; empty where none was known."""
    cost: Decimal | None
    stream: bool
    chat: bool

    @property
    def output(self) -> int:
        """Tokens."""
        return 0 if self.usage is None else self.usage.output


class Asking(NamedTuple):
    """One request on record."""

    id: str
    """A client may have chosen it: with `at` it is one."""
    at: float
    """Unix time at which it came in."""
    route: str
    key: str
    stream: bool
    endpoint: str
    agent: str
    tags: frozenset[str]
    input: int
    output: int
    leaves: float
    """Unix time at which its client left; infinite: it did not."""
    tried: tuple[Tried, ...]
    wish: Wish = NONE
    """What it asked of targets, but for agent and tags."""
    guessed: bool = False
    """Its tokens stand nowhere: as many as is usual on its route."""
    unpaid: bool = False
    """A budget did not allow it."""

    @property
    def chat(self) -> bool:
        return self.endpoint in _CHATS

    @property
    def vectors(self) -> bool:
        return self.endpoint == "embed"


_CHATS = frozenset({"", "chat", "messages", "count_tokens", "responses", "completions"})


@dataclass(frozen=True, slots=True)
class Record:
    """What a ledger holds of a span of time, in the order of coming in."""

    requests: tuple[Asking, ...]
    attempts: int
    tells: bool = False
    """It says what requests asked for, and which were refused before anything was sent."""


def read(path: str | Path, since: float | None = None, until: float | None = None) -> Record:
    """Requests that came in within the span (Unix times in seconds). Raises `LedgerError`. A server may be writing it
    meanwhile; rows that a killed one left in its journal are brought in first."""
    path = Path(path).absolute()
    if not path.is_file():
        raise LedgerError(f"There is no ledger {path}.")
    try:
        with contextlib.suppress(sqlite3.OperationalError, PermissionError):  # without the right to write they stay
            recover(path)
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=5.0)) as connection:
            check_version(connection, path)
            span = (-inf if since is None else since, inf if until is None else until)
            _bounded(connection, path, span)
            return _requests(_rows(connection, *span), asked_for(connection, *span))
    except (sqlite3.Error, OSError) as error:
        raise LedgerError(f"The ledger {path} cannot be read: {error}.") from error


def _bounded(connection: sqlite3.Connection, path: Path, span: tuple[float, float]) -> None:
    counted = "SELECT count(*) FROM attempts WHERE started_at >= ? AND started_at < ?"
    attempts = int(connection.execute(counted, span).fetchone()[0])
    if attempts > MOST:
        raise LedgerError(
            f"The ledger {path} has {attempts:,} attempts in this time, and {MOST:,} can be simulated at once: name a "
            "part of it by --since and --until."
        )


def _rows(connection: sqlite3.Connection, since: float, until: float) -> Iterator[tuple[Any, ...]]:
    known = {row[1] for row in connection.execute("PRAGMA table_info(attempts)")}
    columns = ", ".join(name if name in known else "NULL" for name in _COLUMNS)  # an older ledger has fewer
    return connection.execute(
        f"SELECT {columns} FROM attempts WHERE started_at >= ? AND started_at < ? "
        "ORDER BY started_at, request_id, attempt, id",
        (since, until),
    )


def _requests(rows: Iterable[tuple[Any, ...]], more: AskedFor) -> Record:
    found: list[Asking] = [_unsent(one) for one in more.unsent]
    attempts = 0
    for _, group in groupby(rows, key=lambda row: row[:2]):
        each = list(group)
        attempts += len(each)
        found.append(_request(each))
    if more.unsent:
        found.sort(key=lambda one: one.at)
    usual = _usual(found)
    whole = (_whole(one, usual) for one in found)
    if more.wishes:
        whole = (one._replace(wish=more.wishes.get((one.id, one.at), NONE)) for one in whole)
    return Record(tuple(whole), attempts, more.tells)


def _unsent(one: Unsent) -> Asking:
    id_, at, route, key, stream, endpoint, agent, tags = one.of_request
    leaves = inf if one.left is None else at + one.left
    words = (key or "", bool(stream), endpoint or "chat", agent or "", _tags(tags))
    return Asking(id_, at, route, *words, -1, -1, leaves, (), unpaid=one.unpaid)


def _request(rows: list[tuple[Any, ...]]) -> Asking:
    id_, at, route, key, stream, endpoint, agent, tags = rows[0][:_OF_REQUEST]
    endpoint = endpoint or "chat"
    tried = tuple(_tried(row, at, bool(stream), endpoint) for row in rows)
    used = [one.usage for one in tried if one.usage is not None]
    served = any(one.ended is Ended.SERVED for one in tried)
    gone = not served and tried[-1].ended is Ended.CANCELLED
    return Asking(
        id_,
        at,
        intern(route),
        intern(key or ""),
        bool(stream),
        endpoint,
        agent or "",
        _tags(tags),
        max((usage.input for usage in used), default=-1),
        _output(tried),
        tried[-1].at + tried[-1].took if gone else inf,
        tried,
    )


def _tried(row: tuple[Any, ...], came: float, stream: bool, endpoint: str) -> Tried:
    (
        target, backend, _, ended, failure, how, sent, head, first, last, tokens_in, tokens_out, cached, written,
        reasoning, price, cost,
    ) = row[_OF_REQUEST:]  # fmt: skip
    usage = None if tokens_in is None else Usage(tokens_in, tokens_out or 0, cached or 0, written or 0, reasoning or 0)
    return Tried(
        came + sent,
        intern(target),
        intern(backend),
        _ENDED[ended],
        None if failure is None else _FAILURES[failure],
        How.FRESH if how is None else _HOWS[how],
        None if head is None else head - sent,
        None if first is None else first - sent,
        max(last - sent, 0.0),
        usage,
        intern(price or ""),
        None if cost is None else Decimal(cost),
        stream,
        endpoint in _CHATS,
    )


_ENDED = {one.value: one for one in Ended}
_FAILURES = {one.value: one for one in FailureKind}
_HOWS = {one.value: one for one in How}


def _output(tried: tuple[Tried, ...]) -> int:
    """Tokens of the whole answer, of which cut attempts gave a part each; -1: not known."""
    given = -1
    for one in tried:
        if one.usage is None or one.ended is Ended.FAILED:
            continue
        before = 0 if one.how in _WHOLE else max(given, 0)
        given = max(given, before + one.usage.output)
    return given


def _tags(said: str | None) -> frozenset[str]:
    return frozenset(map(str, orjson.loads(said))) if said else frozenset()


def _usual(requests: list[Asking]) -> dict[str, tuple[int, int]]:
    """Tokens of input and output, by route: the middle ones of those that are known."""
    known: dict[str, tuple[list[int], list[int]]] = {}
    for one in requests:
        into = known.setdefault(one.route, ([], []))
        if one.input >= 0:
            into[0].append(one.input)
        if one.output >= 0:
            into[1].append(one.output)
    return {
        route: (median_low(inputs) if inputs else 0, median_low(outputs) if outputs else OUTPUT)
        for route, (inputs, outputs) in known.items()
    }


def _whole(one: Asking, usual: dict[str, tuple[int, int]]) -> Asking:
    if one.input >= 0 and one.output >= 0:
        return one
    sizes = usual[one.route]
    return one._replace(
        input=sizes[0] if one.input < 0 else one.input, output=sizes[1] if one.output < 0 else one.output, guessed=True
    )
