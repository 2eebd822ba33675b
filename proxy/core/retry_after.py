"""How long an upstream asks us to stay away, in whichever of its many ways it says so."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from proxy.core.call import Headers
from proxy.core.limits import used_up
from proxy.core.moments import CAP as CAP
from proxy.core.moments import PART, duration, http_date
from proxy.core.moments import seconds as seconds

_IN_TEXT = re.compile(
    rf"(?:try again|retry|retrying|wait|available)(?:\s+(?:again|after|in|for|at least))*\s+((?:{PART.pattern}\s*)+)",
    re.IGNORECASE,
)
_MAX_TEXT = 4096


def named_wait(headers: Headers, body: object = None, text: str = "", *, now: float | None = None) -> float | None:
    """Seconds to stay away, at most `CAP`; `None` when none is named.

    Read in this order: `retry-after-ms`, `Retry-After` (RFC 9110 section 10.2.3: seconds or an HTTP-date), the
    reset of limits of which nothing remains (see limits.py), the same fields or a `retryDelay` inside the error
    `body`, and words like "try again in 1.5s" in `text`. `now` is Unix time; without it the upstream's own `date`
    header is used, and when that is missing too, points in time say nothing.
    """
    fields = {name.decode("latin-1").lower(): value.decode("latin-1").strip() for name, value in headers}
    if now is None:
        now = http_date(fields.get("date", ""))
    for wait in (
        *_from_fields(fields, now),
        *(wait for inner in _nested_fields(body) for wait in _from_fields(inner, now)),
        _from_details(body),
        _from_text(text),
    ):
        if wait is not None:
            return min(wait, CAP)
    return None


def _from_fields(fields: Mapping[str, str], now: float | None) -> Iterator[float | None]:
    millis = seconds(fields.get("retry-after-ms", ""), now)
    if millis:  # Azure sends 0 here beside a `retry-after` of 1
        yield millis / 1000
    if "retry-after" in fields:
        yield seconds(fields["retry-after"], now)
    yield used_up(fields, now)


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
    return duration(found.group(1).lower()) if found else None


def _at(value: Any, name: str) -> object:
    return value.get(name) if isinstance(value, dict) else None
