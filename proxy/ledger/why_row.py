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
COLUMNS = "request_id, started_at, route, key, agent, tags, ended, status, failure, story"
WIDTH = COLUMNS.count(",") + 1
MOST = 20
"""Targets, and targets that were left out, that are named; notes. Beyond that only their number is told."""
_MOST_NAMES = 10
_MAX_TEXT = 200
_ASKED = tuple(name for name in Wish._fields if name not in ("agent", "tags", "headers"))


def encode(told: Told) -> bytes:
    """The record. Never raises."""
    # fmt: off
    (
        request_id, started_at, route, endpoint, key, agent, tags, stream, ended, status, failure, duration, queued,
        attempts, plan, choice, rule, wish, clock, notes, message,
    ) = told
    # fmt: on
    story: dict[str, Any] = {
        "endpoint": endpoint,
        "stream": stream,
        "duration": duration,
        "attempts": attempts,
    }
    if plan is not None:
        targets = plan.targets
        story["targets"] = [target.name for target in targets[:MOST]]
        if plan.skipped or plan.anyway or len(targets) > MOST:
            _put_plan(story, plan, clock)
    if choice is not None:
        story["strategy"] = choice.strategy
        if choice.left_out or choice.behind or choice.trouble or choice.rule is not None:
            _put_choice(story, choice, rule, clock)
    if wish is not None:
        asked = _asked(wish)
        if asked:
            story["asked"] = asked
    if queued:
        story["queued"] = queued
    if notes:
        story["notes"] = _notes(notes)
    if message:
        story["message"] = message[: 2 * _MAX_TEXT]
    # fmt: off
    row = (
        request_id, started_at, route, key, agent or None, orjson.dumps(tags).decode("utf-8") if tags else None,
        ended._value_, status, None if failure is None else failure._value_, story,
    )
    # fmt: on
    try:
        return MARK + orjson.dumps(row)
    except orjson.JSONEncodeError:  # a lone surrogate in what a function of the operator's raised
        return MARK + orjson.dumps(_tame(row))


def decode(data: bytes) -> list[Any]:
    """The row's values, ready for the table. Raises `ValueError` for anything but such a record."""
    row = orjson.loads(data[len(MARK) :])
    if type(row) is not list or len(row) != WIDTH:
        raise ValueError("not a record of a request")
    row[-1] = orjson.dumps(row[-1]).decode("utf-8")
    return row


def _put_plan(story: dict[str, Any], plan: Plan, clock: float) -> None:
    more = len(plan.targets) - MOST
    if more > 0:
        story["more"] = more
    if plan.anyway and plan.targets:
        story["anyway"] = True
    if plan.skipped:
        story["skipped"] = [
            [one.target.name, words(one.standing, one.cause, one.until - clock), _until(one.until, clock)]
            for one in plan.skipped[:MOST]
        ]
        _put_more(story, "skipped_more", len(plan.skipped))


def _put_choice(story: dict[str, Any], choice: Choice, rule: str, clock: float) -> None:
    if choice.rule is not None:
        story["rule"] = choice.rule + 1
        if rule:
            story["use"] = rule
    if choice.left_out:
        out = choice.left_out[:MOST]
        story["left_out"] = [[one.target.name, one.reason[:_MAX_TEXT], _until(one.until, clock)] for one in out]
        _put_more(story, "left_out_more", len(choice.left_out))
    if choice.behind:
        story["behind"] = [[target.name, why[:_MAX_TEXT]] for target, why in choice.behind[:MOST]]
    if choice.trouble:
        story["trouble"] = choice.trouble[:_MAX_TEXT]


def _put_more(story: dict[str, Any], name: str, count: int) -> None:
    if count > MOST:
        story[name] = count - MOST


def _until(until: float, clock: float) -> float | None:
    """Seconds after the request came in; `None`: nobody knows."""
    return None if until == inf else until - clock


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


def _notes(notes: Iterable[Note]) -> list[tuple[str, ...]]:
    return [tuple(text[:_MAX_TEXT] for text in note) for note in tuple(notes)[:MOST]]


def _tame(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, list | tuple):
        return [_tame(one) for one in value]
    if isinstance(value, dict):
        return {name: _tame(one) for name, one in value.items()}
    return value
