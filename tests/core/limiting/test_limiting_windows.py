"""Windows of requests and tokens: never more than allowed, and no more refused than needed."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.limiting.meter import Meter, Said
from proxy.core.limiting.values import Rate, span
from proxy.core.limiting.window import CELLS, Fixed, Sliding

GAPS = st.lists(st.tuples(st.floats(0, 20), st.integers(1, 40)), min_size=1, max_size=120)


def _most(through: list[tuple[float, int]], per: float) -> int:
    """The most that any half-open stretch of this length holds."""
    return max((sum(n for t, n in through if end - per < t <= end) for end, _ in through), default=0)


@settings(max_examples=150, deadline=None)
@given(GAPS, st.integers(1, 200), st.floats(0.5, 100))
def test_a_sliding_window_never_lets_more_through_than_allowed_over_any_stretch(
    gaps: list[tuple[float, int]], limit: int, per: float
) -> None:
    window = Sliding(Rate("tokens", limit, per))
    now, through = 0.0, list[tuple[float, int]]()
    for gap, amount in gaps:
        now += gap
        fits = window.wait(amount, now) == 0
        assert window.attempt(amount, now) == fits
        if fits:
            through.append((now, amount))
    assert _most(through, per) <= limit
    assert len(window) <= CELLS + 2


@settings(max_examples=150, deadline=None)
@given(GAPS, st.integers(1, 200), st.floats(0.5, 100))
def test_it_refuses_only_what_would_be_too_much_within_a_64th_of_the_window(
    gaps: list[tuple[float, int]], limit: int, per: float
) -> None:
    window = Sliding(Rate("tokens", limit, per))
    grain = per / CELLS if limit > 0 else 0.0
    now, through = 0.0, list[tuple[float, int]]()
    for gap, amount in gaps:
        now += gap
        wait = window.wait(amount, now)
        if wait == 0:
            window.take(amount, now)
            through.append((now, amount))
        else:
            lately = sum(n for t, n in through if t > now - per - grain * 1.000001)
            assert lately + amount > limit
            assert (wait == inf) == (amount > limit)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(0, 3), min_size=1, max_size=200), st.integers(1, 60))
def test_few_requests_are_counted_exactly(gaps: list[float], limit: int) -> None:
    window = Sliding(Rate("requests", limit, 10.0))
    now, through = 0.0, list[float]()
    for gap in gaps:
        now += gap
        fits = sum(t > now - 10.0 for t in through) < limit
        assert (window.wait(1, now) == 0) == fits
        if fits:
            window.take(1, now)
            through.append(now)


@settings(max_examples=100, deadline=None)
@given(GAPS, st.integers(1, 200), st.booleans())
def test_the_wait_is_honest_then_it_fits_and_a_moment_before_it_does_not(
    gaps: list[tuple[float, int]], limit: int, fixed: bool
) -> None:
    window = Fixed(Rate("tokens", limit, 30.0, True), 7.0) if fixed else Sliding(Rate("tokens", limit, 30.0))
    now = 0.0
    for gap, amount in gaps:
        now += gap
        wait = window.wait(amount, now)
        if 0.001 < wait < inf:
            assert window.wait(amount, now + wait - 0.001) > 0
            now += wait + 1e-6
            assert window.wait(amount, now) == 0
        if amount <= limit:
            window.take(amount, now)


@settings(max_examples=100, deadline=None)
@given(GAPS, st.integers(1, 200), st.floats(-1e6, 1e6))
def test_a_fixed_window_is_exact_in_each_of_its_stretches(
    gaps: list[tuple[float, int]], limit: int, epoch: float
) -> None:
    window = Fixed(Rate("tokens", limit, 60.0, True), epoch)
    now, used = 0.0, dict[int, int]()
    for gap, amount in gaps:
        now += gap
        at = int((now - epoch) // 60.0)
        fits = used.get(at, 0) + amount <= limit
        assert (window.wait(amount, now) == 0) == fits
        assert window.attempt(amount, now) == fits
        if fits:
            used[at] = used.get(at, 0) + amount


def test_a_fixed_minute_begins_with_the_minute_of_utc() -> None:
    monotonic, unix = 5000.0, 1_800_000_030.0
    window = Fixed(Rate("requests", 1, 60.0, True), monotonic - unix)
    window.take(1, monotonic)
    assert window.wait(1, monotonic) == pytest.approx(30.0)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 5), st.integers(0, 50), st.integers(0, 80)), min_size=1, max_size=80))
def test_settled_tokens_count_as_they_really_were(steps: list[tuple[float, int, int]]) -> None:
    meter = Meter((Rate("tokens", 500, 60.0), Rate("requests", 1000, 60.0)))
    now, real = 0.0, list[tuple[float, int]]()
    for gap, guess, tokens in steps:
        now += gap
        if meter.wait(guess, now) == 0:
            assert meter.attempt(guess, now)
            meter.settle(now, tokens - guess)
            real.append((now, tokens))
    exact = sum(n for t, n in real if t > now - 60.0)
    late = sum(n for t, n in real if t > now - 60.0 - 60.0 / CELLS)
    assert exact <= 500 - (meter.windows[0].rate.amount - meter.windows[0].used) <= late or meter.windows[0].used > 500
    assert meter.windows[0].used >= exact


def test_what_was_given_back_is_there_again_and_leaves_nothing_behind() -> None:
    meter = Meter((Rate("requests", 20, 60.0), Rate("tokens", 1000, 60.0)))
    for round_ in range(1000):
        for _ in range(20):
            meter.take(50, round_ / 1000)
        assert meter.wait(50, round_ / 1000) > 0
        for _ in range(20):
            meter.give_back(round_ / 1000, 50)
        assert meter.wait(1000, round_ / 1000) == 0
    assert sum(map(len, meter.windows)) <= CELLS + 2


def test_what_was_settled_after_its_window_is_over_changes_nothing_that_came_later() -> None:
    meter = Meter((Rate("tokens", 100, 10.0), Rate("tokens", 100, 10.0, True)))
    meter.take(90, 0.0)
    meter.take(50, 20.0)
    meter.settle(0.0, 5 - 90)
    assert meter.wait(50, 20.0) == 0
    assert meter.wait(51, 20.0) > 0


def test_a_clock_that_goes_back_stands_still() -> None:
    window = Sliding(Rate("requests", 2, 10.0))
    window.take(1, 100.0)
    window.take(1, 50.0)
    assert window.wait(1, 109.0) > 0
    assert window.wait(1, 110.5) == 0


def test_all_windows_or_none_and_the_longest_wait_is_told_with_its_window() -> None:
    minute, day = Rate("requests", 2, 60.0), Rate("tokens", 1000, 86400.0)
    meter = Meter((minute, day))
    meter.take(900, 0.0)
    assert meter.why(50, 1.0).wait == 0
    assert meter.why(200, 1.0).rate is day
    assert meter.why(2000, 1.0).wait == inf
    meter.take(50, 0.0)
    assert meter.why(10, 1.0).rate is minute
    assert meter.wait(10, 1.0) == pytest.approx(59.0)


def test_a_providers_word_counts_where_it_is_less_than_ours() -> None:
    meter = Meter((Rate("requests", 100, 60.0),))
    meter.hear([Said("requests", 1, 30.0, 60.0)], 0.0)
    assert meter.wait(0, 0.0) == 0
    meter.take(0, 0.0)
    assert meter.wait(0, 0.0) == pytest.approx(30.0 / 59, rel=0.1)  # its bucket fills steadily
    assert meter.why(0, 0.0).rate is None
    assert meter.wait(0, 31.0) == 0
    meter.forget(31.0)
    assert not meter.said


def test_without_its_whole_limit_a_providers_word_holds_until_its_reset() -> None:
    meter = Meter((Rate("tokens", 10_000, 60.0),))
    meter.hear([Said("tokens", 100, 20.0)], 0.0)
    assert meter.wait(100, 0.0) == 0
    assert meter.wait(101, 5.0) == pytest.approx(15.0)
    meter.hear([Said("tokens", 9000, 1.0)], 6.0)
    assert meter.wait(5000, 6.0) == 0


def test_lengths_of_time_read_as_people_write_them() -> None:
    assert [span(s) for s in (90.0, 300.0, 7200.0, 0.5)] == ["90 s", "5 m", "2 h", "0.5 s"]
    assert Rate("requests", 6000, 60.0).words() == "6,000 requests a minute"
    assert Rate("tokens", 10, 300.0).words() == "10 tokens in 5 m"


@pytest.mark.parametrize(("by", "left"), [(0.5, 6), (30.0, 10), (-30.0, 6), (-3600.0, 10), (3600.0, 10)])
def test_a_fixed_window_goes_by_the_clock_as_it_was_set(by: float, left: int) -> None:
    window = Fixed(Rate("requests", 10, 60.0, True), 0.0)
    window.take(4, 645.0)
    window.moved(-by, 646.0)
    assert window.left(646.0) == left
    window.take(1, 646.0)
    assert window.reset(646.0) == pytest.approx(60 - (646 + by) % 60)
