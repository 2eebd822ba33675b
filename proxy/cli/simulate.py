"""`wayline simulate`: what the recorded traffic would have met with another configuration."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable
from datetime import UTC
from pathlib import Path
from typing import NamedTuple, TypeVar

import click

from proxy.app.known_keys import with_keys
from proxy.config.load import load_file
from proxy.config.prices import price_targets
from proxy.config.problem import Problems
from proxy.ledger.schema import LedgerError
from proxy.ledger.since import moment
from proxy.simulate.inject import Supposed, down_of, priced_of, slow_of
from proxy.simulate.record import read
from proxy.simulate.run import simulate
from proxy.simulate.view import lines, plain


class Wanted(NamedTuple):
    """What the command line says."""

    log: Path | None
    config: Path
    since: str | None
    until: str | None
    down: tuple[str, ...]
    slow: tuple[str, ...]
    prices: tuple[str, ...]
    seed: int
    utc: bool


def run(wanted: Wanted, *, as_json: bool) -> int:
    """Prints; returns the exit status."""
    zone = UTC if wanted.utc else None
    supposed = Supposed(
        _each("--down", wanted.down, lambda words: down_of(words, zone)),
        _each("--slow", wanted.slow, lambda words: slow_of(words, zone)),
        _each("--price", wanted.prices, priced_of),
    )
    now = time.time()
    try:
        since, until = (moment(words, now, zone) if words else None for words in (wanted.since, wanted.until))
    except (ValueError, OverflowError):
        raise click.UsageError("expected today, yesterday, a span like 7d or 12h, or a date like 2026-11-01") from None
    loaded = load_file(wanted.config)
    if isinstance(loaded, Problems):
        click.echo(str(loaded), err=True)
        return 1
    config, warning = price_targets(loaded)
    if warning:
        click.echo(f"warning: {warning}", err=True)
    try:
        config = with_keys(config)
    except (sqlite3.Error, ValueError) as error:
        click.echo(f"warning: the keys in {config.state} cannot be read: {error}", err=True)
    log = wanted.log or (Path(config.ledger) if config.ledger else None)
    if log is None:
        click.echo(f"{config.source}: `ledger: false`, so nothing was put on record (or name it: --log FILE)", err=True)
        return 1
    try:
        found = simulate(read(log, since, until), config, supposed, seed=wanted.seed, zone=zone)
    except (LedgerError, ValueError) as error:
        click.echo(str(error), err=True)
        return 1
    if as_json:
        click.echo(json.dumps(plain(found, supposed), indent=2))
    else:
        for line in lines(found, supposed, zone):
            click.echo(line)
    return 0


_One = TypeVar("_One")


def _each(option: str, said: tuple[str, ...], read_one: Callable[[str], _One]) -> tuple[_One, ...]:
    try:
        return tuple(map(read_one, said))
    except ValueError as error:
        raise click.UsageError(f"{option}: {error}") from None
