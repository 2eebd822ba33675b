"""A target goes out of use after so many failed probes in a row, and back after so many good ones."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.vitals.probing import Counts, probed


@settings(deadline=None)
@given(st.lists(st.booleans(), max_size=40), st.integers(1, 5), st.integers(1, 5))
def test_it_moves_only_after_so_many_in_a_row(ends: list[bool], healthy: int, unhealthy: int) -> None:
    counts = Counts()
    for place, ok in enumerate(ends):
        counts, out, back = probed(counts, ok=ok, healthy_after=healthy, unhealthy_after=unhealthy)
        said = ends[: place + 1]
        assert out is (len(said) >= unhealthy and not any(said[-unhealthy:]))
        assert back is (len(said) >= healthy and all(said[-healthy:]))
