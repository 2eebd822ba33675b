"""What `wayline keys` prints: each key with what it may do, on 100 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from time import gmtime, strftime
from typing import Any

from proxy.config.values import CallerKey
from proxy.core.key import EXPIRED, Key
from proxy.core.money.budget import dollars
from proxy.core.money.words import much_and_then
from proxy.state.keys import Row

WIDTH = 100
WIDEST = 26
"""Of a column but the last one."""


def lines(rows: Iterable[Row], own: Iterable[CallerKey], now: float) -> Iterator[str]:
    """At most 100 columns wide."""
    table = [(one.name, "(file)", _own_state(one, now), "", may(one.key)) for one in own]
    table += [(row.key.name, row.prefix, _state(row, now), _ago(row.used, now), may(row.key)) for row in rows]
    if not table:
        yield "No keys. `wayline keys add NAME` makes one."
        return
    heads = ("name", "begins", "state", "seen", "may")
    widths = [min(max(len(line[at]) for line in [heads, *table]), WIDEST) for at in range(4)]
    for line in (heads, *table):
        start = "  ".join(f"{_cut(text, width):<{width}}" for text, width in zip(line[:4], widths, strict=True)) + "  "
        for number, part in enumerate(textwrap.wrap(line[4], WIDTH - len(start))):
            yield (" " * len(start) if number else start) + part


def may(key: Key) -> str:
    """What it may do, in words."""
    parts = [] if key.routes is None else [_several("route", sorted(key.routes))]
    parts += map(much_and_then, key.budgets)
    parts += [rate.words() for rate in key.limits.rates]
    if key.limits.concurrency is not None:
        parts.append(f"{key.limits.concurrency} at once")
    if key.tags:
        parts.append(_several("tag", key.tags))
    if key.owner:
        parts.append(f"owner {key.owner}")
    return "; ".join(parts) or "anything"


def _several(word: str, names: Iterable[str]) -> str:
    names = list(names)
    return f"{word}{'s' if len(names) > 1 else ''} {', '.join(names)}"


def _own_state(own: CallerKey, now: float) -> str:
    if own.expires is None:
        return "good"
    return f"until {day(own.expires)}" if now < own.expires else f"expired {day(own.expires)}"


def _state(row: Row, now: float) -> str:
    if row.until is None:
        return "good"
    if row.good(now):
        return f"until {day(row.until) if row.why == EXPIRED else minute(row.until)}"
    return f"{row.why} {day(row.until)}"


def _ago(used: float | None, now: float) -> str:
    if used is None:
        return "never"
    seconds = max(now - used, 0)
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit} ago"
    return "just now"


def _digits(amount: int) -> str:
    return dollars(amount).lstrip("$").replace(",", "")


def day(at: float) -> str:
    """In UTC."""
    return strftime("%Y-%m-%d", gmtime(at))


def minute(at: float) -> str:
    """In UTC."""
    return strftime("%Y-%m-%d %H:%M UTC", gmtime(at))


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def iso(at: float | None) -> str | None:
    """For programs."""
    return None if at is None else strftime("%Y-%m-%dT%H:%M:%SZ", gmtime(at))


def plain(row: Row) -> dict[str, Any]:
    """For programs."""
    state = {"from": "database", "prefix": row.prefix, "made": iso(row.made), "until": iso(row.until)}
    return {"name": row.key.name, **state, "why": row.why or None, "used": iso(row.used), **_may(row.key)}


def of_file(own: CallerKey) -> dict[str, Any]:
    """The same of one that stands in the configuration."""
    return {"name": own.name, "from": "file", "until": iso(own.expires), **_may(own.key)}


def _may(key: Key) -> dict[str, Any]:
    return {
        "routes": None if key.routes is None else sorted(key.routes),
        "budgets": [
            {"amount": _digits(one.amount), "per": one.per.value, "on_exceeded": one.on_exceeded.value}
            for one in key.budgets
        ],
        "limits": [{rate.unit: rate.amount, "per_seconds": rate.per} for rate in key.limits.rates],
        "concurrency": key.limits.concurrency,
        "tags": list(key.tags),
        "owner": key.owner or None,
    }
