"""How often the built-in evaluation is right, on real answers that were not looked at while its rules were written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from proxy.core.quality.assess import Answer, assess

ANSWERS = Path(__file__).parent / "answers"
GOOD_FROM = 0.85
"""The value that docs/quality.md states."""
BOUND = 0.93
"""Of the held-out answers so many are told apart; docs/quality.md has what was measured."""


def told(name: str) -> list[tuple[dict[str, Any], float]]:
    """The answers of a file, and what each is worth."""
    rows = json.loads((ANSWERS / f"{name}.json").read_text(encoding="utf-8"))
    return [(row, assess(row["request"], (Answer(row["text"], row["finish"]),)).value) for row in rows]


def right(found: list[tuple[dict[str, Any], float]]) -> float:
    """The share of them whose label the value confirms."""
    return sum((value >= GOOD_FROM) is row["good"] for row, value in found) / len(found)


def test_the_set_is_large_and_balanced() -> None:
    tuning, held_out = told("tuning"), told("held_out")
    assert len(tuning) + len(held_out) >= 150
    for half in (tuning, held_out):
        assert 0.4 < sum(row["good"] for row, _ in half) / len(half) < 0.6


def test_no_question_stands_in_both_halves() -> None:
    halves = [{json.dumps(row["request"]["messages"]) for row, _ in told(name)} for name in ("tuning", "held_out")]
    assert halves[0].isdisjoint(halves[1])


@pytest.mark.parametrize("half", ["tuning", "held_out"])
def test_good_and_bad_answers_are_told_apart(half: str) -> None:
    assert right(told(half)) >= BOUND


@pytest.mark.parametrize("kind", ["cut", "loop", "garbage", "off topic", "refusal", "other language", "broken"])
def test_each_kind_of_bad_answer_is_told(kind: str) -> None:
    of_kind = [(row, value) for row, value in told("held_out") if row["kind"] == kind]
    assert of_kind and right(of_kind) >= 0.85


def test_what_is_wrong_in_substance_only_is_not_told() -> None:
    """It is stated, so that nobody relies on it: a wrong fact in good form passes."""
    assert right(told("wrong")) < 0.2
