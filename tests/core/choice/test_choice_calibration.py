"""How many tokens a model makes of a text is learnt from what its target reports, and nobody can talk it far off."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.ability import Ability
from proxy.core.choice.fitting import expected_cost, expected_dollars
from proxy.core.choice.measured import FRESH, Measured
from proxy.core.choice.ranking import Seen
from proxy.core.tokens import CALIBRATES, DENSITIES, calibrated
from tests.core.choice.choices import asked, chosen, names, route, target


@settings(max_examples=100, deadline=None)
@given(st.floats(0.5, 2.0), st.integers())
def test_what_is_reported_is_soon_what_is_expected(really: float, seed: int) -> None:
    dice, dense = random.Random(seed), 1.0
    for _ in range(150):
        estimate = dice.randrange(CALIBRATES, 20_000)
        dense = calibrated(dense, estimate, round(estimate * really * dice.uniform(0.9, 1.1)))
    assert abs(dense - really) < 0.05 * really


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(-5, 10**12)), max_size=300))
def test_whatever_is_reported_it_stays_within_bounds_and_moves_by_little_at_once(said: list[tuple[int, int]]) -> None:
    dense = 1.0
    for estimate, reported in said:
        before, dense = dense, calibrated(dense, estimate, reported)
        assert DENSITIES[0] <= dense <= DENSITIES[1]
        assert abs(dense - before) <= 0.11


def test_a_short_request_says_nothing() -> None:
    assert calibrated(1.0, CALIBRATES - 1, 500) == 1.0


def test_room_and_money_go_by_it() -> None:
    small, large = target("a/m", Ability(context=8000), price="1/1"), target("b/m", Ability(context=8000), price="1/1")
    seen = Seen(measured={"a/m": Measured(dense=1.25)})
    choice = chosen(route(small, large), asked(7000), seen)
    assert names(choice) == ["b/m"]
    assert choice.left_out[0].reason == "context 8,000 < 8,750"
    what = asked(4000, 1000).facts
    assert expected_cost(small, what, FRESH) == expected_cost(small, what, Measured(dense=1.0))
    cost, near = expected_cost(small, what, seen.of("a/m")), expected_dollars(small, what, seen.of("a/m"))
    assert cost is not None and near is not None
    assert float(cost) == near == 0.006
    assert names(chosen(route(small, large, strategy="cheapest"), asked(1000), seen)) == ["b/m", "a/m"]
