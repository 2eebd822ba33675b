"""A provider that says that nothing remains of a limit is understood, however it says so; nonsense is not."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.call import Headers
from proxy.core.limits import LEAST, foretells, used_up, wait_ahead
from proxy.core.moments import CAP
from tests.examples import many

NOW = 1_700_000_000.0  # Tue, 14 Nov 2023 22:13:20 GMT

SPOKEN = [
    # Who says it so; what it says; how long that is.
    ("openai", {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1s"}, 1.0),
    ("openai, long", {"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "6m0s"}, 360.0),
    ("groq", {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "2m59.56s"}, 179.56),
    (
        "openai, both",
        {
            "x-ratelimit-remaining-requests": "0",
            "x-ratelimit-remaining-tokens": "0",
            "x-ratelimit-reset-requests": "1s",
            "x-ratelimit-reset-tokens": "9s",
        },
        9.0,
    ),
    (
        "anthropic",
        {
            "anthropic-ratelimit-requests-remaining": "49",
            "anthropic-ratelimit-requests-reset": "2023-11-14T22:14:20Z",
            "anthropic-ratelimit-input-tokens-remaining": "0",
            "anthropic-ratelimit-input-tokens-reset": "2023-11-14T22:13:45Z",
        },
        25.0,
    ),
    ("openrouter", {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int((NOW + 40) * 1000))}, 40.0),
    ("github", {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(NOW + 40))}, 40.0),
    ("together", {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1"}, 1.0),
    ("cerebras", {"x-ratelimit-remaining-tokens-minute": "0", "x-ratelimit-reset-tokens-minute": "11.38"}, 11.38),
    ("mistral", {"ratelimitbysize-remaining": "0", "ratelimitbysize-reset": "46"}, 46.0),
    ("draft 06", {"ratelimit-limit": "100", "ratelimit-remaining": "0", "ratelimit-reset": "50"}, 50.0),
    ("draft 07", {"ratelimit": "limit=100, remaining=0, reset=50"}, 50.0),
    ("draft 10", {"ratelimit": '"burst";r=0;t=10, "daily";r=60;t=3000', "ratelimit-policy": '"burst";q=9;w=60'}, 10.0),
    ("draft 10, its window alone", {"ratelimit": '"burst";r=0', "ratelimit-policy": '"burst";q=100;w=60'}, 60.0),
    ("too long", {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "23h59m"}, CAP),
]

SILENT = [
    ("something remains", {"x-ratelimit-remaining-requests": "1", "x-ratelimit-reset-requests": "9s"}),
    ("azure", {"x-ratelimit-remaining-requests": "-1", "x-ratelimit-reset-requests": "9s"}),
    ("no reset", {"x-ratelimit-remaining-req-minute": "0"}),
    ("another limit's reset", {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-tokens": "9s"}),
    ("a reset that is now", {"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "0s"}),
    ("a reset too soon to matter", {"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "6ms"}),
    ("a reset that is past", {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(NOW - 5))}),
    ("no time at all", {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "soon"}),
    ("images alone", {"x-ratelimit-remaining-input-images": "0", "x-ratelimit-reset-input-images": "9s"}),
    ("no limit", {"age": "0", "x-items-remaining": "0", "x-items-reset": "9"}),
    ("draft 07", {"ratelimit": "limit=100, remaining=20, reset=50"}),
    ("draft 10", {"ratelimit": '"burst";r=20;t=10'}),
    ("draft 10 without a time", {"ratelimit": '"burst";r=0', "ratelimit-policy": '"daily";q=100;w=60'}),
    ("asked for time on a good answer", {"retry-after": "30"}),
]


def lines(fields: dict[str, str]) -> Headers:
    return [(name.encode(), value.encode()) for name, value in fields.items()]


@pytest.mark.parametrize(("fields", "expected"), [row[1:] for row in SPOKEN], ids=[row[0] for row in SPOKEN])
def test_a_limit_of_which_nothing_remains_says_how_long(fields: dict[str, str], expected: float) -> None:
    headers = [(b"content-type", b"application/json"), *lines(fields)]
    assert foretells(headers)
    assert wait_ahead(headers, NOW) == pytest.approx(expected)


@pytest.mark.parametrize("fields", [row[1] for row in SILENT], ids=[row[0] for row in SILENT])
def test_what_is_not_used_up_or_not_dated_says_nothing(fields: dict[str, str]) -> None:
    assert wait_ahead(lines(fields), NOW) is None


def test_a_point_in_time_is_measured_by_the_upstreams_own_clock() -> None:
    fields = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(NOW + 40))}
    assert wait_ahead(lines({**fields, "date": "Tue, 14 Nov 2023 22:13:50 GMT"}), NOW) == pytest.approx(10.0)
    assert wait_ahead(lines({**fields, "date": "one of these days"}), NOW) == pytest.approx(40.0)
    assert used_up(fields, None) is None


def test_a_header_that_came_in_two_lines_is_one_list() -> None:
    headers = [(b"ratelimit", b'"daily";r=5;t=900'), (b"ratelimit", b'"burst";r=0;t=7')]
    assert wait_ahead(headers, NOW) == 7.0


NAMES = st.sampled_from(
    [
        b"ratelimit",
        b"ratelimit-policy",
        b"date",
        *(row.encode() for _, fields, _ in SPOKEN for row in fields),
    ]
)
PIECES = st.sampled_from([b'"', b";", b"=", b",", b"r=0", b"t=9", b"0", b"1e999", b"nan", b"-1", b"9" * 400, b"6m0s"])
VALUES = st.binary(max_size=40) | st.lists(PIECES, max_size=40).map(b"".join) | st.sampled_from([b"0", b"60s"])


@settings(deadline=None, max_examples=many(500))
@given(st.lists(st.tuples(NAMES | st.binary(max_size=20), VALUES), max_size=12), st.floats(0, 1e10))
def test_any_bytes_at_all_are_a_bounded_wait_or_none(headers: Headers, now: float) -> None:
    wait = wait_ahead(headers, now)
    assert wait is None or (math.isfinite(wait) and LEAST <= wait <= CAP)
    if wait is not None:
        assert foretells(headers), "nothing is overlooked by the first look"
