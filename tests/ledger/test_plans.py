"""What was planned is told once, and known by its number from then on."""

from __future__ import annotations

import time
from math import inf
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.choice.choose import Choice
from proxy.core.plan import Plan
from proxy.ledger.plans import AS_WRITTEN, MOST, Plans, decode, text_of
from tests.ledger.tellings import CHOICE, FREE_AGAIN, PLAN, target

NOW = 1_790_000_000.0


def read(planned: Choice | Plan, epoch: float = 0.0) -> Any:
    text = text_of(planned, epoch)
    return None if text is None else orjson.loads(text)


@pytest.fixture
def told() -> list[bytes]:
    return []


@pytest.fixture
def plans(told: list[bytes]) -> Plans:
    def append(record: bytes) -> bool:
        told.append(record)
        return True

    return Plans(append)


def test_all_of_a_choice_is_told() -> None:
    assert read(CHOICE, 1000.0) == {
        "targets": ["openai/gpt-4o-mini", "groq/llama"],
        "strategy": "cheapest",
        "rule": 2,
        "use": "large",
        "behind": [["groq/llama", "answers up to 4,096 < 5,000"]],
        "left_out": [
            ["xai/grok", "cooling (rate_limited)", round(FREE_AGAIN + 1000.0, 1)],
            ["here/smollm2", "context 8,192 < 30,000", None],
        ],
    }
    assert read(PLAN._replace(anyway=True)) == {"targets": ["openai/gpt-4o-mini", "groq/llama"], "anyway": True}


@pytest.mark.parametrize(
    "more",
    [
        {"strategy": "score"},
        {"rule": 0},
        {"left_out": CHOICE.left_out},
        {"behind": CHOICE.behind},
        {"trouble": "x"},
        {"plan": CHOICE.plan},
        {"plan": PLAN._replace(anyway=True)},
    ],
)
def test_only_all_targets_in_their_order_are_nothing_to_tell(more: dict[str, Any], plans: Plans) -> None:
    assert read(Choice(PLAN)) is None
    assert plans.number(Choice(PLAN), NOW) == AS_WRITTEN
    assert read(Choice(PLAN)._replace(**more)) is not None


def test_it_is_told_once_for_all_requests_that_go_that_way(plans: Plans, told: list[bytes]) -> None:
    numbers = {plans.number(one, NOW) for one in (CHOICE, CHOICE, CHOICE._replace(rule=1), PLAN, Plan(PLAN.targets))}
    assert len(numbers) == len(told) == 2
    assert {decode(record)[0] for record in told} == numbers


def test_any_number_of_plans_keep_their_own_numbers(plans: Plans, told: list[bytes]) -> None:
    many = [Plan((target(f"a/m{number}"),)) for number in range(5000)]
    for round_ in range(2):
        for number, plan in enumerate(many):
            known = plans.number(plan, NOW)
            if round_ == 0:
                assert decode(told[-1])[0] == known
                assert orjson.loads(decode(told[-1])[2])["targets"] == [f"a/m{number}"]
    assert len(plans._same) <= 2000 and len(plans._told) <= 2000


def test_the_moment_is_that_of_the_wall_clock(plans: Plans, told: list[bytes]) -> None:
    plans.number(CHOICE, NOW)
    ((_, until), *_) = [one[1:] for one in orjson.loads(decode(told[0])[2])["left_out"]]
    assert until - time.time() == pytest.approx(FREE_AGAIN - time.monotonic(), abs=1.0)


def test_where_the_journal_is_full_there_is_no_number_to_speak_of() -> None:
    """And it is told as soon as there is room."""
    room = [False]
    plans = Plans(lambda _: room[0])
    assert plans.number(CHOICE, NOW) is None
    room[0] = True
    assert plans.number(CHOICE, NOW)


def test_a_route_of_a_thousand_targets_makes_no_long_row() -> None:
    many = tuple(target(f"a/m{number}") for number in range(1000))
    out = tuple(one._replace(target=many[0]) for one in CHOICE.left_out * 1000)
    found = read(CHOICE._replace(plan=Plan(many), left_out=out))
    assert (len(found["targets"]), found["more"]) == (MOST, 980)
    assert (len(found["left_out"]), found["more_left_out"]) == (MOST, 980)


texts = st.text(max_size=30) | st.just("\ud800") | st.just("x" * 10_000)


@settings(max_examples=60, deadline=None)
@given(texts, st.text(max_size=30), st.floats(0, 1e6) | st.just(inf))
def test_whatever_was_planned_makes_a_row(trouble: str, reason: str, until: float) -> None:
    left_out = tuple(one._replace(until=until) for one in CHOICE.left_out)
    records: list[bytes] = []

    def append(record: bytes) -> bool:
        records.append(record)
        return True

    Plans(append).number(Choice(Plan(()), left_out, trouble=trouble, strategy=reason or "order"), NOW)
    (record,) = records
    assert len(record) < 8192
    assert len(decode(record)) == 3
