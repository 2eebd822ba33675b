"""What was planned, as it is on record: told once, and known by its number in the rows of all that went that way."""

from __future__ import annotations

import time
from collections.abc import Callable
from hashlib import blake2b
from math import inf
from typing import Any

import orjson

from proxy.core.choice.choose import Choice, words
from proxy.core.plan import Plan

MARK = b"p"
"""No row of an attempt or a request begins with it."""
COLUMNS = "number, at, plan"
WIDTH = 3
AS_WRITTEN = 0
"""The number of all targets of a route, in their order."""
MOST = 20
"""Targets, and targets that were left out, that are named. Beyond that only their number is told."""
TELL_AGAIN = 3600.0
"""Seconds after which one that is still in use is told again, so that it is not forgotten."""
_KEPT = 2_000
_MAX_TEXT = 200


class Plans:
    """Of one process. `append` puts a record into the journal; False: there is no room."""

    def __init__(self, append: Callable[[bytes], bool]) -> None:
        self._append = append
        self._same: dict[int, tuple[object, int, float]] = {}
        """By identity: many requests share a choice, or a plan. As it is held, its identity is not used again."""
        self._last: tuple[object, int, float] = (None, AS_WRITTEN, -inf)
        self._told: dict[int, float] = {}
        """When each number was told last, in Unix time."""

    def number(self, planned: Choice | Plan, now: float) -> int | None:
        """Its number, told already; `None`: there was no room to tell it. `now`: Unix time in seconds."""
        before, number, until = self._last  # most are the same one again
        if planned is before and now < until:
            return number
        known = self._same.get(id(planned))
        if known is not None and now < known[2]:
            self._last = known
            return known[1]
        text = text_of(planned, time.time() - time.monotonic())
        number = AS_WRITTEN if text is None else int.from_bytes(blake2b(text, digest_size=8).digest()) >> 11
        if text is not None and now >= self._told.get(number, -inf) + TELL_AGAIN:
            if not self._append(MARK + orjson.dumps((number, now, text.decode("utf-8")))):
                return None
            _put(self._told, number, now)
        _put(self._same, id(planned), (planned, number, now + TELL_AGAIN))
        return number


def decode(data: bytes) -> list[Any]:
    """The row's values, ready for the table. Raises `ValueError` for anything but such a record."""
    row = orjson.loads(data[len(MARK) :])
    if type(row) is not list or len(row) != WIDTH:
        raise ValueError("not a record of a plan")
    return row


def _put(table: dict[int, Any], key: int, value: object) -> None:
    if len(table) >= _KEPT:
        table.clear()
    table[key] = value


def text_of(planned: Choice | Plan, epoch: float) -> bytes | None:
    """A JSON object; `None`: all targets of the route, in their order. `epoch`: the Unix time at which the engine's
    clock began."""
    choice = planned if isinstance(planned, Choice) else None
    plan = planned if choice is None else choice.plan
    assert isinstance(plan, Plan)
    if choice is not None and as_written(choice):
        return None
    told: dict[str, Any] = {"targets": [target.name for target in plan.targets[:MOST]]}
    if len(plan.targets) > MOST:
        told["more"] = len(plan.targets) - MOST
    if plan.anyway and plan.targets:
        told["anyway"] = True
    out = [[one.target.name, words(one.standing, one.cause, inf), _until(one.until, epoch)] for one in plan.skipped]
    if choice is not None:
        _put_choice(told, choice)
        out += [[one.target.name, one.reason[:_MAX_TEXT], _until(one.until, epoch)] for one in choice.left_out]
    if out:
        told["left_out"] = out[:MOST]
    if len(out) > MOST:
        told["more_left_out"] = len(out) - MOST
    return orjson.dumps(told)


def as_written(choice: Choice) -> bool:
    """It left all targets of the route in their order, with nothing to be said of any."""
    if choice.strategy != "order" or choice.rule is not None:
        return False
    plan = choice.plan
    return not (choice.left_out or choice.behind or choice.trouble or plan.skipped or plan.anyway)


def _put_choice(told: dict[str, Any], choice: Choice) -> None:
    told["strategy"] = choice.strategy
    if choice.rule is not None:
        told["rule"] = choice.rule + 1
        if choice.use:
            told["use"] = choice.use
    if choice.behind:
        told["behind"] = [[target.name, why[:_MAX_TEXT]] for target, why in choice.behind[:MOST]]
    if choice.trouble:  # what a function of the operator's raised: any text
        told["trouble"] = choice.trouble[:_MAX_TEXT].encode("utf-8", "replace").decode("utf-8")


def _until(until: float, epoch: float) -> float | None:
    """Unix time, to a tenth of a second; `None`: nobody knows."""
    return None if until == inf else round(until + epoch, 1)
