"""The commands of `wayline keys` and their options."""

from __future__ import annotations

import sys
from pathlib import Path

import click

_FILE = click.Path(path_type=Path, dir_okay=False)
_config = click.option(
    "--config", "-c", type=_FILE, default=Path("routes.yaml"), show_default=True, help="The configuration."
)
_state = click.option("--state", type=_FILE, help="The database, instead of asking the configuration where it is.")
_json = click.option("--json", "as_json", is_flag=True, help="For programs.")
_AMOUNT = click.IntRange(1)


@click.group()
def keys() -> None:
    """Keys of callers, made and ended while servers run: those see it within 2 seconds.

    They stand in the database beside the ledger, as SHA-256. Keys of the configuration's file stay as they are.
    """


@keys.command()
@click.argument("name")
@click.option("--route", "routes", multiple=True, help="It may ask for this route only; may be given several times.")
@click.option(
    "--budget", "budgets", multiple=True, help="US dollars for a time: 5/day, 0.10/request, 50/month, 100/total."
)
@click.option(
    "--on-exceeded",
    type=click.Choice(["refuse", "cheaper", "local"]),
    help="What happens to a request for which too little of a budget is left.  [default: refuse]",
)
@click.option("--rpm", type=_AMOUNT, help="Requests a minute.")
@click.option("--rph", type=_AMOUNT, help="Requests an hour.")
@click.option("--rpd", type=_AMOUNT, help="Requests a day.")
@click.option("--tpm", type=_AMOUNT, help="Tokens a minute.")
@click.option("--tph", type=_AMOUNT, help="Tokens an hour.")
@click.option("--tpd", type=_AMOUNT, help="Tokens a day.")
@click.option("--concurrency", type=_AMOUNT, help="Requests at once.")
@click.option("--expires", help="After a time like 30d, or on a date like 2026-12-31 (UTC).")
@click.option("--tag", "tags", multiple=True, help="What its requests count under; may be given several times.")
@click.option("--owner", default="", help="Whose it is, for people.")
@_config
@_state
@_json
def add(
    name: str,
    routes: tuple[str, ...],
    budgets: tuple[str, ...],
    on_exceeded: str | None,
    rpm: int | None,
    rph: int | None,
    rpd: int | None,
    tpm: int | None,
    tph: int | None,
    tpd: int | None,
    concurrency: int | None,
    expires: str | None,
    tags: tuple[str, ...],
    owner: str,
    config: Path,
    state: Path | None,
    as_json: bool,
) -> None:
    """Make a key and print it: the only time that it is seen.

    It goes to standard output, what it may do to standard error.
    """
    from proxy.cli.keys import Wanted, Where
    from proxy.cli.keys import add as run

    rates = {"rpm": rpm, "rph": rph, "rpd": rpd, "tpm": tpm, "tph": tph, "tpd": tpd}
    limits = {**rates, "concurrency": concurrency}
    wanted = Wanted(name, routes, budgets, on_exceeded, limits, expires, tags, owner)
    sys.exit(run(Where(config, state), wanted, as_json=as_json))


@keys.command("list")
@_config
@_state
@_json
def listed(config: Path, state: Path | None, as_json: bool) -> None:
    """All keys, those of the file too: how they begin, until when they are good, what they may do."""
    from proxy.cli.keys import Where
    from proxy.cli.keys import listed as run

    sys.exit(run(Where(config, state), as_json=as_json))


@keys.command()
@click.argument("name")
@_config
@_state
def revoke(name: str, config: Path, state: Path | None) -> None:
    """End a key."""
    from proxy.cli.keys import Where
    from proxy.cli.keys import revoke as run

    sys.exit(run(Where(config, state), name))


@keys.command()
@click.argument("name")
@click.option(
    "--overlap", default="1h", show_default=True, help="The one before stays good for so long; 0: it ends now."
)
@_config
@_state
@_json
def rotate(name: str, overlap: str, config: Path, state: Path | None, as_json: bool) -> None:
    """Change a key for another that may do the same, and print it."""
    from proxy.cli.keys import Where
    from proxy.cli.keys import rotate as run

    sys.exit(run(Where(config, state), name, overlap, as_json=as_json))
