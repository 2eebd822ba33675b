"""What headers tell of rate limits: how long those of which nothing remains take until there is something again.

Two shapes, and every provider's names fit one of them: a pair of headers whose names differ in `remaining` and `reset`
(`x-ratelimit-remaining-tokens` of OpenAI and its likes, `anthropic-ratelimit-input-tokens-remaining`,
`x-ratelimit-remaining-requests-day`, `ratelimitbysize-remaining`, the IETF drafts up to 06), and the one header
`ratelimit` of the later IETF drafts (draft-ietf-httpapi-ratelimit-headers), with its `ratelimit-policy`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from proxy.core.call import Headers
from proxy.core.moments import CAP, http_date, seconds

LEAST = 0.05
"""Seconds. A limit that is free again so soon is free when the next request gets there."""
_MAX_FIELD = 2048
_NOT_FOR_ALL = ("image", "audio")
"""Limits of these are used up by few requests, and refuse few."""

_ITEM = re.compile(r'"?([^",;=\s]{1,64})"?\s*((?:;\s*[a-z]+=[^,;\s]{1,64}\s*)+)')
"""`"burst";r=0;t=10`, draft 08 and later."""
_PARAM = re.compile(r"([a-z]+)=(\d{1,12})(?![\d.])")


def foretells(headers: Headers) -> bool:
    """Something of it may be used up: worth a closer look by `wait_ahead`.

    Asked of every answer there is, hence only two comparisons for each of its headers.
    """
    for name, value in headers:
        if value == b"0":
            if b"remaining" in name:
                return True
        elif name == b"ratelimit" and (b"r=0" in value or b"remaining=0" in value):
            return True
    return False


def wait_ahead(headers: Headers, now: float) -> float | None:
    """Seconds for which an upstream that has answered well will refuse what comes next; at most `CAP`; `None`: it will
    not, as far as it says. `now` is Unix time; where the upstream names its own (`date`), that counts."""
    fields: dict[str, str] = {}
    for raw, value in headers:
        name = raw.decode("latin-1")
        if name == "date" or ("ratelimit" in name and not any(word in name for word in _NOT_FOR_ALL)):
            text = value.decode("latin-1")
            fields[name] = f"{fields[name]}, {text}" if name in fields else text
    wait = used_up(fields, http_date(fields.get("date", "")) or now)
    return None if wait is None or wait < LEAST else min(wait, CAP)


def used_up(fields: Mapping[str, str], now: float | None) -> float | None:
    """Seconds until every limit that is used up is reset, as far as the headers (names in lower case) say; `None`: none
    is used up, or none says when it is reset. `now` is Unix time; without it points in time say nothing."""
    waits = [
        seconds(fields.get(name.replace("remaining", "reset"), ""), now)
        for name, value in fields.items()
        if value == "0" and "ratelimit" in name and "remaining" in name
    ]
    if "ratelimit" in fields:
        waits += _ietf(fields["ratelimit"][:_MAX_FIELD], fields.get("ratelimit-policy", "")[:_MAX_FIELD])
    known = [wait for wait in waits if wait is not None]
    return max(known) if known else None


def _ietf(limits: str, policies: str) -> Iterator[float]:
    """The resets of the used-up limits. Where one names none, its policy's window is the longest that it can take."""
    items = [(name, _params(rest)) for name, rest in _ITEM.findall(limits)]
    if not items:  # draft 07: `limit=100, remaining=0, reset=50`
        found = _params(limits)
        items = [("", {"r": found.get("remaining", 1), **({"t": found["reset"]} if "reset" in found else {})})]
    windows = {name: _params(rest).get("w") for name, rest in _ITEM.findall(policies)}
    for name, params in items:
        wait = params.get("t", windows.get(name))
        if params.get("r") == 0 and wait is not None:
            yield float(wait)


def _params(text: str) -> dict[str, int]:
    return {name: int(value) for name, value in _PARAM.findall(text)}
