"""Rules of a route: which of them holds for a request. Nothing that stands in a configuration is executed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
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
        or (hours is not None and not in_hours(hours, hour))
        or (model and not like(model, facts.model))
        or (header and not all(_has(asked.headers, name, pattern) for name, pattern in header))
    )


def _within(span: tuple[float, float], value: float | None) -> bool:
    return value is not None and span[0] <= value <= span[1]


def in_hours(span: tuple[int, int], hour: int) -> bool:
    """From the first until the second begins, past midnight where that is less."""
    start, end = span
    return start <= hour < end if start <= end else hour >= start or hour < end


def like(pattern: str, text: str) -> bool:
    """`*` stands for any number of characters."""
    return _pattern(pattern).match(text) is not None


@lru_cache(maxsize=1024)
def _pattern(text: str) -> re.Pattern[str]:
    """`*` alone has a meaning; its translation is linear in the text for one of them and bounded for a few."""
    return re.compile(translate(text.replace("[", "[[]").replace("?", "[?]")))


def _has(headers: Mapping[bytes, bytes], name: str, pattern: str) -> bool:
    value = headers.get(name.encode())
    return value is not None and like(pattern, value.decode("latin-1"))
