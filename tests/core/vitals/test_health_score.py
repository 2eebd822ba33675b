"""The score of a target: each part takes what it says, and no ill ever raises it."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.vitals.score import POINTS, points, score
from proxy.core.vitals.sketch import SECONDS, bucket
from proxy.core.vitals.windows import CUT, FAILED, FIRST, LANES, NOTHING, REFUSED, SERVED, Figures

_share = st.floats(0, 1)
_slower = st.floats(0, 20)
_anomalies = st.sets(st.sampled_from(sorted(POINTS)))


def figures(counts: Mapping[int, int], first: float = 0.0, streams: int = 0) -> Figures:
    """`streams` answers whose first content took `first` seconds, beside these counts."""
    lanes = [0] * LANES
    for place, count in counts.items():
        lanes[place] = count
    if streams:
        lanes[FIRST + 3 * bucket(first, SECONDS)] = streams
    return Figures(lanes)


@settings(deadline=None)
@given(_share, _slower, _anomalies, _share)
def test_it_is_from_0_to_100(errors: float, slower: float, found: set[str], troubles: float) -> None:
    parts = points(errors, slower, found, troubles)
    assert 0 <= parts.value <= 100
    assert parts.errors <= 40 and parts.latency <= 30 and parts.anomalies <= 20 and parts.troubles <= 10


@settings(deadline=None)
@given(_share, _slower, _anomalies, _share, _share, _slower, _anomalies, _share)
def test_it_falls_with_each_part(
    e1: float, l1: float, a1: set[str], t1: float, e2: float, l2: float, a2: set[str], t2: float
) -> None:
    worse = points(max(e1, e2), max(l1, l2), a1 | a2, max(t1, t2))
    assert worse.value <= points(e1, l1, a1, t1).value


_counts = st.fixed_dictionaries({place: st.integers(0, 300) for place in (SERVED, FAILED, CUT, REFUSED)})


@settings(deadline=None)
@given(_counts, st.sampled_from([FAILED, CUT, REFUSED]), st.integers(1, 50))
def test_one_more_failure_never_raises_it_and_one_more_answer_never_lowers_it(
    counts: dict[int, int], ill: int, more: int
) -> None:
    now = score(figures(counts), NOTHING).value
    assert score(figures({**counts, ill: counts[ill] + more}), NOTHING).value <= now
    assert score(figures({**counts, SERVED: counts[SERVED] + more}), NOTHING).value >= now


def test_a_target_of_which_nothing_is_known_is_well() -> None:
    assert score(NOTHING, NOTHING).value == 100


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({SERVED: 100}, 100.0),
        ({SERVED: 90, FAILED: 10}, 84.0),  # 40 * 10 % / 25 %
        ({SERVED: 50, FAILED: 50}, 60.0),
        ({FAILED: 1}, 92.0),  # one of 20 at least: 40 * 5 % / 25 %
        ({SERVED: 95, CUT: 3, REFUSED: 2}, 98.0),
        ({SERVED: 10, FAILED: 40, REFUSED: 50}, 50.0),
    ],
)
def test_errors_and_troubles_take_what_the_formula_says(counts: dict[int, int], expected: float) -> None:
    assert score(figures(counts), NOTHING).value == pytest.approx(expected)


@pytest.mark.parametrize(("first", "takes"), [(0.5, 0.0), (0.6, 0.0), (1.0, 12.86), (2.0, 30.0), (0.1, 0.0)])
def test_latency_counts_against_what_is_usual(first: float, takes: float) -> None:
    now, usual = figures({SERVED: 50}, first, 50), figures({SERVED: 500}, 0.5, 500)
    assert 100 - score(now, usual).value == pytest.approx(takes, abs=2.5)


def test_latency_is_not_compared_where_too_little_is_known() -> None:
    slow, usual = figures({SERVED: 19}, 5.0, 19), figures({SERVED: 500}, 0.5, 500)
    assert score(slow, usual).value == 100
    assert score(figures({SERVED: 50}, 5.0, 50), figures({SERVED: 99}, 0.5, 99)).value == 100
