"""What holds for a key on a route takes from windows that other keys share, as if each window was asked for itself."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.limiting.meter import Meter
from proxy.core.limiting.values import TOKENS, Limits, Rate
from proxy.engine.scopes import Bounds, Held, Scope

ALL = (Rate("requests", 6, 10.0), Rate(TOKENS, 40, 60.0, fixed=True))
OWN = {"a": (Rate("requests", 3, 7.0, fixed=True),), "b": (Rate("requests", 4, 3.0), Rate(TOKENS, 30, 20.0)), "c": ()}
COME = st.tuples(st.sampled_from("abc"), st.integers(0, 12), st.floats(0, 9) | st.just(0.0))


@settings(max_examples=300, deadline=None)
@given(st.lists(COME, max_size=60))
def test_whoever_comes_is_let_in_as_if_each_window_was_asked(coming: list[tuple[str, int, float]]) -> None:
    everybody = Scope("all", Limits(ALL))
    bounds = {key: Bounds([everybody, Scope(key, Limits(rates))]) for key, rates in OWN.items()}
    meters = {key: (Meter(rates),) for key, rates in OWN.items()}
    shared, now = Meter(ALL), 1000.0
    for key, tokens, later in coming:
        now += later
        meter = meters[key][0]
        fits = shared.wait(tokens, now) == 0 and meter.wait(tokens, now) == 0
        if fits:
            shared.attempt(tokens, now), meter.attempt(tokens, now)
        assert Held(bounds[key], tokens).attempt(now) is fits


def test_windows_of_no_limit_are_never_due() -> None:
    bounds = Bounds([Scope("key 'a'", Limits(concurrency=1))])
    assert Held(bounds).attempt(1.0) and not Held(bounds).attempt(2.0)
    assert bounds.due == float("inf")
