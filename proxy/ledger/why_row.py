"""What is told of a request, as the journal holds it: a mark, and a JSON array in the order of the table's columns."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import orjson

from proxy.core.choice.wish import NONE, Wish
from proxy.core.told import Note, Told

MARK = b"w"
"""No row of an attempt or a plan begins with it."""
COLUMNS = (
    "request_id, started_at, route, endpoint, key, agent, tags, stream, ended, status, failure, duration, queued, "
    "attempts, plan, more"
)
WIDTH = COLUMNS.count(",") + 1
MOST_NOTES = 20
_MOST_NAMES = 10
_MAX_TEXT = 400
_NOT_ASKED = frozenset({"agent", "tags", "headers"})


def encode(told: Told, plan: int | None) -> bytes:
    """The record. Never raises. `plan`: the number of what was planned; `None`: nothing was."""
    # fmt: off
    (
        request_id, started_at, route, endpoint, key, agent, tags, stream, ended, status, failure, duration, queued,
        attempts, _, wish, notes, message,
    ) = told
    row = (
        request_id, started_at, route, endpoint, key, agent or None,
        orjson.dumps(tags).decode("utf-8") if tags else None, stream,
        ended._value_, status, None if failure is None else failure._value_, duration, queued or None, attempts, plan,
        _more(wish, notes, message) if wish is not None or notes or message else None,
    )
    # fmt: on
    return MARK + orjson.dumps(row)


def decode(data: bytes) -> list[Any]:
    """The row's values, ready for the table. Raises `ValueError` for anything but such a record."""
    row = orjson.loads(data[len(MARK) :])
    if type(row) is not list or len(row) != WIDTH:
        raise ValueError("not a record of a request")
    return row


def _more(wish: Wish | None, notes: Iterable[Note], message: str) -> str | None:
    more: dict[str, Any] = {}
    asked = {} if wish is None else _asked(wish)
    if asked:
        more["asked"] = asked
    if notes:
        more["notes"] = [[_tame(text) for text in note] for note in tuple(notes)[:MOST_NOTES]]
    if message:
        more["message"] = _tame(message)
    return orjson.dumps(more).decode("utf-8") if more else None


def _asked(wish: Wish) -> dict[str, Any]:
    """The caller's own words."""
    found = {
        name: _plain(value)
        for name, value, usual in zip(Wish._fields, wish, NONE, strict=True)
        if value is not usual and value != usual and name not in _NOT_ASKED
    }
    if "max_latency" in found:
        found["max_latency_ms"] = found.pop("max_latency") * 1000
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, frozenset):
        names = sorted(value)
        return [*names[:_MOST_NAMES], "…"] if len(names) > _MOST_NAMES else names
    return value


def _tame(text: str) -> str:
    return text[:_MAX_TEXT].encode("utf-8", "replace").decode("utf-8")
