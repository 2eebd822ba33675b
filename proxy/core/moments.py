"""Points in time and durations, however an upstream writes them, as seconds from now."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

CAP = 3600.0
"""Seconds. Nobody is left alone for longer on an upstream's word."""

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
PART = re.compile(
    r"(\d+(?:\.\d+)?)\s*(milliseconds?|ms|seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|h|days?|d)(?![a-z])"
)
"""One number with its unit, in lower case."""
_DURATION = re.compile(rf"\s*(?:{PART.pattern}\s*)+")
_EPOCH_S = 1e9
_EPOCH_MS = 1e11
"""A bare number from here on is a point in time: in seconds up to the year 5138, in milliseconds from 1973."""


def seconds(value: str, now: float | None) -> float | None:
    """A duration (`1m30s`, `174ms`, `20`), a Unix time in seconds or milliseconds, or a date, as seconds from `now`.

    `None` for what is negative, past, not finite or not understood.
    """
    value = value.strip().lower()
    try:
        number = float(value)
    except ValueError:
        return duration(value) if value[:1].isdigit() and _DURATION.fullmatch(value) else _until(_date(value), now)
    if not math.isfinite(number) or number < 0:
        return None
    if number >= _EPOCH_S:
        return _until(number / 1000 if number >= _EPOCH_MS else number, now)
    return number


def duration(value: str) -> float:
    """Seconds: the sum of all the parts (`PART`) in a text in lower case."""
    total = 0.0
    for number, unit in PART.findall(value):
        total += float(number) * _UNITS["ms" if unit.startswith(("ms", "mil")) else unit[0]]
    return total


def _date(value: str) -> float | None:
    return http_date(value) if "," in value or " " in value else _iso_date(value)


def http_date(value: str) -> float | None:
    """Unix time of an HTTP-date (RFC 9110 section 5.6.7); `None` for what is none."""
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
