"""`wayline spend`."""

from __future__ import annotations

import shutil
import time
from datetime import UTC
from pathlib import Path

import click

from proxy.config.load import load_file
from proxy.config.problem import Problems
from proxy.ledger.schema import LedgerError
from proxy.ledger.since import moment
from proxy.ledger.spend import By, Only, report
from proxy.ledger.spend_view import as_csv, as_json, as_table


def run(
    since: str,
    until: str | None,
    by: By,
    only: Only,
    *,
    config: Path,
    ledger: Path | None,
    utc: bool,
    form: str,
    colour: bool,
) -> int:
    """Prints; returns the exit status."""
    now, zone = time.time(), UTC if utc else None
    try:
        start, end = moment(since, now, zone), moment(until, now, zone) if until else None
    except (ValueError, OverflowError):
        raise click.UsageError("expected today, yesterday, a span like 7d or 12h, or a date like 2026-11-01") from None
    path = ledger or ledger_of(config)
    if isinstance(path, str):
        click.echo(path, err=True)
        return 1
    try:
        found = report(path, start, end, by, utc=utc, only=only)
    except LedgerError as error:
        click.echo(str(error), err=True)
        return 1
    if form == "table":
        width = shutil.get_terminal_size((100, 24)).columns
        click.echo(as_table(found, width, colour), color=colour, nl=False)
    else:
        click.echo(as_json(found) if form == "json" else as_csv(found), nl=False)
    return 0


def ledger_of(config: Path) -> Path | str:
    """Where the ledger is, or why that cannot be said."""
    found = load_file(config)
    if isinstance(found, Problems):
        return f"{found}\n(or name the database: --ledger FILE)"
    return Path(found.ledger) if found.ledger else f"{config}: `ledger: false`, so nothing was put on record"
