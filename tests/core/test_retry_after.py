"""However an upstream says how long to stay away, it is understood; nonsense is not."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.retry_after import CAP, named_wait, seconds

NOW = 1_700_000_000.0  # Tue, 14 Nov 2023 22:13:20 GMT


def wait(text: str = "", body: object = None, now: float | None = NOW, **headers: str) -> float | None:
    fields = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return named_wait(fields, body, text, now=now)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("1.5", 1.5),
        ("Tue, 14 Nov 2023 22:13:50 GMT", 30.0),
        ("Tuesday, 14-Nov-23 22:13:50 GMT", 30.0),
        ("99999", CAP),
        ("Tue, 14 Nov 2023 22:13:10 GMT", None),
        ("-3", None),
        ("nan", None),
        ("inf", None),
        ("soon", None),
        ("", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str, expected: float | None) -> None:
    assert wait(retry_after=value) == expected


def test_a_date_is_measured_by_the_upstreams_own_clock() -> None:
    """A dialect has no clock; and two clocks may differ."""
    later = "Wed, 01 Jan 2020 00:00:20 GMT"
    assert wait(now=None, retry_after=later, date="Wed, 01 Jan 2020 00:00:00 GMT") == 20.0
    assert wait(now=None, retry_after=later) is None
    assert wait(now=None, retry_after=later, date="yesterday") is None


def test_milliseconds_come_first_unless_they_are_zero() -> None:
    assert wait(retry_after_ms="250", retry_after="9") == 0.25
    assert wait(retry_after_ms="0", retry_after="1") == 1.0
    assert wait(retry_after_ms="-5", retry_after="1") == 1.0


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("20", 20.0),
        ("1m30s", 90.0),
        ("174ms", 0.174),
        ("7.66s", 7.66),
        ("6m0s", 360.0),
        ("1h2m3s", CAP),
        ("12h", CAP),
        (str(NOW + 40), 40.0),
        (str(int((NOW + 40) * 1000)), 40.0),
        ("2023-11-14T22:13:30Z", 10.0),
        ("2023-11-14T22:13:30", 10.0),
        ("whenever", None),
        ("5 parsecs", None),
    ],
)
def test_a_used_up_limit_says_when_it_is_free_again(value: str, expected: float | None) -> None:
    got = wait(x_ratelimit_remaining_tokens="0", x_ratelimit_reset_tokens=value)
    assert got == (None if expected is None else pytest.approx(expected))


def test_limits_that_are_not_used_up_say_nothing() -> None:
    assert wait(x_ratelimit_remaining_requests="29", x_ratelimit_reset_requests="2ms") is None
    assert wait(x_ratelimit_remaining_requests="-1", x_ratelimit_reset_requests="9s") is None
    assert wait(x_ratelimit_reset_requests="9s") is None


def test_of_several_used_up_limits_the_longest_counts() -> None:
    got = wait(
        x_ratelimit_remaining_requests="0",
        x_ratelimit_reset_requests="2s",
        x_ratelimit_remaining_tokens="0",
        x_ratelimit_reset_tokens="5s",
        x_ratelimit_remaining_images="4",
        x_ratelimit_reset_images="50s",
    )
    assert got == 5.0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Rate limit reached for gpt-4 on requests per min. Please try again in 174ms. Visit …", 0.174),
        ("Please try again in 6m0s.", 360.0),
        ("Please retry in 48.939935699s.", 48.939935699),
        ("Please retry after 20 seconds.", 20.0),
        ("Try again in 1 minute 5 seconds", 65.0),
        ("wait for 3 hours", CAP),
        ("try again in 2 days", CAP),
        ("try again later", None),
        ("I retry 5 sandwiches", None),
        ("", None),
    ],
)
def test_the_message_may_be_the_only_one_to_say_it(text: str, expected: float | None) -> None:
    got = wait(text)
    assert got == (None if expected is None else pytest.approx(expected))


def test_the_body_may_hold_it() -> None:
    google = {"details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "48s"}]}
    assert wait(body=google) == 48.0
    headers = {"X-RateLimit-Limit": "20", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(NOW + 12) * 1000)}
    assert wait(body={"metadata": {"headers": headers}}) == 12.0
    assert wait(body={"metadata": {"headers": headers}}, now=None) is None
    assert wait(body={"metadata": {"retry_after_seconds": 3}}) == 3.0
    assert wait(body={"error": "loading", "estimated_time": 20.5}) == 20.5
    assert wait(body={"retry_after": True}) is None


def test_headers_say_it_better_than_the_body_and_the_body_better_than_the_text() -> None:
    body = {"details": [{"retryDelay": "48s"}]}
    assert wait("try again in 3s", body, retry_after="7") == 7.0
    assert wait("try again in 3s", body) == 48.0


@given(value=st.text(max_size=40), text=st.text(max_size=60), body=st.dictionaries(st.text(max_size=5), st.integers()))
@settings(max_examples=200, deadline=None)
def test_whatever_comes_the_wait_is_nothing_or_within_bounds(value: str, text: str, body: dict[str, int]) -> None:
    raw = value.encode("utf-8", "replace")
    headers = [(name, raw) for name in (b"retry-after", b"retry-after-ms", b"date", b"x-ratelimit-reset")]
    for now in (None, NOW):
        got = named_wait([*headers, (b"x-ratelimit-remaining", b"0")], body, text, now=now)
        assert got is None or 0 <= got <= CAP


@given(st.floats() | st.integers())
def test_any_number_is_a_wait_a_moment_or_nothing(number: float) -> None:
    got = seconds(str(number), NOW)
    assert got is None or got >= 0
