"""A share of the requests may do something dear, and a storm may not."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.retry_budget import WINDOW, RetryBudget, allowed, earned, spent


@settings(deadline=None)
@given(st.lists(st.floats(0, 0.01), min_size=50, max_size=400), st.sampled_from([0.05, 0.2]))
def test_in_a_storm_no_more_than_the_share_is_used(gaps: list[float], share: float) -> None:
    budget, now, uses = RetryBudget(share), 0.0, 0
    for gap in gaps:
        now += gap
        budget = earned(budget, now)
        if allowed(budget, now):
            budget = spent(budget, now)
            uses += 1
    assert uses <= 1 + share * len(gaps) + now / WINDOW * budget.least


def test_a_quiet_gateway_may_do_it_once_in_a_while() -> None:
    budget = spent(RetryBudget(0.05), 100.0)
    assert not allowed(budget, 100.0)
    assert allowed(budget, 100.0 + WINDOW)


def test_a_quiet_hour_saves_nothing_up() -> None:
    budget = RetryBudget(0.2)
    for n in range(100):
        budget = earned(budget, n / 100)
    assert not allowed(spent(budget._replace(saved=budget.least, since=3600.0), 3600.0), 3600.0)
    assert allowed(budget, 3600.0)
    assert budget.saved <= budget.most
