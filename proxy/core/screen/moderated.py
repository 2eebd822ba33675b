"""What a moderation says (OpenAI's `/v1/moderations`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

MOST = 32
"""Categories of one answer that are read; no provider has more."""
LONGEST = 64
"""Characters of a category's name."""


def categories(answer: object, above: float | None) -> tuple[str, ...] | None:
    """What it found: what it flags, or what has a score of at least `above`. `None`: this is no such answer."""
    results = answer.get("results") if isinstance(answer, dict) else None
    if not isinstance(results, list) or not results:
        return None
    return tuple(sorted({name for one in results for name in _of(one, above)}))[:MOST]


def _of(result: Mapping[str, Any] | object, above: float | None) -> Iterator[str]:
    if not isinstance(result, dict):
        return
    found = result.get("categories" if above is None else "category_scores")
    for name, value in _items(found):
        if value is True if above is None else type(value) in (int, float) and value >= above:
            yield name[:LONGEST]
    if above is None and result.get("flagged") is True and not any(value is True for _, value in _items(found)):
        yield "flagged"


def _items(found: object) -> Iterable[tuple[str, Any]]:
    return found.items() if isinstance(found, dict) else ()
