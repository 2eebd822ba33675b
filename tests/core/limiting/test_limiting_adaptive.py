"""Concurrency that adapts: against simulated upstreams that get slower, or refuse, beyond what they can carry."""

from __future__ import annotations

import heapq
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.limiting.adaptive import Found, Sample, begin, learn
from proxy.core.limiting.values import Adaptive

SPEC = Adaptive(min=2, max=200, start=8)


class Upstream:
    """Works on `carries` at once; the others wait there, or are refused beyond `holds`. Always as much is asked of it
    as the limit allows, or `asked`."""

    def __init__(self, carries: int, takes: float = 1.0, holds: int | None = None, noise: float = 0.2) -> None:
        self.carries = carries
        self.takes = takes
        self.holds = holds
        self.noise = noise
        self.random = random.Random(7)
        self.now = 0.0
        self.working: list[tuple[float, float]] = []  # (ends, sent)
        self.waiting: list[float] = []
        self.done = 0
        self.refused = 0

    @property
    def in_flight(self) -> int:
        return len(self.working) + len(self.waiting)

    def _begin(self, sent: float) -> None:
        noise = self.random.lognormvariate(0.0, self.noise)
        heapq.heappush(self.working, (self.now + self.takes * noise, sent))

    def run(self, found: Found, answers: int, spec: Adaptive = SPEC, asked: int = 10**9) -> list[Found]:
        """So many answers further."""
        history = []
        goal = self.done + answers
        while self.done < goal:
            refusals = 0
            while self.in_flight < min(found.places, asked) and not refusals:
                if self.holds is not None and self.in_flight >= self.holds:
                    self.refused += 1
                    refusals += 1
                    found = learn(found, spec, Sample(0.0, 0, self.in_flight + 1, self.now, refused=True), self.now)
                elif len(self.working) < self.carries:
                    self._begin(self.now)
                else:
                    self.waiting.append(self.now)
            self.now, sent = heapq.heappop(self.working)
            sample = Sample(self.now - sent, 0, self.in_flight + 1, sent)
            self.done += 1
            if self.waiting:
                self._begin(self.waiting.pop(0))
            found = learn(found, spec, sample, self.now)
            history.append(found)
        return history


def _typical(history: list[Found]) -> float:
    limits = sorted(found.places for found in history[-1000:])
    return limits[len(limits) // 2]


@pytest.mark.parametrize("carries", [4, 16, 60])
@pytest.mark.parametrize("start", [2, 100])
def test_it_finds_what_an_upstream_carries_within_a_factor(carries: int, start: int) -> None:
    upstream = Upstream(carries)
    history = upstream.run(begin(Adaptive(2, 200, start)), 6000)
    assert carries * 0.8 <= _typical(history) <= carries * 2.5 + 3


def test_it_stays_there_in_lasting_overload() -> None:
    upstream = Upstream(10)
    history = upstream.run(begin(SPEC), 40_000)
    assert max(found.places for found in history[5000:]) <= 10 * 3 + 3


@pytest.mark.parametrize(("before", "after"), [(10, 40), (40, 10)])
def test_it_follows_a_change(before: int, after: int) -> None:
    upstream = Upstream(before)
    found = upstream.run(begin(SPEC), 5000)[-1]
    upstream.carries = after
    assert after * 0.8 <= _typical(upstream.run(found, 5000)) <= after * 2.5 + 3


def test_an_upstream_that_is_slower_by_itself_is_not_taken_for_a_full_one() -> None:
    upstream = Upstream(20)
    found = upstream.run(begin(SPEC), 4000)[-1]
    upstream.takes = 4.0
    assert _typical(upstream.run(found, 6000)) >= 20 * 0.8


def test_refusals_cut_it_at_once_and_it_stays_about_there() -> None:
    upstream = Upstream(1000, holds=12)
    history = upstream.run(begin(SPEC), 4000)
    assert 12 * 0.5 <= _typical(history) <= 12 * 1.3
    assert upstream.refused < 4000 * 0.1


def test_one_volley_of_refusals_cuts_it_once() -> None:
    found = begin(Adaptive(1, 200, 100))
    for _ in range(50):
        found = learn(found, SPEC, Sample(0.0, 0, 100, 1.0, refused=True), 2.0)
    assert found.places == 70


def test_it_does_not_grow_while_nobody_asks_for_more() -> None:
    upstream = Upstream(1000)
    assert upstream.run(begin(SPEC), 3000, asked=3)[-1].places <= 8


def test_it_grows_to_its_most_where_nothing_suffers() -> None:
    assert _typical(Upstream(10_000).run(begin(SPEC), 6000)) == 200


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(0.001, 1e4), st.integers(0, 1), st.integers(1, 300), st.booleans()), min_size=1, max_size=80
    ),
    st.integers(1, 20),
    st.integers(20, 300),
)
def test_it_never_leaves_its_bounds(samples: list[tuple[float, int, int, bool]], least: int, most: int) -> None:
    spec = Adaptive(least, most, 10)
    found = begin(spec)
    for at, (seconds, kind, busy, refused) in enumerate(samples):
        found = learn(found, spec, Sample(seconds, kind, busy, at - 0.5, refused), float(at))
        assert least <= found.places <= most
        assert found.limit < float("inf")
