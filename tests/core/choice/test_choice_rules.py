"""Rules: the first that holds says what is used; those that can never be used are named; nothing is executed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.choice.facts import Facts
from proxy.core.choice.flaws import contradiction, covers, flaws, together_cover
from proxy.core.choice.measured import Measured
from proxy.core.choice.policy import Group, Member, Policy, Rule, When
from proxy.core.choice.ranking import Seen
from proxy.core.choice.rules import Asked, holds, priority_of
from proxy.core.choice.wish import Wish
from proxy.core.route import Route
from tests.core.choice.choices import asked, chosen, names, route, target
from tests.examples import many

INF = float("inf")
ASKED = Asked(
    Facts(9000, 100, frozenset({"tools"}), True, "gpt-4o-mini"),
    Wish(priority="high", task="analysis", agent="bot", tags=frozenset({"night", "x"})),
    "team-a",
    {b"x-team": b"search-eu"},
)


@pytest.mark.parametrize(
    ("when", "so"),
    [
        (When(), True),
        (When(priority="high"), True),
        (When(priority="low"), False),
        (When(task="analysis", agent="bot", tag="night", key="team-a"), True),
        (When(tag="day"), False),
        (When(tokens=(8001, INF)), True),
        (When(tokens=(0, 8000)), False),
        (When(output=(0, 100)), True),
        (When(has=frozenset({"tools"})), True),
        (When(has=frozenset({"tools", "vision"})), False),
        (When(hour=(22, 6)), True),
        (When(hour=(6, 22)), False),
        (When(header=(("x-team", "search-*"),)), True),
        (When(header=(("x-team", "search"),)), False),
        (When(header=(("x-none", "*"),)), False),
        (When(model_matches="gpt-4o*"), True),
        (When(model_matches="gpt-4?-*"), False),
    ],
)
def test_all_that_a_rule_says_must_hold(when: When, so: bool) -> None:
    assert holds(when, ASKED, 23) is so


def test_the_first_that_holds_says_what_is_used() -> None:
    a, b, c = target("a/m", price="2/2"), target("b/m", price="1/1"), target("c/m", price="0/0")
    small = Group("small", (Member("b/m"), Member("c/m")))
    rules = (
        Rule(When(priority="high"), "a/m"),
        Rule(When(tokens=(0, 1000)), "small"),
        Rule(When(), "cheapest", Wish(exclude=frozenset({"c"}))),
    )
    which = Route("r", (a, b, c), policy=Policy(route(a, b, c).policy.top, {"small": small}, rules=rules))  # type: ignore[union-attr]  # it has one
    urgent = chosen(which, asked(10, wish=Wish(priority="high")))
    assert (names(urgent), urgent.rule) == (["a/m"], 0)
    little = chosen(which, asked(10))
    assert (names(little), little.rule) == (["b/m", "c/m"], 1)
    rest = chosen(which, asked(5000))
    assert (names(rest), rest.rule, rest.strategy) == (["b/m", "a/m"], 2, "cheapest")


def test_the_hour_is_given_from_outside() -> None:
    night = (Rule(When(hour=(22, 6)), "b/m"),)
    which = route(target("a/m"), target("b/m"), rules=night)
    assert names(chosen(which, seen=Seen(hour=3))) == ["b/m"]
    assert names(chosen(which, seen=Seen(hour=12))) == ["a/m", "b/m"]


def test_rules_that_are_never_used_are_named() -> None:
    rules = [
        Rule(When(tokens=(1000, INF)), "a"),
        Rule(When(tokens=(5000, 6000), priority="high"), "b"),
        Rule(When(tokens=(10, 5)), "b"),
        Rule(When(hour=(3, 3)), "b"),
        Rule(When(priority="low")),
        Rule(When(), "a"),
        Rule(When(key="k"), "a"),
        Rule(When(has=frozenset({"embeddings", "tools"})), "a"),
        Rule(When(key="j"), "a/m", Wish(exclude=frozenset({"a"}))),
        Rule(When(key="j"), "", Wish(only=frozenset({"a"}), exclude=frozenset({"a"}))),
    ]
    assert dict(flaws(rules)) == {
        1: "is never reached: rule 1 holds whenever this one does",
        2: "can never hold: `tokens` has nothing between its bounds",
        3: "can never hold: `hour` begins when it ends",
        4: "says neither `use` nor `set`",
        6: "is never reached: rule 6 holds whenever this one does",
        7: "can never hold: a request for vectors needs nothing else, and has no `output`",
        8: "can never hold: `set` leaves out a/m, which it is to use",
        9: "can never hold: `set` excludes all that it wants",
    }


@pytest.mark.parametrize(
    ("before", "then"),
    [
        ([When(priority=word) for word in ("high", "normal", "low")], When(key="k")),
        ([When(tokens=(0, 8000)), When(tokens=(8001, INF))], When()),
        ([When(hour=(22, 6)), When(hour=(6, 12)), When(hour=(12, 22))], When(task="t")),
        ([When(tokens=(0, 10), hour=(0, 24)), When(tokens=(11, INF), priority="low")], When(priority="low")),
        ([When(model_matches="gpt-*"), When(key="x")], When(model_matches="gpt-4*")),
    ],
)
def test_what_several_rules_leave_nothing_to_is_named(before: list[When], then: When) -> None:
    rules = [*(Rule(when, "a") for when in before), Rule(then, "b")]
    assert [place for place, _ in flaws(rules)] == [len(before)]
    if len(before) > 1:
        assert list(flaws([*rules[1:]])) == [] or then.model_matches


def test_where_something_is_left_nothing_is_named() -> None:
    """A request that says no output is meant by none of them; an hour and a token are left by the others."""
    for before, then in (
        ([When(output=(0, 10)), When(output=(11, INF))], When()),
        ([When(tokens=(0, 8000)), When(tokens=(8002, INF))], When()),
        ([When(hour=(22, 6)), When(hour=(7, 22))], When()),
        ([When(header=(("a", "x*"),)), When(header=(("a", "y*"),))], When(header=(("a", "*"),))),
    ):
        assert list(flaws([*(Rule(when, "a") for when in before), Rule(then, "b")])) == []


def test_a_hundred_rules_with_bounds_of_all_kinds_are_checked_at_once() -> None:
    rules = [
        Rule(When(tokens=(n, 2 * n), output=(n, 3 * n), hour=(n % 24, (n + 5) % 24), key=str(n % 3)), "a")
        for n in range(1, 100)
    ]
    assert list(flaws(rules)) == []


spans = st.none() | st.tuples(st.integers(0, 30), st.integers(0, 30))
words = st.sampled_from(["", "x", "y"])
whens = st.builds(
    When,
    priority=st.sampled_from(["", "high", "normal"]),
    task=words,
    agent=words,
    tag=words,
    key=words,
    tokens=spans,
    output=spans,
    has=st.frozensets(st.sampled_from(["tools", "vision"])),
    hour=st.none() | st.tuples(st.integers(0, 23), st.integers(0, 23)),
    header=st.sampled_from([(), (("x-a", "x"),), (("x-a", "x"), ("x-b", "*"))]),
    model_matches=st.sampled_from(["", "x*", "y", "*", "*y"]),
)


def request(draw: Any) -> tuple[Asked, int]:
    some = st.sampled_from(["", "x", "y"])
    facts = Facts(
        draw(st.integers(0, 30)),
        draw(st.none() | st.integers(0, 30)),
        draw(st.frozensets(st.sampled_from(["tools", "vision"]))),
        True,
        draw(some),
    )
    wish = Wish(
        priority=draw(st.sampled_from(["", "high"])), task=draw(some), agent=draw(some), tags=frozenset({draw(some)})
    )
    headers = draw(st.sampled_from([{}, {b"x-a": b"x"}, {b"x-a": b"x", b"x-b": b"z"}]))
    return Asked(facts, wish, draw(some), headers), draw(st.integers(0, 23))


@settings(max_examples=many(400), deadline=None)
@given(whens, whens, st.data())
def test_what_is_called_unreachable_or_contradictory_never_holds(one: When, other: When, data: st.DataObject) -> None:
    what, hour = request(data.draw)
    if contradiction(Rule(other)):
        assert not holds(other, what, hour)
    elif covers(one, other) and holds(other, what, hour):
        assert holds(one, what, hour)


@settings(max_examples=many(400), deadline=None)
@given(st.lists(whens, min_size=2, max_size=5), whens, st.data())
def test_what_several_are_said_to_cover_they_do(several: list[When], other: When, data: st.DataObject) -> None:
    what, hour = request(data.draw)
    if together_cover(several, other) and holds(other, what, hour):
        assert any(holds(one, what, hour) for one in several)


def test_a_pattern_is_no_expression() -> None:
    assert not holds(When(model_matches="gpt-[0-9]"), Asked(Facts(1, model="gpt-4")), 0)
    assert holds(When(model_matches="gpt-[0-9]"), Asked(Facts(1, model="gpt-[0-9]")), 0)


def test_the_priority_that_a_rule_sets_counts_and_not_the_request_s() -> None:
    rules = (Rule(When(tag="night"), set=Wish(priority="low")), Rule(When(tag="x"), "cheapest"))
    assert priority_of(rules, ASKED, 12) == "low"
    assert priority_of(rules[1:], ASKED, 12) == "high"
    assert priority_of((), Asked(Facts(1)), 12) == ""


def test_score_goes_by_the_priority_that_a_rule_sets() -> None:
    """What costs more is quicker here, and comes first for those in a hurry."""
    dear, cheap = target("q/m", price="30/30"), target("c/m", price="1/1")
    seen = Seen(measured={"q/m": Measured(first=0.2), "c/m": Measured(first=3.0)})
    for rule, request, first in (("high", "low", "q/m"), ("low", "high", "c/m")):
        which = route(dear, cheap, strategy="score", rules=(Rule(When(), set=Wish(priority=rule)),))
        assert names(chosen(which, asked(wish=Wish(priority=request)), seen))[0] == first
