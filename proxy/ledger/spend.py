"""What was spent: the ledger's rows, summed exactly.

For the command line::

    report(path, since, until, by, utc=False) -> Report          # raises LedgerError
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
from dataclasses import dataclass, fields
from decimal import Context, Decimal
from pathlib import Path
from typing import Any, Literal

from proxy.ledger.recover import recover
from proxy.ledger.schema import LedgerError, check_version

By = Literal["route", "target", "backend", "day", "key"]
BYS: tuple[By, ...] = ("route", "target", "backend", "day", "key")

_EXACT = Context(prec=80)
"""Enough digits that a sum of dollars is never rounded."""


@dataclass(frozen=True, slots=True)
class Line:
    """One row of a report. Costs are US dollars."""

    name: str
    """The route, target, backend, day (`2026-11-21`) or name of a key; empty for the total, or where there was none."""
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


@dataclass(frozen=True, slots=True)
class Report:
    """What was spent in a span of time."""

    by: By
    since: float | None
    until: float | None
    lines: tuple[Line, ...]
    """The dearest first; days in their order."""
    total: Line
    """Of everything in the span; its requests are different ones over all lines."""


def report(path: str | Path, since: float | None, until: float | None, by: By, *, utc: bool = False) -> Report:
    """Sum up the attempts of requests that came in within the span. Raises `LedgerError`.

    Days are those of this machine's time zone, or of UTC.
    """
    path = Path(path).absolute()
    if not path.is_file():
        raise LedgerError(f"There is no ledger {path}.")
    try:
        # Without the right to write, they stay where they are, for the server's next start.
        with contextlib.suppress(sqlite3.OperationalError, PermissionError):
            recover(path)
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=5.0)) as connection:
            return _report(connection, path, since, until, by, "utc" if utc else "localtime")
    except (sqlite3.Error, OSError) as error:
        raise LedgerError(f"The ledger {path} cannot be read: {error}.") from error


def _report(
    connection: sqlite3.Connection, path: Path, since: float | None, until: float | None, by: By, zone: str
) -> Report:
    check_version(connection, path)
    connection.create_aggregate("decimal_sum", 1, _DecimalSum)
    span = (float("-inf") if since is None else since, float("inf") if until is None else until)
    connection.execute("BEGIN")  # lines and total see the same rows
    group = f"date(started_at, 'unixepoch', '{zone}')" if by == "day" else by
    lines = [_line(row) for row in connection.execute(f"SELECT {group} AS name, {_SUMS} GROUP BY name", span)]
    total = _line(connection.execute(f"SELECT '' AS name, {_SUMS}", span).fetchone())
    if by == "day":
        lines.sort(key=lambda line: line.name)
    else:
        lines.sort(key=lambda line: (-(line.cost or 0), -line.attempts, line.name))
    return Report(by, since, until, tuple(lines), total)


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
    FROM attempts WHERE started_at >= ? AND started_at < ?
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
