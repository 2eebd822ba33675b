"""Anomalies in simulated days: they are seen within minutes, end by themselves, and do not flicker."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.failure import FailureKind
from proxy.core.outcome import Ended
from proxy.core.vitals.anomalies import anomalies, held, known_of
from proxy.core.vitals.windows import DAY, HOUR, Windows
from tests.core.vitals.ended import MONDAY, ended, failed

Weather = Callable[[float], tuple[float, float, float]]
"""Of the seconds since the beginning: attempts a minute, the share that fails, seconds to the first content."""


def days(weather: Weather, length: float, seed: int = 1) -> Iterator[tuple[float, frozenset[str]]]:
    """Looks at one target every minute, and tells what is found."""
    draw, windows, found = random.Random(seed), Windows(), frozenset[str]()
    owed = 0.0
    for minute in range(int(length // 60)):
        after = minute * 60.0
        rate, bad, first = weather(after)
        owed += rate
        while owed >= 1:
            owed -= 1
            at = MONDAY + after + draw.random() * 59
            seconds = first * draw.lognormvariate(0, 0.3)
            windows.count(failed(at) if draw.random() < bad else ended(at, first=seconds, total=seconds + 1))
        found = anomalies(known_of(windows, MONDAY + after + 59.9), found)
        yield after, found


def changes(weather: Weather, length: float, seed: int = 1) -> list[tuple[int, str]]:
    """(minute, `+name` or `-name`) of each change."""
    before, told = frozenset[str](), list[tuple[int, str]]()
    for after, found in days(weather, length, seed):
        told += [(int(after // 60), f"+{name}") for name in sorted(found - before)]
        told += [(int(after // 60), f"-{name}") for name in sorted(before - found)]
        before = found
    return told


def test_a_quiet_day_has_none() -> None:
    def weather(after: float) -> tuple[float, float, float]:
        busy = 1.0 if 8 * HOUR < after % DAY < 18 * HOUR else 0.5
        return 6 * busy, 0.02, 0.5

    assert changes(weather, 1.5 * DAY) == []


def test_a_slow_hour_is_seen_once_and_ends_once() -> None:
    def weather(after: float) -> tuple[float, float, float]:
        return 4, 0.01, 2.0 if 10 * HOUR <= after < 11 * HOUR else 0.5

    (begun, name), (over, gone) = changes(weather, 14 * HOUR)
    assert (name, gone) == ("+latency", "-latency")
    assert 600 <= begun <= 615 and 660 <= over <= 680


def test_failures_are_seen_within_minutes() -> None:
    def weather(after: float) -> tuple[float, float, float]:
        return 4, 0.3 if 10 * HOUR <= after < 10.5 * HOUR else 0.01, 0.5

    (begun, name), (over, gone) = changes(weather, 13 * HOUR)
    assert (name, gone) == ("+errors", "-errors")
    assert 600 <= begun <= 612 and 630 <= over <= 650


def test_a_rush_is_seen_against_the_hours_before() -> None:
    def weather(after: float) -> tuple[float, float, float]:
        return 20 if 10 * HOUR <= after < 11 * HOUR else 4, 0.0, 0.5

    (begun, name), (_, gone) = changes(weather, 13 * HOUR)
    assert (name, gone) == ("+traffic", "-traffic")
    assert 600 <= begun <= 615


def test_what_stays_at_the_edge_does_not_flicker() -> None:
    def weather(after: float) -> tuple[float, float, float]:
        return 4, 0.06, 0.98 if after >= 10 * HOUR else 0.5

    for seed in range(3):
        names = [name for _, name in changes(weather, 16 * HOUR, seed) if name.endswith("latency")]
        assert names in ([], ["+latency"], ["+latency", "-latency"])


def test_a_handful_of_attempts_raises_nothing() -> None:
    windows = Windows()
    for after in range(0, 10 * HOUR, 120):
        windows.count(ended(MONDAY + after))
    now = MONDAY + 11.9 * HOUR
    for second in range(19):
        windows.count(failed(now - second))
    assert anomalies(known_of(windows, now)) == frozenset()
    windows.count(failed(now))
    assert anomalies(known_of(windows, now)) == {"errors"}


def test_a_new_target_has_nothing_that_is_usual_and_so_no_anomaly() -> None:
    windows = Windows()
    for second in range(500):
        windows.count(failed(MONDAY + second))
        windows.count(ended(MONDAY + second, first=second / 10 + 0.1, total=60))
    assert anomalies(known_of(windows, MONDAY + 500)) == frozenset()


def test_one_that_has_begun_stays_while_nobody_asks_and_ends_when_the_hour_is_over() -> None:
    windows = Windows()
    for after in range(0, 10 * HOUR, 60):
        windows.count(ended(MONDAY + after))
    bad = MONDAY + 11.5 * HOUR
    for second in range(40):
        windows.count(failed(bad + second))
    found = anomalies(known_of(windows, bad + 60))
    assert found == {"errors"}
    found = anomalies(known_of(windows, bad + 1800), found)
    assert found == {"errors"}
    assert anomalies(known_of(windows, bad + 3660), found) == frozenset()


def test_refusals_are_no_errors_and_cancelled_attempts_are_nothing() -> None:
    windows = Windows()
    for after in range(0, 10 * HOUR, 60):
        windows.count(ended(MONDAY + after))
    now = MONDAY + 11.5 * HOUR
    for second in range(20):
        windows.count(failed(now + second, FailureKind.RATE_LIMITED))
        windows.count(ended(now + second, Ended.CANCELLED, FailureKind.CLIENT_GONE))
        windows.count(ended(now + second))
    assert anomalies(known_of(windows, now + 20)) == frozenset()


@settings(deadline=None)
@given(st.lists(st.floats(0, 100), max_size=50), st.booleans())
def test_what_is_held_changes_only_beyond_both_levels(values: list[float], low: bool) -> None:
    begins, ends = (60.0, 70.0) if low else (70.0, 60.0)
    state = False
    for value in values:
        after = held(state, value, begins, ends)
        if 60 < value < 70:
            assert after is state
        elif value not in (60, 70):
            assert after is (value < 60 if low else value > 70)
        state = after
