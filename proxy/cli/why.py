"""`wayline why`: what became of a request, and why it went where it went."""

from __future__ import annotations

import json
from pathlib import Path

import click

from proxy.cli.spend import ledger_of
from proxy.ledger.schema import LedgerError
from proxy.ledger.why import story
from proxy.ledger.why_view import as_text


def run(request_id: str, *, config: Path, ledger: Path | None, utc: bool, as_json: bool) -> int:
    """Prints; returns the exit status: 1 where nothing is on record of it, too."""
    path = ledger or ledger_of(config)
    if isinstance(path, str):
        click.echo(path, err=True)
        return 1
    try:
        found = story(path, request_id)
    except LedgerError as error:
        click.echo(str(error), err=True)
        return 1
    if as_json:
        click.echo(json.dumps(found.as_json(), indent=2))
    else:
        for line in as_text(found, utc):
            click.echo(line)
    return 0
