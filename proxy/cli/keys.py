"""`wayline keys`: callers' keys in the database, made, listed, changed for others and ended while servers run."""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import click

from proxy.cli.keys_view import day, iso, lines, may, minute, of_file, plain
from proxy.config.limiting import limits_of
from proxy.config.load import load_file
from proxy.config.problem import Problems, nearest, one_of
from proxy.config.values import Config
from proxy.core.key import Key, wrong
from proxy.core.money.budget import OnExceeded, budget_of
from proxy.state import keys
from proxy.state.keys import Missing, Unable
from proxy.state.schema import StateError, open_database

_SPAN = re.compile(r"([1-9][0-9]{0,4}) ?(s|m|h|d|w)\Z")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


class Where(NamedTuple):
    """Which database: that of a configuration, or one that is named itself."""

    config: Path
    state: Path | None


class Wanted(NamedTuple):
    """A new key, as the command line says it."""

    name: str
    routes: tuple[str, ...]
    budgets: tuple[str, ...]
    on_exceeded: str | None
    limits: dict[str, int | None]
    expires: str | None
    tags: tuple[str, ...]
    owner: str


def add(where: Where, wanted: Wanted, *, as_json: bool) -> int:
    """Makes one and prints it: the only time that it is seen. Returns the exit status."""
    now = time.time()
    key = key_of(wanted)
    expires = None if wanted.expires is None else moment(wanted.expires, now)
    said = wrong(key, expires)
    if said is not None:
        raise click.UsageError(said[1])

    def make(db: sqlite3.Connection, config: Config | None) -> str:
        if config is not None:
            _check(config, key)
        return keys.add(db, key, expires, now)

    return _made(where, make, key, expires, as_json=as_json)


def rotate(where: Where, name: str, overlap: str, *, as_json: bool) -> int:
    """Changes it for another. Returns the exit status."""
    now = time.time()
    seconds = span(overlap)

    def change(db: sqlite3.Connection, config: Config | None) -> str:
        with _of_file(config, name):
            return keys.rotate(db, name, seconds, now)

    return _made(where, change, Key(name), None, as_json=as_json, until=now + seconds, there=True)


def revoke(where: Where, name: str) -> int:
    """Ends it. Returns the exit status."""

    def end(db: sqlite3.Connection, config: Config | None) -> None:
        with _of_file(config, name):
            count = keys.revoke(db, name, time.time())
        both = " (it had two while it was changed)" if count > 1 else ""
        click.echo(f"{name} is revoked{both}: servers refuse it within 2 seconds.")

    return _with(where, end, there=True)


def listed(where: Where, *, as_json: bool) -> int:
    """Prints all. Returns the exit status."""

    def show(db: sqlite3.Connection, config: Config | None) -> None:
        rows, own = keys.rows(db), () if config is None else config.keys
        if as_json:
            click.echo(json.dumps([*map(of_file, own), *map(plain, rows)], indent=2))
            return
        for line in lines(rows, own, time.time()):
            click.echo(line)

    return _with(where, show, there=True)


def _with(where: Where, act: Callable[[sqlite3.Connection, Config | None], None], *, there: bool = False) -> int:
    """`there`: a database that is named itself must be one already."""
    try:
        path, config = _database(where)
        if there and where.state is not None and not path.exists():
            raise Unable(f"There is no database {path}.")
        with closing(open_database(path, busy=5.0)) as db:
            act(db, config)
    except (Unable, StateError) as error:
        click.echo(str(error), err=True)
    except sqlite3.Error as error:
        click.echo(f"The database cannot be written: {error}.", err=True)
    else:
        return 0
    return 1


def _database(where: Where) -> tuple[Path, Config | None]:
    if where.state is not None:
        return where.state, None
    found = load_file(where.config, has_keys=lambda _: True)  # the first one is about to be made
    if isinstance(found, Problems):
        raise Unable(f"{found}\n(or name the database: --state FILE)")
    if found.state is None:
        raise Unable(f"{where.config}: `state: false`, so there is nowhere to keep keys")
    return Path(found.state), found


def _made(
    where: Where,
    make: Callable[[sqlite3.Connection, Config | None], str],
    key: Key,
    expires: float | None,
    *,
    as_json: bool,
    until: float | None = None,
    there: bool = False,
) -> int:
    def act(db: sqlite3.Connection, config: Config | None) -> None:
        secret = make(db, config)
        if as_json:
            said = {"name": key.name, "key": secret, "expires": iso(expires), "replaced_until": iso(until)}
            click.echo(json.dumps({name: value for name, value in said.items() if value is not None}, indent=2))
            return
        click.echo(secret)
        good = "" if expires is None else f"; until {day(expires)}"
        told = f"{key.name}: {may(key)}{good}" if until is None else f"The one before is good until {minute(until)}"
        click.echo(f"{told}.\nThis key is shown only now: nothing but its SHA-256 is kept.", err=True)

    return _with(where, act, there=there)


# What was asked for -----------------------------------------------------------------------------------------------


def key_of(wanted: Wanted) -> Key:
    """What it may do. Raises `click.UsageError`."""
    try:
        budgets = tuple(budget_of(text, OnExceeded(wanted.on_exceeded or "refuse")) for text in wanted.budgets)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    if wanted.on_exceeded is not None and not budgets:
        raise click.UsageError("--on-exceeded says what follows when a --budget is spent: there is none")
    limits = limits_of({"limits": {name: value for name, value in wanted.limits.items() if value is not None}})
    routes = frozenset(wanted.routes) or None
    return Key(wanted.name, routes, tuple(sorted(set(wanted.tags))), wanted.owner, budgets, limits)


@contextlib.contextmanager
def _of_file(config: Config | None, name: str) -> Iterator[None]:
    """Where it is not in the database it may be in the file."""
    try:
        yield
    except Missing:
        if config is None or all(own.name != name for own in config.keys):
            raise
        raise Unable(f"The key {name!r} stands in {config.source}: it can be changed there.") from None


def _check(config: Config, key: Key) -> None:
    if any(own.name == key.name for own in config.keys):
        raise Unable(f"{config.source} has a key {key.name!r} already.")
    for route in sorted(key.routes or ()):
        if route not in config.routes and not (config.direct and "/" in route):
            hint = nearest(route, config.routes)
            raise Unable(f"{config.source} has no route {route}, expected {one_of(config.routes)}{hint}")
    if key.budgets and config.ledger is None:
        raise Unable(f"{config.source}: `ledger: false`, and what was spent of a budget is read from there")


def span(words: str) -> float:
    """Seconds in `1h`, `30d`. Raises `click.UsageError`."""
    said = _SPAN.match(words)
    if said is None:
        if words == "0":
            return 0.0
        raise click.UsageError(f"{words!r}: expected a time like 90s, 5m, 1h, 30d, 2w")
    return float(said[1]) * _SECONDS[said[2]]


def moment(words: str, now: float) -> float:
    """A time from now, or a date (its beginning, in UTC), as Unix time. Raises `click.UsageError`."""
    if _SPAN.match(words):
        return now + span(words)
    try:
        given = datetime.fromisoformat(words)
    except ValueError:
        raise click.UsageError(f"{words!r}: expected a time like 30d, or a date like 2026-12-31") from None
    found = (given if given.tzinfo else given.replace(tzinfo=UTC)).timestamp()
    if found <= now:
        raise click.UsageError(f"{words} is over")
    return found
