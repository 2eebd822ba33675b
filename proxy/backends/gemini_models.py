"""What Google's models take, by their names.

Sources (read on 2026-11-21): ai.google.dev, "Thinking" (budgets for 2.5, levels from 3 on, never both), "Thought
signatures" (demanded from 3 on), "Function calling" (ids of calls, media in results), "Structured outputs", "File input
methods" (addresses are fetched, not for 2.0 and before) and "OpenAI compatibility" (what an effort means).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote

_VERSION = re.compile(r"(?:^|/)gemini-(?:[a-z-]*?)(\d+)(?:\.(\d+))?")
_LATEST = re.compile(r"(?:^|/)gemini-(?:[a-z]+-)*latest$")

BUDGETS = {"none": 0, "minimal": 1024, "low": 1024, "medium": 8192, "high": 24576, "xhigh": 24576, "max": 24576}
LEVELS = {"none": "MINIMAL", "minimal": "MINIMAL", "low": "LOW", "medium": "MEDIUM", "high": "HIGH"}
LEAST_BUDGET = 128
"""Tokens: 2.5 Pro cannot be kept from thinking."""


def in_path(model: str) -> str:
    """A model's name as it may stand in a path: no `..`, no `:` (the method follows it), no query."""
    return "/".join(quote(part, safe="@") if part.strip(".") else "%2E" * len(part) for part in model.split("/"))


def words(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


class Traits(NamedTuple):
    """One model, or all that nothing is known of."""

    thinks: str = ""
    """How thinking is asked for: `budget`, `level`, or not at all."""
    always: bool = False
    """Thinking cannot be turned off, and `MINIMAL` is not taken."""
    medium: bool = True
    """It takes the level `MEDIUM`."""
    signs: bool = False
    """It refuses a turn whose first call has no signature."""
    ids: bool = False
    """Its calls have ids, and results are matched by them."""
    rich_results: bool = False
    """Results of tools may hold images and documents."""
    json_and_tools: bool = False
    """A response format and functions may stand in one request."""
    json_schema: bool = True
    """It takes `responseJsonSchema`."""
    fetches: bool = True
    """It fetches addresses that a request names."""


@lru_cache(maxsize=1024)
def traits_of(model: str) -> Traits:
    """By the model's name, with whatever stands before it."""
    name = model.lower()
    found = _VERSION.search(name)
    if found is not None:
        version = (int(found[1]), int(found[2] or 0))
    elif _LATEST.search(name):
        version = (3, 1)
    else:
        return Traits()
    pro = "pro" in name and "flash" not in name
    if version >= (3, 0):
        return Traits(
            thinks="level",
            always=pro,
            medium=not pro or version >= (3, 1),
            signs=True,
            ids=True,
            rich_results=True,
            json_and_tools=True,
        )
    if version >= (2, 5):
        return Traits(thinks="budget", always=pro)
    return Traits(json_schema=False, fetches=False)


def thinking(effort: str, traits: Traits) -> dict[str, object] | None:
    """`thinkingConfig` for OpenAI's `reasoning_effort`; `None`: the model cannot be told how much to think."""
    effort = effort.lower()
    shown: dict[str, object] = {} if effort == "none" else {"includeThoughts": True}
    if traits.thinks == "budget" and effort in BUDGETS:
        return {**shown, "thinkingBudget": max(BUDGETS[effort], LEAST_BUDGET if traits.always else 0)}
    if traits.thinks == "level" and effort in BUDGETS:
        level = LEVELS.get(effort, "HIGH")
        if level == "MINIMAL" and traits.always:
            level = "LOW"
        elif level == "MEDIUM" and not traits.medium:
            level = "HIGH"
        return {**shown, "thinkingLevel": level}
    return None
