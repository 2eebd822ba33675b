"""How long an upstream asks us to stay away, in whichever of its many ways it says so."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from proxy.core.call import Headers

CAP = 3600.0
"""Seconds. Nobody is left alone for longer on an upstream's word."""

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(
    r"(\d+(?:\.\d+)?)\s*(milliseconds?|ms|seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|h|days?|d)(?![a-z])"
)
_DURATION = re.compile(rf"\s*(?:{_PART.pattern}\s*)+")
_IN_TEXT = re.compile(
    rf"(?:try again|retry|retrying|wait|available)(?:\s+(?:again|after|in|for|at least))*\s+((?:{_PART.pattern}\s*)+)",
    re.IGNORECASE,
)
_EPOCH_S = 1e9
_EPOCH_MS = 1e11
"""A bare number from here on is a point in time: in seconds up to the year 5138, in milliseconds from 1973."""
_MAX_TEXT = 4096


def named_wait(headers: Headers, body: object = None, text: str = "", *, now: float | None = None) -> float | None:
    """Seconds to stay away, at most `CAP`; `None` when none is named.

    Read in this order: `retry-after-ms`, `Retry-After` (RFC 9110 section 10.2.3: seconds or an HTTP-date), the
    `x-ratelimit-reset…` of limits of which nothing remains, the same fields or a `retryDelay` inside the error
    `body`, and words like "try again in 1.5s" in `text`. `now` is Unix time; without it the upstream's own `date`
    header is used, and when that is missing too, points in time say nothing.
    """
    fields = {name.decode("latin-1").lower(): value.decode("latin-1").strip() for name, value in headers}
    if now is None:
        now = _http_date(fields.get("date", ""))
    for wait in (
        *_from_fields(fields, now),
        *(wait for inner in _nested_fields(body) for wait in _from_fields(inner, now)),
        _from_details(body),
        _from_text(text),
    ):
        if wait is not None:
            return min(wait, CAP)
    return None


def seconds(value: str, now: float | None) -> float | None:
    """A duration (`1m30s`, `174ms`, `20`), a Unix time in seconds or milliseconds, or a date, as seconds from `now`.

    `None` for what is negative, past, not finite or not understood.
    """
    value = value.strip().lower()
    try:
        number = float(value)
    except ValueError:
        return _duration(value) if value[:1].isdigit() and _DURATION.fullmatch(value) else _until(_date(value), now)
    if not math.isfinite(number) or number < 0:
        return None
    if number >= _EPOCH_S:
        return _until(number / 1000 if number >= _EPOCH_MS else number, now)
    return number


def _from_fields(fields: Mapping[str, str], now: float | None) -> Iterator[float | None]:
    millis = seconds(fields.get("retry-after-ms", ""), now)
    if millis:  # Azure sends 0 here beside a `retry-after` of 1
        yield millis / 1000
    if "retry-after" in fields:
        yield seconds(fields["retry-after"], now)
    yield _from_limits(fields, now)


def _from_limits(fields: Mapping[str, str], now: float | None) -> float | None:
    """The longest reset among the limits that are used up: all of them must be free again."""
    waits = []
    for name, value in fields.items():
        head, found, tail = name.partition("ratelimit-reset")
        if found and fields.get(f"{head}ratelimit-remaining{tail}") == "0":
            waits.append(seconds(value, now))
    known = [wait for wait in waits if wait is not None]
    return max(known) if known else None


def _nested_fields(body: object) -> Iterator[dict[str, str]]:
    """OpenRouter puts headers into the error: `error.metadata.headers`."""
    metadata = _at(body, "metadata")
    inner = _at(metadata, "headers")
    if isinstance(inner, dict):
        yield {str(name).lower(): str(value) for name, value in inner.items()}
    for place in (body, metadata):
        for name in ("retry_after", "retry_after_seconds", "estimated_time"):
            value = _at(place, name)
            if isinstance(value, int | float) and not isinstance(value, bool):
                yield {"retry-after": str(value)}


def _from_details(body: object) -> float | None:
    """Google's `details: [{"@type": "…RetryInfo", "retryDelay": "48s"}]`."""
    details = _at(body, "details")
    for detail in details if isinstance(details, list) else ():
        delay = _at(detail, "retryDelay")
        if isinstance(delay, str):
            return seconds(delay, None)
    return None


def _from_text(text: str) -> float | None:
    found = _IN_TEXT.search(text[:_MAX_TEXT])
    return _duration(found.group(1).lower()) if found else None


def _duration(value: str) -> float:
    total = 0.0
    for number, unit in _PART.findall(value):
        total += float(number) * _UNITS["ms" if unit.startswith(("ms", "mil")) else unit[0]]
    return total


def _date(value: str) -> float | None:
    return _http_date(value) if "," in value or " " in value else _iso_date(value)


def _http_date(value: str) -> float | None:
    try:
        found = parsedate_to_datetime(value)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _iso_date(value: str) -> float | None:
    try:
        found = datetime.fromisoformat(value.upper())
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def _until(moment: float | None, now: float | None) -> float | None:
    """Seconds until then; a moment that is past tells of a skewed clock, not of a wait."""
    if moment is None or now is None or moment <= now:
        return None
    return moment - now


def _at(value: Any, name: str) -> object:
    return value.get(name) if isinstance(value, dict) else None
