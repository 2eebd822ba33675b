"""How long it takes until there is room again, as people read it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.limiting.values import Rate, in_words

SIZES = {"d": 86400, "h": 3600, "min": 60, "s": 1}


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0.001, "0.1 s"),
        (0.4, "0.4 s"),
        (2.01, "2.1 s"),
        (12.4, "13 s"),
        (59.2, "1 min"),
        (69.5, "1 min 10 s"),
        (3600, "1 h"),
        (4194.2, "1 h 10 min"),
        (86399.5, "1 d"),
        (183_000, "2 d 3 h"),
    ],
)
def test_it_reads_as_people_write_it(seconds: float, told: str) -> None:
    assert in_words(seconds) == told


@given(st.floats(0, 10**7))
def test_who_waits_as_long_as_is_told_does_not_come_too_early(seconds: float) -> None:
    told = sum(float(number) * SIZES[unit] for number, unit in re.findall(r"([\d.]+) (\w+)", in_words(seconds)))
    assert seconds - 1e-6 <= told <= max(seconds + 0.1, seconds * 1.05 + 1)


def test_one_is_singular() -> None:
    assert [Rate("requests", n, 60.0).words() for n in (1, 2)] == ["1 request a minute", "2 requests a minute"]
    assert Rate("tokens", 1, 5.0).words() == "1 token in 5 s"
