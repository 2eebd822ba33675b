"""What a target did, over five windows, in constant memory."""

from __future__ import annotations

import random
import sys
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.failure import FailureKind
from proxy.core.outcome import Ended
from proxy.core.vitals.sketch import BUCKETS, ERROR, RATE, SECONDS, bucket, middle, quantile
from proxy.core.vitals.windows import (
    DAY,
    FIRST,
    FIVE_MINUTES,
    HOUR,
    SPEED,
    TOTAL,
    WINDOWS,
    Windows,
    merged,
)
from tests.core.vitals.ended import MONDAY, ended, failed

K = FailureKind


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(SECONDS, 580.0), min_size=1, max_size=200), st.sampled_from([0.0, 0.5, 0.95, 0.99, 1.0]))
def test_a_quantile_is_off_by_no_more_than_is_said(values: list[float], share: float) -> None:
    assert ERROR < 0.07
    counts = [0] * BUCKETS
    for value in values:
        counts[bucket(value, SECONDS)] += 1
    exact = sorted(values)[int(share * (len(values) - 1))]
    found = quantile(counts, share, SECONDS)
    assert found == pytest.approx(exact, rel=ERROR + 1e-9)


@given(st.floats(0.0, 1e12), st.sampled_from([SECONDS, RATE]))
@settings(deadline=None)
def test_every_value_has_its_bucket_and_what_is_out_of_range_has_the_nearest(value: float, least: float) -> None:
    place = bucket(value, least)
    assert 0 <= place < BUCKETS
    if 0 < place < BUCKETS - 1:
        assert middle(place, least) == pytest.approx(value, rel=ERROR + 1e-9)


def test_nothing_counted_has_no_quantile() -> None:
    assert quantile([0] * BUCKETS, 0.5, SECONDS) is None


_TIMES = st.lists(st.floats(0, 40 * DAY), min_size=1, max_size=60)


@settings(max_examples=100, deadline=None)
@given(_TIMES, st.floats(0, 3 * DAY))
def test_a_window_is_the_direct_count_of_its_parts(times: list[float], later: float) -> None:
    windows = Windows()
    for after in sorted(times):
        windows.count(ended(MONDAY + after))
    now = MONDAY + max(times) + later
    for name, (size, parts) in WINDOWS.items():
        newest = int(now // size)
        direct = sum(newest - parts < int((MONDAY + after) // size) <= newest for after in times)
        assert windows.window(name, now).served == direct, name
        # It is never more than one part shorter than its name says, and never longer.
        least = sum(now - (parts - 1) * size < MONDAY + after <= now for after in times)
        most = sum(now - parts * size < MONDAY + after <= now for after in times)
        assert least <= direct <= most


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.floats(0, 2 * DAY), st.floats(0.01, 100)), max_size=60))
def test_it_does_not_matter_who_counted_what_nor_in_which_order_it_is_merged(
    outcomes: list[tuple[int, float, float]],
) -> None:
    three, one = [Windows() for _ in range(3)], Windows()
    for worker, after, seconds in sorted(outcomes, key=lambda outcome: outcome[1]):
        for windows in (three[worker], one):
            windows.count(ended(MONDAY + 0.5 + after, total=seconds, first=None))
    now = MONDAY + 2 * DAY + 1
    a, b, c = three
    for both in (merged(merged(a, b), c), merged(a, merged(b, c)), merged(c, a, b)):
        for name in WINDOWS:
            assert both.window(name, now) == one.window(name, now)


def test_how_attempts_end_is_counted_by_what_it_says_of_the_target() -> None:
    windows = Windows()
    cases = [
        (Ended.SERVED, None, "served"),
        (Ended.FAILED, K.SERVER_ERROR, "failed"),
        (Ended.FAILED, K.KEY_REFUSED, "failed"),
        (Ended.FAILED, K.FIRST_TIMEOUT, "failed"),
        (Ended.FAILED, K.RATE_LIMITED, "refused"),
        (Ended.FAILED, K.QUOTA, "refused"),
        (Ended.FAILED, K.BAD_REQUEST, "aside"),
        (Ended.FAILED, K.CONTEXT_LENGTH, "aside"),
        (Ended.FAILED, K.BUSY, "aside"),
        (Ended.CUT, K.RESET, "cut"),
        (Ended.CUT, K.TOTAL_TIMEOUT, "cut"),
        (Ended.CUT, K.CLIENT_GONE, "aside"),
        (Ended.CANCELLED, K.CLIENT_GONE, "aside"),
        (Ended.CANCELLED, None, "aside"),
    ]
    for how, kind, _ in cases:
        windows.count(ended(MONDAY, how, kind))
    figures = windows.window("1h", MONDAY)
    expected = Counter(where for _, _, where in cases)
    assert {name: getattr(figures, name) for name in expected} == expected
    assert figures.attempts == len(cases)
    assert figures.judged == len(cases) - expected["aside"]


def test_only_answers_have_a_latency_and_only_streams_a_first_content() -> None:
    windows = Windows()
    windows.count(ended(MONDAY, first=0.2, total=2.2, tokens=100))
    windows.count(ended(MONDAY, first=None, total=4.0, tokens=100))
    windows.count(failed(MONDAY))
    windows.count(ended(MONDAY, Ended.CUT, K.RESET))
    figures = windows.window("1h", MONDAY)
    assert [figures.counted(one) for one in (FIRST, TOTAL, SPEED)] == [1, 2, 2]
    assert figures.quantile(FIRST, 0.5) == pytest.approx(0.2, rel=0.07)
    assert figures.quantile(TOTAL, 1.0) == pytest.approx(4.0, rel=0.07)
    assert figures.quantile(SPEED, 0.0) == pytest.approx(25.0, rel=0.07)  # of all the 4 s
    assert figures.quantile(SPEED, 1.0) == pytest.approx(50.0, rel=0.07)  # from the first content on


def test_what_is_usual_is_the_week_without_the_last_hour() -> None:
    windows = Windows()
    for after in range(0, 3 * DAY, 1800):
        windows.count(ended(MONDAY + after))
    now = MONDAY + 3 * DAY - 1
    assert windows.window("1h", now).served == 2
    assert windows.before(now).served == windows.window("7d", now).served - 2


def test_the_windows_go_on_over_a_restart_and_the_time_between_is_a_gap() -> None:
    windows = Windows()
    for after in range(0, HOUR, 60):
        windows.count(ended(MONDAY + after))
    again = Windows(windows.parts())
    later = MONDAY + 3 * HOUR
    again.count(ended(later))
    assert again.window("1h", later).served == 1
    assert again.window("6h", later).served == 61


def test_what_is_kept_can_be_added_up_from_what_was_new_each_time() -> None:
    windows, kept = Windows(), dict[int, int]()
    for after in range(0, 2 * HOUR, 50):
        windows.count(ended(MONDAY + after))
        if after % 400 == 0:
            for number, new in windows.unsaved().items():
                kept[number] = kept.get(number, 0) + new
    for number, new in windows.unsaved().items():
        kept[number] = kept.get(number, 0) + new
    assert windows.unsaved() == {}
    assert sum(Windows([(FIVE_MINUTES, n, p)]).window("1h", n * 300.0).served for n, p in kept.items()) == 144


def test_a_clock_that_is_set_back_or_far_ahead_ends_in_sound_windows() -> None:
    windows = Windows()
    for at in (MONDAY, MONDAY + 400 * DAY, MONDAY + 1, MONDAY - 400 * DAY, MONDAY + 2):
        windows.count(ended(at))
        windows.count(failed(at))
        for name in WINDOWS:
            assert windows.window(name, at).served >= 1
        assert min(windows.before(at).lanes) >= 0
    assert len(windows.parts()) <= 3


def test_what_nobody_keeps_does_not_pile_up() -> None:
    windows = Windows()
    for after in range(0, DAY, 100):
        windows.count(ended(MONDAY + after))
    assert len(windows.unsaved()) == 3


def test_a_target_takes_less_than_100_kilobytes_whatever_happens() -> None:
    windows, draw = Windows(), random.Random(6)
    for after in range(0, 45 * DAY, 150):
        at = MONDAY + after
        seconds = 10 ** draw.uniform(-3, 3)
        windows.count(ended(at, first=seconds / 2, total=seconds, tokens=draw.randrange(2, 100_000)))
        windows.count(ended(at, first=0.0001, total=0.0002, tokens=100_000))
        windows.count(ended(at, first=None, total=10_000.0, tokens=2))
    assert _size(windows) < 100_000
    before = len(windows.parts())
    for after in range(45 * DAY, 46 * DAY, 300):
        windows.count(ended(MONDAY + after))
    assert len(windows.parts()) == before == 12 + 24 + 30


def _size(windows: Windows) -> int:
    seen: set[int] = set()

    def size(thing: object) -> int:
        if id(thing) in seen:
            return 0
        seen.add(id(thing))
        inner: list[object] = []
        if isinstance(thing, dict):
            inner = [*thing, *thing.values()]
        elif isinstance(thing, list):
            inner = list(thing)
        elif isinstance(thing, Windows):
            inner = [getattr(thing, name) for name in Windows.__slots__]
        return sys.getsizeof(thing) + sum(map(size, inner))

    return size(windows)
