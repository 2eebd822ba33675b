"""What was spent: the ledger's rows, summed exactly.

For the command line::

    report(path, since, until, by, utc=False, only=ALL) -> Report          # raises LedgerError
    spend_view.as_table(report, width=100, colour=False) -> str
    spend_view.as_json(report) -> str
    spend_view.as_csv(report) -> str

`since` (included) and `until` (excluded) are Unix times in seconds, or `None`. A server may be running meanwhile: what
it recorded is seen 0.2 s later. Rows that a killed server left in its journal are brought in first.
"""

from __future__ import annotations

import contextlib
import sqlite3
from contextlib import closing
from dataclasses import dataclass, fields, replace
from decimal import Context, Decimal
from pathlib import Path
from typing import Any, Literal, NamedTuple

from proxy.ledger.recover import recover
from proxy.ledger.schema import LedgerError, check_version

By = Literal["route", "target", "backend", "key", "agent", "tag", "hour", "day", "month"]
BYS: tuple[By, ...] = ("route", "target", "backend", "key", "agent", "tag", "hour", "day", "month")
TIMES: dict[str, str] = {"hour": "%Y-%m-%d %H:00", "day": "%Y-%m-%d", "month": "%Y-%m"}
"""Those that are spans of time, and how one is named."""

_EXACT = Context(prec=80)
"""Enough digits that a sum of dollars is never rounded."""


class Only(NamedTuple):
    """What is summed at all: attempts that have one of each of these; of what none is named, all."""

    routes: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    agents: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


ALL = Only()


@dataclass(frozen=True, slots=True)
class Line:
    """One row of a report. Costs are US dollars."""

    name: str
    """The route, target, backend, key's name, agent, tag, hour (`2026-11-21 14:00`), day, month (`2026-11`). Empty for
    the total, or where there was none."""
    requests: int
    """Different requests that made at least one of these attempts."""
    attempts: int
    served: int
    failed: int
    cut: int
    cancelled: int
    input: int
    """Tokens, cached ones included."""
    output: int
    cached: int
    cost: Decimal | None
    """The exact sum of the known costs; `None` when not one is known."""
    unknown: int
    """Attempts that may have cost something, and nobody knows what: their share is missing in `cost`."""
    estimated: int
    """Attempts whose tokens were estimated, since the upstream reported none."""
    counted: int
    """Attempts with any token count, reported or estimated."""
    maybe_billed: int
    """Attempts that failed in a way that leaves open whether the upstream charges for them."""

    @property
    def estimated_share(self) -> float:
        """Of the attempts with a token count, the part (0 to 1) that was estimated."""
        return self.estimated / self.counted if self.counted else 0.0


NOTHING = Line("", 0, 0, 0, 0, 0, 0, 0, 0, 0, None, 0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Report:
    """What was spent in a span of time."""

    by: By
    since: float | None
    until: float | None
    lines: tuple[Line, ...]
    """The dearest first; hours, days and months in their order. What has two tags is in the lines of both."""
    total: Line
    """Of everything in the span, once; its requests are different ones over all lines."""
    only: Only = ALL


def report(
    path: str | Path, since: float | None, until: float | None, by: By, *, utc: bool = False, only: Only = ALL
) -> Report:
    """Sum up the attempts of requests that came in within the span. Raises `LedgerError`.

    Hours, days and months are those of this machine's time zone, or of UTC.
    """
    path = Path(path).absolute()
    if not path.is_file():
        raise LedgerError(f"There is no ledger {path}.")
    try:
        # Without the right to write, they stay where they are, for the server's next start.
        with contextlib.suppress(sqlite3.OperationalError, PermissionError):
            recover(path)
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=5.0)) as connection:
            version = check_version(connection, path)
            connection.create_aggregate("decimal_sum", 1, _DecimalSum)
            return _report(connection, version, Report(by, since, until, (), NOTHING, only), utc)
    except (sqlite3.Error, OSError) as error:
        raise LedgerError(f"The ledger {path} cannot be read: {error}.") from error


def _report(connection: sqlite3.Connection, version: int, wanted: Report, utc: bool) -> Report:
    by, since, until, only = wanted.by, wanted.since, wanted.until, wanted.only
    source = "attempts" if version >= _LABELLED else "(SELECT *, NULL AS agent, NULL AS tags FROM attempts)"
    where, values = _where(only)
    given = (float("-inf") if since is None else since, float("inf") if until is None else until, *values)
    name: str = by
    if by in TIMES:
        name = f"strftime('{TIMES[by]}', started_at, 'unixepoch', '{'utc' if utc else 'localtime'}')"
    lines_of = source
    if by == "tag":
        name, lines_of = "tag.value", f"{source} AS one LEFT JOIN json_each(one.tags) AS tag"
    connection.execute("BEGIN")  # lines and total see the same rows
    grouped = f"SELECT {name} AS name, {_SUMS} FROM {lines_of} {where} GROUP BY 1"
    lines = [_line(row) for row in connection.execute(grouped, given)]
    total = _line(connection.execute(f"SELECT '' AS name, {_SUMS} FROM {source} {where}", given).fetchone())
    if by in TIMES:
        lines.sort(key=lambda line: line.name)
    else:
        lines.sort(key=lambda line: (-(line.cost or 0), -line.attempts, line.name))
    return replace(wanted, lines=tuple(lines), total=total)


_LABELLED = 3
"""The schema from which on rows have agent and tags."""


def _where(only: Only) -> tuple[str, tuple[str, ...]]:
    parts = ["started_at >= ? AND started_at < ?"]
    for column, names in (("route", only.routes), ("key", only.keys), ("agent", only.agents)):
        if names:
            parts.append(f"{column} IN ({', '.join('?' * len(names))})")
    if only.tags:
        parts.append(f"EXISTS (SELECT 1 FROM json_each(tags) WHERE value IN ({', '.join('?' * len(only.tags))}))")
    return "WHERE " + " AND ".join(parts), (*only.routes, *only.keys, *only.agents, *only.tags)


_SUMS = """
    count(DISTINCT request_id || ' ' || started_at),
    count(*),
    count(*) FILTER (WHERE ended = 'served'),
    count(*) FILTER (WHERE ended = 'failed'),
    count(*) FILTER (WHERE ended = 'cut'),
    count(*) FILTER (WHERE ended = 'cancelled'),
    coalesce(sum(input), 0),
    coalesce(sum(output), 0),
    coalesce(sum(cached_input), 0),
    decimal_sum(cost),
    count(*) FILTER (WHERE cost IS NULL AND (ended != 'failed' OR maybe_billed)),
    count(*) FILTER (WHERE usage_source = 'estimated'),
    count(*) FILTER (WHERE usage_source != 'absent'),
    count(*) FILTER (WHERE maybe_billed)
"""
"""In the order of `Line`'s fields. An attempt that failed without being sent in full costs nothing: that is no gap."""


_FIELDS = tuple(field.name for field in fields(Line))


class _DecimalSum:
    """SQL aggregate: the exact sum of decimal texts, NULL when there is none."""

    def __init__(self) -> None:
        self._sum: Decimal | None = None

    def step(self, text: Any, /) -> None:
        if text is not None:
            value = Decimal(text)
            self._sum = value if self._sum is None else _EXACT.add(self._sum, value)

    def finalize(self) -> Any:  # text or NULL; the stubs know only of int
        return None if self._sum is None else str(self._sum)


def _line(row: tuple[Any, ...]) -> Line:
    values = dict(zip(_FIELDS, row, strict=True))
    values["name"] = values["name"] or ""
    values["cost"] = None if values["cost"] is None else Decimal(values["cost"])
    return Line(**values)
