"""`wayline spend`."""

from __future__ import annotations

import re
import shutil
import time
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path

import click

from proxy.config.load import load_file
from proxy.config.problem import Problems
from proxy.ledger.schema import LedgerError
from proxy.ledger.spend import By, Only, report
from proxy.ledger.spend_view import as_csv, as_json, as_table

_SPAN = re.compile(r"([1-9][0-9]{0,4})([dh])\Z")


def moment(words: str, now: float, zone: tzinfo | None) -> float:
    """When a span begins, as Unix time: `today`, `yesterday`, `7d` or `12h` back from now, a date, a date and time.

    `zone` says when days begin; `None`: the machine's own. Raises ValueError.
    """
    here = datetime.fromtimestamp(now, zone).astimezone(zone)
    midnight = here.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=zone)
    if words in ("today", "yesterday"):
        return (midnight - timedelta(days=words == "yesterday")).timestamp()
    span = _SPAN.match(words)
    if span:
        return now - int(span[1]) * (86400 if span[2] == "d" else 3600)
    given = datetime.fromisoformat(words)
    return (given if given.tzinfo else given.replace(tzinfo=zone)).timestamp()


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
