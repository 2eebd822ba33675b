"""A simulation as text, at most 100 columns wide, and as JSON."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, tzinfo
from decimal import Decimal
from typing import Any, NamedTuple

from proxy.simulate.inject import Down, Slow, Supposed
from proxy.simulate.run import Simulated
from proxy.simulate.tally import Of, Spread, Tally

WIDTH = 100
NOTHING = Of()


def lines(found: Simulated, supposed: Supposed, zone: tzinfo | None) -> Iterator[str]:
    """What came of it, beside what is on record."""
    if not found.today.requests:
        yield "No request on record that this configuration has a route for."
    else:
        yield _head(found, zone)
        told = [*map(_down, supposed.down), *map(_slow, supposed.slow)]
        told += [f"{name} at ${price.input}/${price.output} a million tokens" for name, price in supposed.prices]
        if told:
            yield from _wrapped("supposed: ", "; ".join(told))
        yield ""
        yield from _targets(found)
        yield ""
        yield from _all(found.today, found.draft)
    notes = [*_gone(found.gone), *found.notes]
    if notes:
        yield ""
    for note in notes:
        yield from _wrapped("- ", note)


def _head(found: Simulated, zone: tzinfo | None) -> str:
    since, until = (datetime.fromtimestamp(at, zone).astimezone(zone) for at in (found.since, found.until))
    end = f"{until:%H:%M:%S}" if since.date() == until.date() else f"{until:%Y-%m-%d %H:%M:%S}"
    return f"{found.today.requests:,} requests, {since:%Y-%m-%d %H:%M:%S} to {end}, seed {found.seed}"


def _down(one: Down) -> str:
    return f"{one.name} down" + (f" {one.span.text}" if one.span else "")


def _slow(one: Slow) -> str:
    return f"{one.name or 'all'} x{one.factor:g}" + (f" {one.span.text}" if one.span else "")


# Targets ----------------------------------------------------------------------------------------------------------


def _targets(found: Simulated) -> Iterator[str]:
    """One line each: today, then in the draft."""
    today, draft = found.today, found.draft
    names = sorted(
        {*today.by_target, *draft.by_target}, key=lambda name: (-max(draft.share(name), today.share(name)), name)
    )
    rows: list[tuple[str, ...]] = [("", "share", "", "cost $", "", "failed", "", "first today", "", "first draft", "")]
    rows.append(("target", "today", "draft", "today", "draft", "today", "draft", "p50", "p95", "p50", "p95"))
    for name in names:
        before, after = today.by_target.get(name, NOTHING), draft.by_target.get(name, NOTHING)
        rows.append(
            (
                name,
                percent(today.share(name)),
                percent(draft.share(name)),
                _paid(before),
                _paid(after),
                str(before.failed),
                str(after.failed),
                *map(_seconds, before.first),
                *map(_seconds, after.first),
            )
        )
    yield from _laid(rows)


def _paid(of: Of) -> str:
    return "-" if not of.attempts else "?" if of.unknown and not of.cost else dollars(of.cost)


def _laid(rows: list[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(len(row[place]) for row in rows[1:]) for place in range(len(rows[0]))]
    room = WIDTH - sum(widths[1:]) - 2 * (len(widths) - 1)
    widths[0] = min(widths[0], max(room, 8))
    yield _over(rows[0], widths)
    for row in rows[1:]:
        name = row[0] if len(row[0]) <= widths[0] else row[0][: widths[0] - 1] + "…"
        cells = (cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
        yield "  ".join((name.ljust(widths[0]), *cells)).rstrip()


def _over(heads: tuple[str, ...], widths: list[int]) -> str:
    """Heads of several columns, each where its first one begins."""
    line = ""
    at = 0
    for head, width in zip(heads, widths, strict=True):
        if head:
            line = line.ljust(at + max(width - len(head), 0)) + head
        at += width + 2
    return line


# All of it --------------------------------------------------------------------------------------------------------


class _Row(NamedTuple):
    head: str
    cell: Callable[[Tally], Decimal | float | None]
    shown: Callable[[Any], str]


def _number(value: float) -> str:
    return f"{value:,.0f}"


def _seconds(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if value < 1 else f"{value:.2f}" if value < 100 else f"{value:,.0f}"


SOMETIMES = ("  of these sent nowhere", "refused by budgets", "left by their clients")
ROWS = (
    _Row("served", lambda all_: all_.served, _number),
    _Row("lost", lambda all_: all_.lost, _number),
    _Row("  of these sent nowhere", lambda all_: all_.refused, _number),
    _Row("refused by budgets", lambda all_: all_.unpaid, _number),
    _Row("left by their clients", lambda all_: all_.left, _number),
    _Row("failovers", lambda all_: all_.failovers, _number),
    _Row("attempts", lambda all_: all_.attempts, _number),
    _Row("cost $", lambda all_: all_.cost, lambda value: dollars(value)),
    _Row("first content, p50 s", lambda all_: all_.first.p50, _seconds),
    _Row("first content, p95 s", lambda all_: all_.first.p95, _seconds),
    _Row("whole answer, p50 s", lambda all_: all_.total.p50, _seconds),
    _Row("whole answer, p95 s", lambda all_: all_.total.p95, _seconds),
)


def _all(today: Tally, draft: Tally) -> Iterator[str]:
    rows: list[tuple[str, ...]] = [("", "today", "draft", "difference", "")]
    for row in ROWS:
        before, after = row.cell(today), row.cell(draft)
        if row.head in SOMETIMES and not before and not after:
            continue
        shown = ["-" if value is None else row.shown(value) for value in (before, after)]
        rows.append((row.head, *shown, *_difference(before, after, row.shown)))
    widths = [max(len(row[place]) for row in rows) for place in range(5)]
    for cells in rows:
        padded = (cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True))
        yield "  ".join((cells[0].ljust(widths[0]), *padded)).rstrip()
    if today.unknown or draft.unknown:
        yield from _wrapped(
            "- ",
            f"Attempts of unknown cost, not in these sums: {today.unknown:,} today, {draft.unknown:,} in the draft.",
        )


def _difference(
    before: Decimal | float | None, after: Decimal | float | None, shown: Callable[[Any], str]
) -> tuple[str, str]:
    if before is None or after is None:
        return "", ""
    more = Decimal(str(after)) - Decimal(str(before))
    words = ("+" if more > 0 else "-") + shown(abs(more))
    if not any(digit in words for digit in "123456789"):
        return "", ""
    return words, f"{float(more) / float(before):+.1%}".replace("%", " %") if before else ""


def _gone(gone: dict[str, int]) -> Iterator[str]:
    for route, count in sorted(gone.items(), key=lambda item: (-item[1], item[0])):
        counted = "1 request" if count == 1 else f"{count:,} requests"
        yield f"{counted} of route {route}, which the draft does not have: in none of these figures."


def percent(share: float) -> str:
    """`12.3 %`."""
    return f"{share * 100:.1f} %"


def dollars(cost: Decimal) -> str:
    """To four places; a smaller sum to its first two digits."""
    if cost == 0:
        return "0"
    return f"{cost:,.4f}" if abs(cost) >= Decimal("0.01") else f"{cost:.{1 - cost.adjusted()}f}"


def _wrapped(start: str, text: str) -> Iterator[str]:
    for number, part in enumerate(textwrap.wrap(text, WIDTH - len(start), break_on_hyphens=False)):
        yield (" " * len(start) if number else start) + part


# For programs -----------------------------------------------------------------------------------------------------


def plain(found: Simulated, supposed: Supposed) -> dict[str, Any]:
    """Costs are decimal text, times seconds."""
    return {
        "since": found.since,
        "until": found.until,
        "seed": found.seed,
        "supposed": [*map(_down, supposed.down), *map(_slow, supposed.slow), *_prices(supposed)],
        "today": plain_tally(found.today),
        "draft": plain_tally(found.draft),
        "gone": found.gone,
        "notes": list(found.notes),
    }


def _prices(supposed: Supposed) -> Iterable[str]:
    return (f"{name} {price.input}/{price.output}" for name, price in supposed.prices)


def plain_tally(tally: Tally) -> dict[str, Any]:
    """One side of it."""
    return {
        "requests": tally.requests,
        "served": tally.served,
        "lost": tally.lost,
        "refused": tally.refused,
        "refused_by_budgets": tally.unpaid,
        "left": tally.left,
        "failovers": tally.failovers,
        "attempts": tally.attempts,
        "cost": str(tally.cost),
        "cost_unknown": tally.unknown,
        **_times(tally.first, tally.total),
        "targets": {name: {"share": tally.share(name), **_of(of)} for name, of in sorted(tally.by_target.items())},
    }


def _of(of: Of) -> dict[str, Any]:
    return {
        "answered": of.answered,
        "attempts": of.attempts,
        "failed": of.failed,
        "cost": str(of.cost),
        "cost_unknown": of.unknown,
        **_times(of.first, of.total),
    }


def _times(first: Spread, total: Spread) -> dict[str, Any]:
    return {"first_content": first._asdict(), "total": total._asdict()}
