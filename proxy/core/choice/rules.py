"""Rules of a route: which of them holds for a request, and what is wrong with them among themselves. Nothing that
stands in a configuration is executed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import translate
from functools import lru_cache
from typing import NamedTuple

from proxy.core.choice.facts import Facts
from proxy.core.choice.policy import Rule, When
from proxy.core.choice.wish import NONE, Wish


class Asked(NamedTuple):
    """One request, as rules and preflight see it."""

    facts: Facts
    wish: Wish = NONE
    key: str = ""
    """The name of the caller's key."""
    headers: Mapping[bytes, bytes] = {}  # of a NamedTuple: nobody can change it
    plain: bool = False
    """A look at it said that no target's abilities leave it out."""


def first_that_holds(rules: Sequence[Rule], asked: Asked, hour: int) -> int | None:
    """Its place."""
    for place, rule in enumerate(rules):
        if holds(rule.when, asked, hour):
            return place
    return None


def priority_of(rules: Sequence[Rule], asked: Asked, hour: int) -> str:
    """In the queue: by the rule that holds, whose word is the operator's, else as the request says; empty: normal."""
    place = first_that_holds(rules, asked, hour)
    return ("" if place is None else rules[place].set.priority) or asked.wish.priority


def holds(when: When, asked: Asked, hour: int) -> bool:
    """All that it says is so."""
    facts, wish = asked.facts, asked.wish
    priority, task, agent, tag, key, tokens, output, has, hours, header, model = when
    return not (
        (priority and priority != (wish.priority or "normal"))
        or (task and task != wish.task)
        or (agent and agent != wish.agent)
        or (key and key != asked.key)
        or (tag and tag not in wish.tags)
        or (tokens is not None and not _within(tokens, facts.tokens))
        or (output is not None and not _within(output, facts.output))
        or (has and not has <= facts.needs)
        or (hours is not None and not _in_hours(hours, hour))
        or (model and not _like(model, facts.model))
        or (header and not all(_has(asked.headers, name, like) for name, like in header))
    )


def _within(span: tuple[float, float], value: float | None) -> bool:
    return value is not None and span[0] <= value <= span[1]


def _in_hours(span: tuple[int, int], hour: int) -> bool:
    start, end = span
    return start <= hour < end if start <= end else hour >= start or hour < end


def _like(pattern: str, text: str) -> bool:
    return _pattern(pattern).match(text) is not None


@lru_cache(maxsize=1024)
def _pattern(text: str) -> re.Pattern[str]:
    """`*` alone has a meaning; its translation is linear in the text for one of them and bounded for a few."""
    return re.compile(translate(text.replace("[", "[[]").replace("?", "[?]")))


def _has(headers: Mapping[bytes, bytes], name: str, like: str) -> bool:
    value = headers.get(name.encode())
    return value is not None and _like(like, value.decode("latin-1"))


# At load ---------------------------------------------------------------------------------------------------------


def flaws(rules: Sequence[Rule]) -> Iterator[tuple[int, str]]:
    """Rules that can never be used: (place, why)."""
    for place, rule in enumerate(rules):
        if not rule.use and rule.set is NONE:
            yield place, "says neither `use` nor `set`"
        own = contradiction(rule.when)
        if own:
            yield place, f"can never hold: {own}"
            continue
        for before in range(place):
            if covers(rules[before].when, rule.when):
                yield place, f"is never reached: rule {before + 1} holds whenever this one does"
                break


def contradiction(when: When) -> str:
    """Why it can never hold; empty: it can."""
    for name, span in (("tokens", when.tokens), ("output", when.output)):
        if span is not None and span[0] > span[1]:
            return f"`{name}` has nothing between its bounds"
    if when.hour is not None and when.hour[0] == when.hour[1]:
        return "`hour` begins when it ends"
    return ""


def covers(one: When, other: When) -> bool:
    """Whenever `other` holds, so does `one` (where that can be seen; a pattern covers only itself)."""
    words = (
        (one.priority, other.priority),
        (one.task, other.task),
        (one.agent, other.agent),
        (one.tag, other.tag),
        (one.key, other.key),
        (one.model_matches, other.model_matches),
    )
    return (
        all(not mine or mine == theirs for mine, theirs in words)
        and _spans(one.tokens, other.tokens)
        and _spans(one.output, other.output)
        and one.has <= other.has
        and (one.hour is None or (other.hour is not None and _hours(other.hour) <= _hours(one.hour)))
        and set(one.header) <= set(other.header)
    )


def _spans(one: tuple[float, float] | None, other: tuple[float, float] | None) -> bool:
    return one is None or (other is not None and one[0] <= other[0] and other[1] <= one[1])


def _hours(span: tuple[int, int]) -> set[int]:
    return {hour for hour in range(24) if _in_hours(span, hour)}
