"""What is told of a request, as the journal holds it: a mark, and a JSON array in the order of the table's columns."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from math import inf
from typing import Any

import orjson

from proxy.core.choice.choose import Choice, words
from proxy.core.choice.wish import NONE, Wish
from proxy.core.plan import Plan
from proxy.core.told import Note, Told

MARK = b"w"
"""No row of an attempt begins with it."""
_SHORT = 3
"""Values of a record that says only what was planned, of one whose attempt tells the rest."""
COLUMNS = (
    "request_id, started_at, route, endpoint, key, agent, tags, stream, ended, status, failure, duration, queued, "
    "attempts, plan, more"
)
WIDTH = COLUMNS.count(",") + 1
MOST = 20
"""Targets, and targets that were left out, that are named; notes. Beyond that only their number is told."""
_MOST_NAMES = 10
_MAX_TEXT = 200
_ASKED = tuple(name for name in Wish._fields if name not in ("agent", "tags", "headers"))
_PLANS_KEPT = 2_000
_UNTOLD = (None,) * (WIDTH - 4)
_NO_PLAN = orjson.Fragment(b"null")

_plans: dict[int, tuple[object, orjson.Fragment]] = {}
"""By the identity of the choice, or of the plan: both are shared by many requests, and held here meanwhile."""


def encode(told: Told) -> bytes:
    """The record. Never raises."""
    # fmt: off
    (
        request_id, started_at, route, endpoint, key, agent, tags, stream, ended, status, failure, duration, queued,
        attempts, plan, choice, rule, wish, clock, notes, message,
    ) = told
    known = _plans.get(id(choice or plan))
    row = (
        request_id, started_at, route, endpoint, key, agent or None,
        orjson.dumps(tags).decode("utf-8") if tags else None, stream,
        ended._value_, status, None if failure is None else failure._value_, duration, queued or None, attempts,
        _NO_PLAN if plan is None else _planned(plan, choice, rule, started_at - clock) if known is None else known[1],
        _more(wish, notes, message) if wish is not None or notes or message else None,
    )
    # fmt: on
    return MARK + orjson.dumps(row)


def encode_short(
    request_id: str, started_at: float, plan: Plan, choice: Choice | None, rule: str, clock: float
) -> bytes:
    """The record of one whose first target served. Never raises."""
    known = _plans.get(id(choice or plan))
    told = _planned(plan, choice, rule, started_at - clock) if known is None else known[1]
    return MARK + orjson.dumps((request_id, started_at, told))


def decode(data: bytes) -> list[Any]:
    """The row's values, ready for the table. Raises `ValueError` for anything but such a record."""
    row = orjson.loads(data[len(MARK) :])
    if type(row) is list and len(row) == _SHORT:
        request_id, started_at, plan = row
        return [request_id, started_at, *_UNTOLD, plan, None]
    if type(row) is not list or len(row) != WIDTH:
        raise ValueError("not a record of a request")
    return row


def _planned(plan: Plan, choice: Choice | None, rule: str, epoch: float) -> orjson.Fragment:
    """JSON in a JSON text: the table takes it as it is. `epoch`: the Unix time at which the engine's clock began."""
    told: dict[str, Any] = {"targets": [target.name for target in plan.targets[:MOST]]}
    if len(plan.targets) > MOST:
        told["more"] = len(plan.targets) - MOST
    if plan.anyway and plan.targets:
        told["anyway"] = True
    out = [[one.target.name, words(one.standing, one.cause, inf), _until(one.until, epoch)] for one in plan.skipped]
    if choice is not None:
        _put_choice(told, choice, rule)
        out += [[one.target.name, one.reason[:_MAX_TEXT], _until(one.until, epoch)] for one in choice.left_out]
    if out:
        told["left_out"] = out[:MOST]
    if len(out) > MOST:
        told["more_left_out"] = len(out) - MOST
    found = orjson.Fragment(orjson.dumps(orjson.dumps(told).decode("utf-8")))
    if len(_plans) >= _PLANS_KEPT:
        _plans.clear()
    _plans[id(choice or plan)] = (choice or plan, found)
    return found


def _put_choice(told: dict[str, Any], choice: Choice, rule: str) -> None:
    told["strategy"] = choice.strategy
    if choice.rule is not None:
        told["rule"] = choice.rule + 1
        if rule:
            told["use"] = rule
    if choice.behind:
        told["behind"] = [[target.name, why[:_MAX_TEXT]] for target, why in choice.behind[:MOST]]
    if choice.trouble:  # what a function of the operator's raised: any text
        told["trouble"] = choice.trouble[:_MAX_TEXT].encode("utf-8", "replace").decode("utf-8")


def _until(until: float, epoch: float) -> float | None:
    """Unix time; `None`: nobody knows."""
    return None if until == inf else until + epoch


def _more(wish: Wish | None, notes: Iterable[Note], message: str) -> str | None:
    more: dict[str, Any] = {}
    asked = {} if wish is None else _asked(wish)
    if asked:
        more["asked"] = asked
    if notes:
        more["notes"] = [[_tame(text) for text in note] for note in tuple(notes)[:MOST]]
    if message:
        more["message"] = _tame(message)
    return orjson.dumps(more).decode("utf-8") if more else None


def _asked(wish: Wish) -> dict[str, Any]:
    """The caller's own words."""
    found = {}
    for name in _ASKED:
        value = getattr(wish, name)
        if value != getattr(NONE, name):
            found[name] = _plain(value)
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
    return text[: 2 * _MAX_TEXT].encode("utf-8", "replace").decode("utf-8")
