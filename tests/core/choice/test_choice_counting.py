"""Tokens are counted by a model's own tokenizer where an estimate might decide wrongly, and nowhere else."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.ability import Ability
from proxy.core.choice.choose import choose
from proxy.core.choice.counting import LEAST, MOST, counted, edges_of, near
from proxy.core.choice.facts import Facts, rounded
from proxy.core.choice.policy import Rule, When
from proxy.core.choice.ranking import Seen
from proxy.core.choice.rules import Asked
from proxy.core.choice.wish import NONE, Wish
from proxy.core.failure import FailureKind
from proxy.core.route import Route, Target
from tests.core.choice.choices import chosen, names, route, target

SMALL = target("a/small", Ability(context=8192), "1/2")
LARGE = target("b/large", Ability(context=128_000), "1/2")
OTHER = target("c/other", Ability(context=8192))


class Words:
    """A tokenizer: each word is a token."""

    def __init__(self, vocabulary: str = "words") -> None:
        self.vocabulary = vocabulary
        self.texts = 0

    def __call__(self, text: str) -> int:
        self.texts += 1
        return len(text.split())


def counting(which: Route, facts: Facts, wish: Wish = NONE, *of: Target) -> tuple[str, ...]:
    edges = edges_of(which, [one.name for one in (of or which.targets)])
    assert edges is not None
    return near(edges, facts, wish)


def said(words: int) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": "word " * words}]}


def test_only_what_is_near_a_context_is_counted() -> None:
    which = route(SMALL, LARGE, OTHER)
    assert counting(which, Facts(500)) == ()
    assert counting(which, Facts(8000)) == ("a/small", "c/other")
    assert counting(which, Facts(100_000)) == ("b/large",)
    assert counting(which, Facts(1_000_000)) == ()
    assert counting(which, Facts(500, 7500)) == ("a/small", "c/other")
    assert counting(which, Facts(8000, chat=False)) == ()


def test_a_rule_on_tokens_counts_near_its_bounds() -> None:
    rules = (Rule(When(tokens=(8001, float("inf"))), "b/large"),)
    which = route(LARGE, target("d/unknown"), rules=rules)
    assert counting(which, Facts(1000)) == ()
    assert counting(which, Facts(6000)) == ("b/large", "d/unknown")


@pytest.mark.parametrize(
    ("most", "facts", "near_it"),
    [
        ("0.001", Facts(1000, 10), True),
        ("0.1", Facts(1000, 10), False),
        ("0.00001", Facts(1000, 10), False),
        ("0.001", Facts(1000), True),
        ("0.1", Facts(1000), False),
        ("0.0002", Facts(100, 50), True),
    ],
)
def test_a_bound_on_money_counts_where_the_input_may_pass_it(most: str, facts: Facts, near_it: bool) -> None:
    which = route(target("a/small", price="1/2"), target("x/unpriced"))
    assert bool(counting(which, facts, Wish(max_cost=Decimal(most)))) is near_it
    required = route(target("a/small", price="1/2"), require=Wish(max_cost=Decimal(most)))
    assert bool(counting(required, facts)) is near_it


def test_what_is_counted_decides_for_its_target_and_the_estimate_for_the_others() -> None:
    words = Words()
    which = route(SMALL, OTHER, LARGE)
    edges = edges_of(which, ["a/small"])
    facts = counted(edges, {"a/small": words}, Facts(9000), NONE, said(7000))
    assert facts.counted == (("a/small", 7007),) and facts.tokens == 7007
    choice = chosen(which, Asked(facts))
    assert names(choice) == ["a/small", "b/large"]
    assert [(one.target.name, one.reason) for one in choice.left_out] == [("c/other", "context 8,192 < 9,000")]


def test_a_count_that_is_too_long_is_not_in_doubt() -> None:
    """An estimate of 12,000 may be wrong by half; where they were counted it is told at once."""
    which = route(SMALL)
    assert names(chosen(which, Asked(Facts(12_000)))) == ["a/small"]
    choice = chosen(which, Asked(Facts(12_000, counted=(("a/small", 12_000),))))
    assert names(choice) == [] and choice.left_out[0].kind is FailureKind.CONTEXT_LENGTH
    assert names(chosen(which, Asked(Facts(12_000, counted=(("a/small", 8_300),))))) == ["a/small"]


def test_one_vocabulary_counts_once_and_one_that_is_not_loaded_not_at_all() -> None:
    one, other, absent = Words(), Words(), Words("")
    which = route(SMALL, OTHER, target("e/third", Ability(context=8192)))
    edges = edges_of(which, [t.name for t in which.targets])
    tokenizers = {"a/small": one, "c/other": other, "e/third": absent}
    facts = counted(edges, tokenizers, Facts(8000), NONE, said(7000))
    assert facts.counted == (("a/small", 7007), ("c/other", 7007))
    assert (one.texts > 0, other.texts, absent.texts) == (True, 0, 0)
    assert counted(edges, dict.fromkeys(tokenizers, absent), Facts(8000), NONE, said(7000)) == Facts(8000)


def test_a_plain_request_costs_no_look_at_its_text() -> None:
    words = Words()
    which = route(SMALL, LARGE)
    facts = counted(edges_of(which, ["a/small", "b/large"]), {"a/small": words, "b/large": words}, Facts(100), NONE, {})
    assert (facts, words.texts) == (Facts(100), 0)
    assert edges_of(which, []) is None


def test_a_rule_goes_by_what_was_counted() -> None:
    rules = (Rule(When(tokens=(8001, float("inf"))), "b/large"),)
    which = route(LARGE, target("d/unknown"), rules=rules)
    assert chosen(which, Asked(Facts(6000, counted=(("b/large", 9000),)))).rule == 0
    assert chosen(which, Asked(Facts(9000, counted=(("b/large", 6000),)))).rule is None


def test_costs_go_by_what_was_counted() -> None:
    wish = Wish(max_cost=Decimal("0.005"))
    which = route(target("a/small", price="1/2"))
    assert names(chosen(which, Asked(Facts(6000, 1, counted=(("a/small", 4000),)), wish))) == ["a/small"]
    choice = chosen(which, Asked(Facts(4000, 1, counted=(("a/small", 6000),)), wish))
    assert [one.reason for one in choice.left_out] == ["would cost $0.006002 > $0.005"]


def test_rounded_facts_are_no_longer_counted() -> None:
    assert rounded(Facts(10, counted=(("a/small", 3),))) == Facts(10)


@settings(max_examples=200, deadline=None)
@given(
    st.integers(1, 20_000),
    st.one_of(st.none(), st.integers(1, 9000)),
    st.floats(LEAST, MOST),
    st.sampled_from([None, "0.0005", "0.002", "0.01"]),
)
def test_what_is_not_counted_would_have_been_decided_the_same(
    tokens: int, output: int | None, density: float, most: str | None
) -> None:
    """Whatever the tokenizer would have said, within the densities that tokenizers are known to have."""
    rules = (Rule(When(tokens=(3000, float("inf"))), "cheapest"),)
    which = route(SMALL, target("d/m", Ability(context=4096), "3/1"), rules=rules)
    facts, wish = Facts(tokens, output), Wish(max_cost=Decimal(most)) if most else NONE
    edges = edges_of(which, [one.name for one in which.targets])
    assert edges is not None
    close = near(edges, facts, wish)
    if most and output is None:
        return  # the usual length of an answer is a guess, too
    told = facts._replace(counted=tuple((one.name, int(tokens * density)) for one in which.targets))
    one, other = (choose(which, Asked(f, wish), {}, Seen(), lambda: 0.0) for f in (facts, told))
    assert one.rule == other.rule or len(close) == 2
    for target_ in which.targets:
        assert target_.name in close or one.rule != other.rule or _fate(one, target_) == _fate(other, target_)


def _fate(choice: Any, which: Target) -> str:
    behind = {one.name for one, _ in choice.behind}
    if which.name not in {one.name for one in choice.plan.targets}:
        return "out"
    return "behind" if which.name in behind else "in"
