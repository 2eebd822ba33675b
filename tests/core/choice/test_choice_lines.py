"""What is worked out once for all requests of a moment is what would be worked out for each of them."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.ability import Ability
from proxy.core.choice.choose import shortlist
from proxy.core.choice.facts import Facts, rounded
from proxy.core.choice.fitting import expected_cost, expected_dollars
from proxy.core.choice.lines import Lines, part_of
from proxy.core.choice.measured import Measured
from proxy.core.choice.policy import Weights
from proxy.core.choice.ranked import Shared
from proxy.core.choice.ranking import Seen
from proxy.core.choice.rules import Asked
from proxy.core.choice.score import scores
from proxy.core.price import Price
from proxy.core.route import Target
from tests.core.choice.choices import route, target

prices = st.none() | st.builds(
    lambda into, out, cached, more: Price(
        Decimal(into) / 100,
        Decimal(out) / 100,
        None if cached is None else Decimal(into * cached) / 1000,
        tiers=() if more is None else ((more, Price(Decimal(into) / 50, Decimal(out) / 50)),),
    ),
    st.integers(0, 1000),
    st.integers(0, 5000),
    st.none() | st.integers(0, 10),
    st.none() | st.integers(1000, 200_000),
)
known = st.builds(
    lambda first, per_token, output, cached, good, dense, in_a_row: Measured(
        first, per_token, output=output, cached=cached, good=good, dense=dense, in_a_row=in_a_row
    ),
    st.none() | st.floats(0.01, 10),
    st.none() | st.floats(0.001, 0.1),
    st.none() | st.floats(1, 3000),
    st.floats(0, 1),
    st.floats(0, 1),
    st.floats(0.4, 2.5),
    st.integers(0, 2),
)
targets = st.lists(st.tuples(prices, st.none() | st.integers(500, 300_000), known), min_size=1, max_size=6)
wants = st.builds(
    lambda tokens, output, needs: Facts(tokens, output, frozenset(needs)),
    st.integers(0, 250_000),
    st.none() | st.integers(1, 5000),
    st.sets(st.sampled_from(["tools", "vision"])),
)


def made(given_: list[tuple[Price | None, int | None, Measured]]) -> list[tuple[Target, Measured]]:
    return [
        (Target(f"t{place}/m", f"t{place}", "m", price=price, ability=Ability(context=context)), one)
        for place, (price, context, one) in enumerate(given_)
    ]


@settings(max_examples=300, deadline=None)
@given(targets, wants, st.sampled_from(["", "high", "low"]))
def test_lines_tell_the_costs_and_scores_of_each_request_they_hold_for(
    given_: list[tuple[Price | None, int | None, Measured]], facts: Facts, priority: str
) -> None:
    pairs = made(given_)
    lines = Lines(pairs, facts, 0.0)
    if facts.input > lines.holds:
        return
    costs = [expected_dollars(one, facts, measured) for one, measured in pairs]
    assert lines.costs(facts.input) == pytest.approx(costs, abs=1e-12)
    parts = [
        part_of(one, measured, facts, 0.0)._replace(cost=cost)
        for (one, measured), cost in zip(pairs, costs, strict=True)
    ]
    assert lines.scores(facts.input, Weights(), priority) == pytest.approx(scores(parts, Weights(), priority))


@settings(max_examples=200, deadline=None)
@given(targets, wants)
def test_what_targets_are_compared_by_is_what_a_request_is_expected_to_cost(
    given_: list[tuple[Price | None, int | None, Measured]], facts: Facts
) -> None:
    for one, measured in made(given_):
        exact, near = expected_cost(one, facts, measured), expected_dollars(one, facts, measured)
        if exact is None or near is None:
            assert exact is None and near is None
        else:
            assert float(exact) == pytest.approx(near, rel=0.03, abs=1e-4)


@settings(max_examples=200, deadline=None)
@given(targets, st.lists(wants, min_size=1, max_size=8), st.sampled_from(["cheapest", "score", "least_latency"]))
def test_sharing_changes_no_choice(
    given_: list[tuple[Price | None, int | None, Measured]], several: list[Facts], strategy: str
) -> None:
    pairs = made(given_)
    which = route(*(one for one, _ in pairs), target("z/last"), strategy=strategy)
    seen, shared = Seen(measured={one.name: measured for one, measured in pairs}), Shared()
    for facts in several:
        alone = shortlist(which, Asked(facts, plain=True), None, {}, seen, lambda: 0.0)
        among = shortlist(which, Asked(facts, plain=True), None, {}, seen, lambda: 0.0, None, shared)
        again = shortlist(which, Asked(rounded(facts), plain=True), None, {}, seen, lambda: 0.0, None, shared)
        for draw in (0.0, 0.7):
            first = alone.choice(lambda: draw, {})  # noqa: B023  # it is called at once
            assert among.choice(lambda: draw, {}) == first  # noqa: B023
            assert again.choice(lambda: draw, {}) == first  # noqa: B023
