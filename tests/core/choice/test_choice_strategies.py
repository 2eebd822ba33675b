"""Each strategy keeps what it promises, whatever is known of the targets."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from math import log

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.choice.bandit import Trials, by_bound, counted, reward, rewarded
from proxy.core.choice.facts import Facts
from proxy.core.choice.fitting import expected_cost
from proxy.core.choice.measured import FRESH, Measured, measure
from proxy.core.choice.policy import Group, Member, Policy, Ucb, Weights
from proxy.core.choice.ranking import Candidate, Load, Seen
from proxy.core.choice.rotation import Ring, Turn
from proxy.core.choice.score import Part, scores
from proxy.core.choice.wish import Wish
from proxy.core.failure import FailureKind
from proxy.core.health import Health
from proxy.core.outcome import Ended
from proxy.core.price import Price
from proxy.core.route import Route
from proxy.core.usage import Usage
from tests.core.choice.choices import asked, chosen, names, outcome, route, target

A, B, C = target("a/m", price="3/3"), target("b/m", price="1/1"), target("c/m")


# weighted


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(0, 40))
def test_weighted_is_exact_over_each_window_of_its_weights(weights: list[int], start: int) -> None:
    given_ = [(f"t{place}", float(weight)) for place, weight in enumerate(weights)]
    turn = Ring(given_).first
    firsts = []
    for _ in range(start + sum(weights)):
        assert sorted(turn.order) == [name for name, _ in given_]
        firsts.append(turn.order[0])
        turn = turn.next
    seen = Counter(firsts[start:])
    assert [seen[name] for name, _ in given_] == weights


def test_weighted_is_smooth() -> None:
    turn = Ring([("a", 5), ("b", 1), ("c", 1)]).first
    firsts = ""
    for _ in range(7):
        firsts += turn.order[0]
        turn = turn.next
    assert firsts == "aabacaa"  # the example of nginx's own commit message (52327e0627f4)
    assert turn is turn.ring.first, "the sequence is worked out once"


def test_only_a_request_that_is_sent_moves_the_turns_on() -> None:
    which = route(A, B, strategy="weighted", weights=(1, 1))
    first, again = chosen(which), chosen(which)
    assert names(first) == names(again) == ["a/m", "b/m"]
    assert names(chosen(which, seen=Seen(turns=first.turns))) == ["b/m", "a/m"]


# least_*

measures = st.builds(
    Measured,
    first=st.none() | st.floats(0.001, 100),
    per_token=st.none() | st.floats(0.0001, 1),
    whole=st.none() | st.floats(0.0001, 1),
    at=st.just(0.0),
    output=st.none() | st.floats(0, 1000),
    cached=st.floats(0, 1),
    good=st.floats(0, 1),
    attempts=st.integers(0, 9),
    in_a_row=st.integers(0, 5),
    failed_at=st.floats(-400, 0),
    carries=st.none() | st.integers(1, 50),
    refused_at=st.just(0.0),
    dense=st.floats(0.25, 4),
    quality=st.none() | st.floats(0, 1),
)


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(["least_latency", "least_busy"]),
    st.lists(st.tuples(measures, st.integers(0, 50)), min_size=2, max_size=6),
    st.randoms(use_true_random=False),
)
def test_least_never_prefers_a_failing_target(
    strategy: str, known: list[tuple[Measured, int]], dice: random.Random
) -> None:
    targets = [target(f"t{place}/m") for place in range(len(known))]
    measured = {one.name: state for one, (state, _) in zip(targets, known, strict=True)}
    busy = {one.name: Load(count) for one, (_, count) in zip(targets, known, strict=True)}
    choice = chosen(
        route(*targets, strategy=strategy), seen=Seen(measured=measured, busy=busy.__getitem__), draw=dice.random
    )
    failing = [measured[name].failing(0.0) for name in names(choice)]
    assert failing == sorted(failing)
    assert sorted(names(choice)) == sorted(measured)


ends = st.sampled_from([Ended.FAILED, Ended.CUT])
kinds = st.sampled_from([FailureKind.RESET, FailureKind.RATE_LIMITED, FailureKind.SERVER_ERROR, FailureKind.REFUSED])


@settings(max_examples=200, deadline=None)
@given(measures, ends, kinds, st.floats(0, 100), st.floats(0, 1000))
def test_a_failure_makes_no_measure_better(
    known: Measured, ended: Ended, kind: FailureKind, seconds: float, now: float
) -> None:
    after = measure(known, outcome(ended, seconds=seconds, failure=kind), now, busy=3)
    assert after.failing(now)
    assert after.good <= known.good
    for before, since in ((known.first, after.first), (known.takes(10), after.takes(10))):
        assert before is None or (since is not None and since >= before)


def test_latency_rises_at_once_and_falls_by_and_by() -> None:
    state = measure(FRESH, outcome(first=0.1), 0.0)
    state = measure(state, outcome(first=2.0), 1.0)
    assert state.first == 2.0
    state = measure(state, outcome(first=0.1), 2.0)
    assert state.first is not None and 1.5 < state.first < 2.0
    for now in range(3, 60):
        state = measure(state, outcome(first=0.1), float(now))
    assert state.first is not None and state.first < 0.12


def test_a_refusal_of_the_request_itself_says_nothing_of_the_target() -> None:
    refusal = outcome(Ended.FAILED, failure=FailureKind.BAD_REQUEST)
    assert measure(FRESH, refusal, 1.0) == FRESH


def test_least_latency_takes_the_better_of_two_and_scales_with_what_waits_there() -> None:
    seen = Seen(measured={"a/m": Measured(first=1.0), "b/m": Measured(first=0.4)})
    which = route(A, B, strategy="least_latency")
    assert names(chosen(which, seen=seen)) == ["b/m", "a/m"]
    busy = {"a/m": Load(), "b/m": Load(2)}
    assert names(chosen(which, seen=replace(seen, busy=busy.__getitem__))) == ["a/m", "b/m"]
    long = Seen(measured={"a/m": Measured(first=1.0, per_token=0.001), "b/m": Measured(first=0.4, per_token=0.01)})
    assert names(chosen(which, asked(10, 20), long))[0] == "b/m"
    assert names(chosen(which, asked(10, 2000), long))[0] == "a/m"


def test_the_slowest_of_many_is_never_drawn_first() -> None:
    targets = [target(f"t{place}/m") for place in range(5)]
    measured = {one.name: Measured(first=1.0 + place) for place, one in enumerate(targets)}
    dice = random.Random(7)
    which = route(*targets, strategy="least_latency")
    firsts = Counter(names(chosen(which, seen=Seen(measured=measured), draw=dice.random))[0] for _ in range(500))
    assert firsts["t4/m"] == 0 and firsts["t0/m"] > firsts["t1/m"] > firsts["t2/m"]


@settings(max_examples=100, deadline=None)
@given(st.permutations([f"t{place}/m" for place in range(6)]), st.integers(2, 6), st.randoms(use_true_random=False))
def test_after_the_one_that_is_drawn_the_others_follow_from_the_best_on(
    best: list[str], count: int, dice: random.Random
) -> None:
    best = best[:count]
    measured = {name: Measured(first=1.0 + place) for place, name in enumerate(best)}
    which = route(*(target(name) for name in sorted(best)), strategy="least_latency")
    first, *others = names(chosen(which, seen=Seen(measured=measured), draw=dice.random))
    assert others == [name for name in best if name != first]


def test_a_target_that_failed_gets_another_chance() -> None:
    state = measure(Measured(first=0.1), outcome(Ended.FAILED, failure=FailureKind.RESET), 100.0)
    assert state.failing(105.0) and not state.failing(111.0)


def test_least_busy_counts_against_what_a_target_can_carry() -> None:
    which = route(A, B, strategy="least_busy")
    limits = {"a/m": Load(10, 100), "b/m": Load(3, 10)}
    assert names(chosen(which, seen=Seen(busy=limits.__getitem__))) == ["a/m", "b/m"]
    shown = Seen(measured={"a/m": Measured(carries=5)}, busy={"a/m": Load(4), "b/m": Load(4, 50)}.__getitem__)
    assert names(chosen(which, seen=shown)) == ["b/m", "a/m"]


# cheapest, score


def test_the_cheapest_for_this_request_comes_first_and_the_unknown_last() -> None:
    assert names(chosen(route(C, A, B, strategy="cheapest"))) == ["b/m", "a/m", "c/m"]
    reads = target("r/m", price="1/10")
    writes = target("w/m", price="5/1")
    which = route(reads, writes, strategy="cheapest")
    assert names(chosen(which, asked(10_000, 10)))[0] == "r/m"
    assert names(chosen(which, asked(10, 10_000)))[0] == "w/m"


parts = st.builds(
    Part,
    has=st.integers(0, 3),
    unknown=st.integers(0, 3),
    lacks=st.integers(0, 3),
    cost=st.none() | st.floats(0, 10),
    seconds=st.none() | st.floats(0, 100),
    good=st.floats(0, 1),
    quality=st.none() | st.floats(0, 1),
)
BETTER = [
    lambda part, by: part._replace(has=part.has + 1),
    lambda part, by: part._replace(has=part.has + part.lacks, lacks=0),
    lambda part, by: part if part.cost is None else part._replace(cost=part.cost * by),
    lambda part, by: part if part.seconds is None else part._replace(seconds=part.seconds * by),
    lambda part, by: part._replace(good=part.good + (1 - part.good) * by),
    lambda part, by: part if part.quality is None else part._replace(quality=part.quality + (1 - part.quality) * by),
]


@settings(max_examples=300, deadline=None)
@given(
    st.lists(parts, min_size=1, max_size=5),
    st.integers(0, 5),
    st.floats(0, 1),
    st.builds(Weights, *[st.floats(0, 1)] * 5),
    st.sampled_from(["", "high", "low"]),
)
def test_score_is_between_0_and_1_and_monotone_in_each_part(
    given_: list[Part], which: int, by: float, weights: Weights, priority: str
) -> None:
    before = scores(given_, weights, priority)
    after = scores([BETTER[which](given_[0], by), *given_[1:]], weights, priority)
    assert all(0 <= one <= 1 + 1e-9 for one in (*before, *after))
    assert after[0] >= before[0] - 1e-9


def test_what_matters_is_answered_soon_and_what_does_not_cheaply() -> None:
    quick = target("q/m", price="30/30")
    cheap = target("c/m", price="1/1")
    seen = Seen(measured={"q/m": Measured(first=0.2), "c/m": Measured(first=3.0)})
    which = route(quick, cheap, strategy="score")
    assert names(chosen(which, asked(wish=Wish(priority="high")), seen))[0] == "q/m"
    assert names(chosen(which, asked(wish=Wish(priority="low")), seen))[0] == "c/m"


def test_an_upstream_that_says_it_cached_more_than_there_was_does_not_cost_less_than_nothing() -> None:
    known = FRESH
    for _ in range(50):
        known = measure(known, outcome()._replace(usage=Usage(10, 5, 10**9)), 1.0)
    assert 0.9 < known.cached <= 1.0
    cheap = replace(target("a/m"), price=Price(Decimal(1), Decimal(0), Decimal("0.1")))
    cost = expected_cost(cheap, Facts(1000), known)
    assert cost is not None and cost > 0


def test_equals_stay_in_their_order() -> None:
    targets = [target(f"t{place}/m") for place in (3, 1, 2)]
    for strategy in ("score", "cheapest", "least_busy", "fallback_by_task", "ucb", "least_latency"):
        got = names(chosen(route(*targets[:2], strategy=strategy)))
        assert got == ["t3/m", "t1/m"], strategy


# ucb


def regret(arms: list[float], rounds: int, ucb: Ucb, seed: int, change: int = 0) -> tuple[float, list[str]]:
    """What is lost against the best arm; the arms pulled. From `change` on the arms stand in reverse."""
    dice = random.Random(seed)
    trials: dict[str, Trials] = {}
    lost, pulled = 0.0, []
    for now in range(rounds):
        means = arms[::-1] if change and now >= change else arms
        name = by_bound([str(arm) for arm in range(len(arms))], trials, ucb, float(now))[0]
        mean = means[int(name)]
        trials[name] = rewarded(trials.get(name, Trials()), float(dice.random() < mean), float(now), ucb.window)
        lost += max(means) - mean
        pulled.append(name)
    return lost, pulled


def test_the_regret_of_ucb_grows_as_log_n_and_beats_turns() -> None:
    arms, ucb = [0.3, 0.5, 0.8], Ucb(window=1e9)
    early = sum(regret(arms, 1000, ucb, seed)[0] for seed in range(5)) / 5
    late = sum(regret(arms, 8000, ucb, seed)[0] for seed in range(5)) / 5
    in_turn = 8000 * (0.8 - sum(arms) / 3)
    assert late < in_turn / 10
    assert late / early < 2 * log(8000) / log(1000)  # linear regret would have grown eightfold


def test_ucb_follows_when_the_best_arm_changes() -> None:
    _, pulled = regret([0.2, 0.5, 0.9], 6000, Ucb(window=1000.0), 3, change=3000)
    assert Counter(pulled[2000:3000])["2"] > 700
    assert Counter(pulled[5000:])["0"] > 700


def test_each_is_tried_some_times_before_it_is_judged() -> None:
    trials = {"a": rewarded(Trials(), 1.0, 0.0, 100.0)}
    assert by_bound(["a", "b"], trials, Ucb(), 0.0) == ["b", "a"]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 5000), st.floats(0, 1)), max_size=200))
def test_a_window_holds_what_is_in_it_in_constant_memory(given_: list[tuple[float, float]]) -> None:
    trials = Trials()
    times = sorted(given_)
    for now, worth in times:
        trials = rewarded(trials, worth, now, 1200.0)
        assert len(trials.parts) <= 12
    if times:
        last = times[-1][0]
        count, _ = counted(trials, last, 1200.0)
        assert sum(now > last - 1100 for now, _ in times) <= count <= sum(now > last - 1200 for now, _ in times)


def test_a_failure_is_worth_nothing_and_quick_and_cheap_is_worth_more() -> None:
    ucb = Ucb()
    assert reward(ucb, served=False, seconds=0.1, cost=0.0) == 0.0
    slow, quick = (reward(ucb, served=True, seconds=s, cost=0.001) for s in (5.0, 0.1))
    assert 0 < slow < quick < 1
    assert reward(ucb, served=True, seconds=1.0, cost=0.1) < reward(ucb, served=True, seconds=1.0, cost=0.0)


# fallback_by_task, custom, groups and the rest


def test_where_nothing_is_worth_anything_answers_are_still_better_than_failures() -> None:
    nothing = Ucb(success=0, latency=0, cost=0, quality=0)
    assert reward(nothing, served=True, seconds=1, cost=None, quality=0.5) == 1.0
    assert reward(nothing, served=False, seconds=1, cost=None) == 0.0


def test_a_task_has_its_own_order() -> None:
    which = route(A, B, C, strategy="fallback_by_task", tasks={"code_generation": ("c/m", "b/m")})
    assert names(chosen(which, asked(wish=Wish(task="code_generation")))) == ["c/m", "b/m", "a/m"]
    assert names(chosen(which, asked(wish=Wish(task="analysis")))) == ["a/m", "b/m", "c/m"]


def test_a_task_may_have_weights_exact_over_a_window() -> None:
    """Those with a weight take turns, then come the others that are named, then the rest."""
    targets = [target(f"{letter}/m") for letter in "abcd"]
    weights = {"code": (("a/m", 3.0), ("c/m", 1.0))}
    which = route(*targets, strategy="fallback_by_task", tasks={"code": ("a/m", "c/m", "d/m")}, task_weights=weights)
    turns: dict[Ring, Turn] = {}
    orders = []
    for _ in range(8):
        choice = chosen(which, asked(wish=Wish(task="code")), Seen(turns=turns))
        turns.update(choice.turns)
        orders.append(names(choice))
    assert Counter(order[0] for order in orders) == {"a/m": 6, "c/m": 2}
    assert {tuple(order[2:]) for order in orders} == {("d/m", "b/m")}
    assert names(chosen(which)) == ["a/m", "b/m", "c/m", "d/m"]


def test_a_function_of_the_operators_may_order_them() -> None:
    def longest_name(candidates: Sequence[Candidate], facts: Facts) -> list[str]:
        assert facts.input == 100
        return [one.target.name for one in sorted(candidates, key=lambda one: one.cost or 0.0)]

    assert names(chosen(route(A, B, C, strategy="custom"), custom=longest_name)) == ["c/m", "b/m", "a/m"]


def test_where_it_raises_their_order_holds_and_it_is_said() -> None:
    def broken(_candidates: Sequence[Candidate], _facts: Facts) -> list[str]:
        raise ZeroDivisionError("oh")

    choice = chosen(route(A, B, strategy="custom"), custom=broken)
    assert names(choice) == ["a/m", "b/m"]
    assert choice.trouble == "ZeroDivisionError: oh"


def test_a_text_in_the_place_of_names_is_said_too() -> None:
    choice = chosen(route(target("a/m"), target("b/m"), strategy="custom"), custom=lambda *_: "b/m")
    assert names(choice) == ["a/m", "b/m"]
    assert choice.trouble == "TypeError: it gave a text, where names in their order are expected"


def test_groups_nest_each_with_its_own_strategy() -> None:
    dear = Group("dear", (Member("a/m"), Member("c/m")), "weighted")
    top = Group("", (Member("dear", group=dear), Member("b/m")), "cheapest")
    which = Route("r", (A, B, C), policy=Policy(top, {"dear": dear}))
    first = chosen(which)
    assert names(first) == ["b/m", "a/m", "c/m"]
    assert names(chosen(which, seen=Seen(turns=first.turns))) == ["b/m", "c/m", "a/m"]


def test_after_a_failure_comes_another_backend() -> None:
    same = [target("a/1"), target("a/2"), target("b/1"), target("a/3")]
    assert names(chosen(route(*same, prefer_other_backend=True))) == ["a/1", "b/1", "a/2", "a/3"]


def test_one_that_failed_is_left_out_for_as_long_as_the_route_says() -> None:
    seen = Seen(now=100.0, measured={"a/m": Measured(in_a_row=1, failed_at=40.0)})
    choice = chosen(route(A, B, exclude_failed=1800.0), seen=seen)
    assert names(choice) == ["b/m"]
    assert choice.left_out[0].reason == "failed 60 s ago"
    assert names(chosen(route(A, exclude_failed=1800.0), seen=seen)) == ["a/m"]
    assert names(chosen(route(A, B, exclude_failed=30.0), seen=seen)) == ["a/m", "b/m"]


def test_a_conversation_stays_with_its_target_while_that_is_well() -> None:
    which = route(A, B, strategy="cheapest", sticky=True)
    assert names(chosen(which, seen=Seen(last="a/m"))) == ["a/m", "b/m"]
    ill = Seen(last="a/m", measured={"a/m": Measured(in_a_row=1, failed_at=0.0)})
    assert names(chosen(which, seen=ill)) == ["b/m", "a/m"]


@pytest.mark.parametrize("strategy", ["order", "weighted", "cheapest", "score", "ucb", "least_busy", "least_latency"])
def test_what_is_out_of_order_is_planned_as_ever(strategy: str) -> None:
    spent = Health(cool_until=50.0, cooled_at=1.0, cause=FailureKind.RATE_LIMITED, foretold=True)
    cooling = spent._replace(foretold=False)
    choice = chosen(route(A, B, C, strategy=strategy), seen=Seen(now=5.0), health={"b/m": cooling, "a/m": spent})
    assert names(choice) == ["c/m", "a/m"]
    assert [one.target.name for one in choice.plan.skipped] == ["b/m"]
