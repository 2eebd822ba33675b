"""What is wrong with rules among themselves: which of them can never be used, and why. Looked for when a configuration
is loaded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from math import inf
from typing import NamedTuple

from proxy.core.choice.policy import Rule, When
from proxy.core.choice.rules import in_hours, like
from proxy.core.choice.wish import NONE, PRIORITIES

MOST = 50_000
"""Cells that are looked at for one rule; of rules with more bounds only those are named that a single one covers."""

Span = tuple[float, float]


def flaws(rules: Sequence[Rule]) -> Iterator[tuple[int, str]]:
    """Rules that can never be used: (place, why)."""
    for place, rule in enumerate(rules):
        if not rule.use and rule.set is NONE:
            yield place, "says neither `use` nor `set`"
        own = contradiction(rule)
        if own:
            yield place, f"can never hold: {own}"
            continue
        whens = [one.when for one in rules[:place] if not contradiction(one)]
        for before, one in enumerate(rules[:place]):
            if not contradiction(one) and covers(one.when, rule.when):
                yield place, f"is never reached: rule {before + 1} holds whenever this one does"
                break
        else:
            if together_cover(whens, rule.when):
                yield place, "is never reached: one of the rules before it holds whenever this one does"


def contradiction(rule: Rule) -> str:
    """Why it can never hold, or leaves nothing where it does; empty: it can."""
    when, use, wish = rule.when, rule.use, rule.set
    for name, span in (("tokens", when.tokens), ("output", when.output)):
        if span is not None and span[0] > span[1]:
            return f"`{name}` has nothing between its bounds"
    if when.hour is not None and when.hour[0] == when.hour[1]:
        return "`hour` begins when it ends"
    if "embeddings" in when.has and (len(when.has) > 1 or when.output is not None):
        return "a request for vectors needs nothing else, and has no `output`"
    if "/" in use:
        names = {use, use.partition("/")[0], use.partition("/")[2]}
        if not wish.exclude.isdisjoint(names) or (wish.only is not None and wish.only.isdisjoint(names)):
            return f"`set` leaves out {use}, which it is to use"
    if wish.only is not None and wish.only <= wish.exclude:
        return "`set` excludes all that it wants"
    return ""


def covers(one: When, other: When) -> bool:
    """Whenever `other` holds, so does `one` (where that can be seen)."""
    return (
        (not one.priority or one.priority == other.priority)
        and _apart(one, other)
        and _spans(one.tokens, other.tokens)
        and _spans(one.output, other.output)
        and (one.hour is None or (other.hour is not None and _hours(other.hour) <= _hours(one.hour)))
    )


def _apart(one: When, other: When) -> bool:
    """The same of what cannot be divided."""
    words = ((one.task, other.task), (one.agent, other.agent), (one.tag, other.tag), (one.key, other.key))
    given = dict(other.header)
    return (
        all(not mine or mine == theirs for mine, theirs in words)
        and (not one.model_matches or _wider(one.model_matches, other.model_matches or "*"))
        and one.has <= other.has
        and all(name in given and _wider(pattern, given[name]) for name, pattern in one.header)
    )


def _wider(one: str, other: str) -> bool:
    """Whatever is like the other pattern is like this one: only a `*` of this one can stand for a `*` of that."""
    return like(one, other)


def _spans(one: Span | None, other: Span | None) -> bool:
    return one is None or (other is not None and one[0] <= other[0] and other[1] <= one[1])


def _hours(span: tuple[int, int]) -> set[int]:
    return {hour for hour in range(24) if in_hours(span, hour)}


# Several together ------------------------------------------------------------------------------------------------


class _Cell(NamedTuple):
    """Some of all requests. `None` of an output: the request does not say."""

    priority: str
    hour: int
    tokens: float
    output: float | None


def together_cover(whens: Sequence[When], other: When) -> bool:
    """Whenever `other` holds, so does one of these."""
    near = [one for one in whens if _apart(one, other)]
    if len(near) < 2:
        return False
    priorities = [other.priority] if other.priority else PRIORITIES
    hours = sorted(range(24) if other.hour is None else _hours(other.hour))
    if all(one.hour is None for one in near):
        hours = hours[:1]
    tokens = _points(other.tokens or (0, inf), [one.tokens for one in near])
    outputs: list[float | None] = [*_points(other.output or (0, inf), [one.output for one in near])]
    if other.output is None:
        outputs.append(None)
    if len(priorities) * len(hours) * len(tokens) * len(outputs) > MOST:
        return False
    cells = (_Cell(*cell) for cell in product(priorities, hours, tokens, outputs))
    return all(any(_inside(cell, one) for one in near) for cell in cells)


def _points(span: Span, others: Sequence[Span | None]) -> list[float]:
    """One number for each stretch of whole numbers in the span in which nothing changes: its first."""
    first, last = span
    begins = {first}
    for other in others:
        if other is not None:
            begins.update((other[0], other[1] + 1))
    return sorted(begin for begin in begins if first <= begin <= last and begin < inf)


def _inside(cell: _Cell, when: When) -> bool:
    return (
        when.priority in ("", cell.priority)
        and (when.hour is None or in_hours(when.hour, cell.hour))
        and (when.tokens is None or when.tokens[0] <= cell.tokens <= when.tokens[1])
        and (when.output is None or (cell.output is not None and when.output[0] <= cell.output <= when.output[1]))
    )
