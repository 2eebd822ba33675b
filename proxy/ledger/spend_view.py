"""A report as text: a table for people, JSON and CSV for programs."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import asdict, fields
from datetime import UTC, datetime
from decimal import Decimal
from textwrap import wrap
from typing import Any

import orjson

from proxy.ledger.spend import Line, Report

_FORMULA = frozenset("=+-@")
_BOLD, _DIM, _YELLOW, _RESET = "\x1b[1m", "\x1b[2m", "\x1b[33m", "\x1b[0m"
_COLUMNS: tuple[tuple[str, Callable[[Line], object]], ...] = (
    ("requests", lambda total: True),
    ("attempts", lambda total: True),
    ("served", lambda total: True),
    ("failed", lambda total: total.failed),
    ("cut", lambda total: total.cut),
    ("gone", lambda total: total.cancelled),
    ("input", lambda total: True),
    ("output", lambda total: True),
    ("cached", lambda total: total.cached),
    ("cost $", lambda total: True),
    ("unknown", lambda total: total.unknown),
)
"""Heads, and whether the column is worth its room, by the total."""
_MIN_NAME = 12
_GAP = "  "


def as_table(report: Report, width: int = 100, colour: bool = False) -> str:
    """Lines of at most `width` characters (never less than the numbers need), each ended by a newline."""
    if not report.lines:
        return "Nothing on record in this time.\n"
    heads = tuple(head for head, shown in _COLUMNS if shown(report.total))
    rows = [_cells(line, report.total) for line in (*report.lines, report.total)]
    widths = [max(len(head), *(len(row[i]) for row in rows)) for i, head in enumerate(heads)]
    room = width - sum(widths) - len(_GAP) * len(heads)
    names = [line.name or "(none)" for line in report.lines]
    name_width = max(_MIN_NAME, min(room, max(len(name) for name in (*names, "total", report.by))))

    def text(name: str, cells: tuple[str, ...]) -> str:
        shown = name if len(name) <= name_width else name[: name_width - 1] + "…"
        padded = (cell.rjust(size) for cell, size in zip(cells, widths, strict=True))
        return _GAP.join((shown.ljust(name_width), *padded)).rstrip()

    head = text(report.by, heads)
    lines = [
        _painted(head, _BOLD, colour),
        _painted("─" * len(head), _DIM, colour),
        *(text(name, row) for name, row in zip(names, rows[:-1], strict=True)),
        _painted("─" * len(head), _DIM, colour),
        _painted(text("total", rows[-1]), _BOLD, colour),
        *(_painted(part, _YELLOW, colour) for note in _notes(report) for part in wrap(note, max(width, len(head)))),
    ]
    return "\n".join(lines) + "\n"


def as_json(report: Report) -> str:
    """One object; costs are decimal text, `null` where nothing is known."""
    document = {
        "by": report.by,
        "since": _instant(report.since),
        "until": _instant(report.until),
        "only": {name: list(names) for name, names in report.only._asdict().items() if names},
        "lines": [_values(line) for line in report.lines],
        "total": _values(report.total),
    }
    return orjson.dumps(document, option=orjson.OPT_INDENT_2).decode() + "\n"


def as_csv(report: Report) -> str:
    """A head and a row for each line, without the total; an unknown cost is an empty field. (RFC 4180) Names that a
    spreadsheet would take for a formula have an apostrophe before them: callers choose those of agents and tags."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([report.by, *(field.name for field in fields(Line)[1:])])
    for line in report.lines:
        name, *counts = ("" if value is None else value for value in _values(line).values())
        writer.writerow([f"'{name}" if str(name)[:1] in _FORMULA else name, *counts])
    return out.getvalue()


def _cells(line: Line, total: Line) -> tuple[str, ...]:
    counts = (line.requests, line.attempts, line.served, line.failed, line.cut, line.cancelled)
    tokens = (line.input, line.output, line.cached)
    cells = (*map(str, counts), *map(_short, tokens), dollars(line.cost), str(line.unknown))
    return tuple(cell for cell, (_, shown) in zip(cells, _COLUMNS, strict=True) if shown(total))


def _short(count: int) -> str:
    """A count in at most six characters: 12345, 1.23M."""
    for unit, size in (("T", 10**12), ("G", 10**9), ("M", 10**6)):
        if count >= size:
            return f"{count / size:.2f}{unit}"
    return str(count) if count < 100_000 else f"{count / 1000:.0f}k"


def dollars(cost: Decimal | None) -> str:
    """Cents and more to four places; a smaller sum to its first two digits, so that it does not look like nothing."""
    if cost is None:
        return "?"
    if cost == 0:
        return "0"
    if abs(cost) >= Decimal("0.01"):
        return f"{cost:.4f}"
    return f"{cost:.{1 - cost.adjusted()}f}"


def _notes(report: Report) -> list[str]:
    total = report.total
    notes = []
    named = [f"{word[:-1]} {' or '.join(names)}" for word, names in report.only._asdict().items() if names]
    if named:
        notes.append(f"Only {', '.join(named)}.")
    if sum(line.attempts for line in report.lines) > total.attempts:
        notes.append("What has several tags counts in the line of each, and once in the total.")
    if total.unknown:
        notes.append(f"Not in the sum, since nobody knows their cost: {_attempts(total.unknown)}.")
    if total.maybe_billed:
        notes.append(f"Failed, and may have been billed all the same: {_attempts(total.maybe_billed)}.")
    if total.estimated:
        notes.append(f"{total.estimated_share:.0%} of the token counts are estimates.")
    return notes


def _attempts(count: int) -> str:
    return "1 attempt" if count == 1 else f"{count} attempts"


def _values(line: Line) -> dict[str, Any]:
    return asdict(line) | {"cost": None if line.cost is None else format(line.cost, "f")}


def _instant(time: float | None) -> str | None:
    return None if time is None else datetime.fromtimestamp(time, UTC).isoformat()


def _painted(text: str, code: str, colour: bool) -> str:
    return f"{code}{text}{_RESET}" if colour else text
