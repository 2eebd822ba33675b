"""`wayline explain`: which targets a request would try now, in which order, and why others are left out."""

from __future__ import annotations

import json
import sqlite3
import textwrap
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from math import ceil
from pathlib import Path
from typing import Any, NamedTuple

import click

from proxy.app.explain_money import Payer, Purse, as_known
from proxy.app.explaining import NoRoute, barred, custom_of, explained, plain, route_of, unknown
from proxy.app.known_keys import with_keys
from proxy.config.load import load_file
from proxy.config.prices import price_targets
from proxy.config.problem import Problems, nearest
from proxy.config.values import Config
from proxy.core.choice.facts import Facts
from proxy.core.choice.rules import Asked
from proxy.core.choice.wish import NONE, wish_of_header, with_tags
from proxy.core.key import Key
from proxy.core.money.afford import asked_about
from proxy.core.route import Route
from proxy.ledger.schema import LedgerError
from proxy.ledger.spent import spent

WIDTH = 100
LONGEST_NAME = 44
PATIENCE = 60.0
"""Seconds. A server that is given a draft may have to look up its prices."""


class Wanted(NamedTuple):
    """The request, as the command line says it."""

    route: str
    input: int
    output: int | None
    needs: frozenset[str]
    prefer: str
    key: str
    down: tuple[str, ...]
    """Targets or backends that are taken for being out of order."""
    hour: int | None


def run(config: Path | None, wanted: Wanted, *, as_json: bool, server: str = "", admin_key: str = "") -> int:
    """Prints; returns the exit status: 1 where no target is left, too. `server`: the URL of one that runs, which is
    asked instead; `config` is then a draft that it does not have in force, or `None`."""
    found = asked_there(server, admin_key, config, wanted) if server else found_here(config, wanted)
    if isinstance(found, str):
        click.echo(found, err=True)
        return 1
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        for line in lines(found):
            click.echo(line)
    return 1 if found["error"] else 0


def found_here(config: Path | None, wanted: Wanted) -> dict[str, Any] | str:
    """The same choice that live traffic gets, of targets of which nothing was measured yet; or why there is none."""
    loaded = load_file(config or Path("routes.yaml"))
    if isinstance(loaded, Problems):
        return str(loaded)
    priced, warning = price_targets(loaded)
    if warning:
        click.echo(f"warning: {warning}", err=True)
    try:
        route = route_of(priced, wanted.route)
        wish = wish_of_header(wanted.prefer) if wanted.prefer else NONE
        facts = Facts(wanted.input, wanted.output, wanted.needs, "embeddings" not in wanted.needs, wanted.route)
        custom = custom_of(route)
        key = _key(priced, wanted.key)
    except ValueError as error:
        return str(error)
    asked = Asked(facts, with_tags(wish, key.tags), wanted.key)
    purse = _purse(priced, route, asked, key)
    return barred(plain(explained(route, asked, unknown(wanted.hour), custom, wanted.down, purse)), key, wanted.route)


def _key(config: Config, name: str) -> Key:
    """Raises `NoRoute` where there are keys, and none of that name."""
    try:
        config = with_keys(config)
    except (sqlite3.Error, ValueError) as error:
        click.echo(f"warning: the keys in {config.state} cannot be read: {error}", err=True)
    known = {one.name: one.key for one in config.keys}
    if name and known and name not in known:
        raise NoRoute(f"there is no key {name}{nearest(name, known)}")
    return known.get(name) or Key(name)


def _purse(config: Config, route: Route, asked: Asked, key: Key) -> Purse:
    """By what stands in the ledger; nothing is under way."""
    payer = Payer(config.budgets, key, route.name, tuple(sorted(asked.wish.tags)), asked_about(asked.facts))
    now, known = time.time(), {}
    lasting = payer.lasting(route)
    if lasting and config.ledger is not None:
        try:
            found = spent(config.ledger, {owned.per for owned in lasting}, now)
            known = {owned: (amount, 0) for owned, amount in found.items()}
        except (sqlite3.Error, OSError, LedgerError) as error:
            click.echo(f"warning: the ledger cannot be read, so nothing counts as spent: {error}", err=True)
    return as_known(payer, known, now)


def asked_there(server: str, admin_key: str, config: Path | None, wanted: Wanted) -> dict[str, Any] | str:
    """What a running server says, by what it has measured."""
    asked: dict[str, Any] = {"route": wanted.route, "input": wanted.input, "needs": sorted(wanted.needs)}
    if wanted.output is not None:
        asked["output"] = wanted.output
    said: dict[str, Any] = {"asked": asked, "key": wanted.key, "down": list(wanted.down)}
    if wanted.hour is not None:
        said["hour"] = wanted.hour
    if wanted.prefer:
        said["headers"] = {"x-wayline-prefer": wanted.prefer}
    if config is not None:
        try:
            said["config"] = config.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            return f"{config}: {error}"
    url = server.rstrip("/") + "/admin/explain"
    if not url.startswith(("http://", "https://")):
        return f"{server} is no URL, like http://127.0.0.1:8080"
    headers = {"content-type": "application/json", "authorization": f"Bearer {admin_key}"}
    request = urllib.request.Request(url, json.dumps(said).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as reply:
            found: dict[str, Any] = json.load(reply)
            return found
    except urllib.error.HTTPError as error:
        with error:
            return _refusal(error.code, error.read(1 << 20), config)
    except (urllib.error.URLError, OSError, ValueError) as error:
        return f"{server} does not answer: {getattr(error, 'reason', error)}"


def _refusal(status: int, body: bytes, config: Path | None) -> str:
    try:
        told = json.loads(body)["error"]["message"]
    except (ValueError, KeyError, TypeError):
        return f"the server answers {status}"
    problems = str(told).split("\n")
    return "\n".join(
        f"{config}{line.removeprefix('draft')}" if line.startswith("draft:") else line for line in problems
    )


def lines(found: Mapping[str, Any]) -> Iterator[str]:
    """At most 100 columns wide."""
    yield f"route {found['route']}, strategy {found['strategy']}"
    yield from _wrapped("  asked: ", _request(found["request"]))
    if found["rule"] is not None:
        yield f"  rule {found['rule']} holds{': ' + found['use'] if found['use'] else ''}{_ranked(found)}"
    if found["trouble"]:
        yield from _wrapped("  its function failed, the order holds: ", found["trouble"])
    if found["anyway"]:
        yield "  all of them are out of order: they are tried all the same"
    rows = [
        (str(place), one["target"], _cost(one["cost"]), _told(one)) for place, one in enumerate(found["targets"], 1)
    ]
    rows += [("–", one["target"], "", one["reason"]) for one in found["left_out"]]
    yield from _rows(rows)
    if found.get("waits"):
        yield from _wrapped("  waits for its turn: ", found["waits"])
    if found["error"]:
        refusal = found.get("refusal")  # an older server does not tell it
        if refusal:
            wait = refusal["retry_after"]
            yield f"  answered at once: {refusal['status']} {refusal['code']}{_wait(wait)}"
        yield from _wrapped("    " if refusal else "  answered at once: ", found["error"])


def _ranked(found: Mapping[str, Any]) -> str:
    priority = found.get("priority")  # an older server does not tell it
    return f"{',' if found['use'] else ':'} priority {priority}" if priority else ""


def _wait(seconds: float | None) -> str:
    return "" if seconds is None else f", retry-after {max(ceil(seconds), 1)} s"


def _told(one: Mapping[str, Any]) -> str:
    parts = [f"last: {one['behind']}"] if one["behind"] else []
    measured = one.get("measured")
    if measured:
        first, speed = measured["first_content"], measured["speed"]
        parts += [f"{first:.3g} s"] if first is not None else []
        parts += [f"{speed:.3g} tokens/s"] if speed is not None else []
        parts += [f"{measured['good'] * 100:.0f} % good of {measured['attempts']}"]
        parts += [f"{measured['cached'] * 100:.0f} % cached"] if measured.get("cached") else []
        parts += [f"{measured['in_flight']} in flight"] if measured["in_flight"] else []
    return "; ".join(parts)


def _rows(rows: Iterable[tuple[str, str, str, str]]) -> Iterator[str]:
    rows = list(rows)
    width = min(max((len(name) for _, name, _, _ in rows), default=0), LONGEST_NAME)
    money = max((len(cost) for _, _, cost, _ in rows), default=0)
    for mark, name, cost, why in rows:
        shown = name if len(name) <= width else name[: width - 1] + "…"
        start = f"  {mark:>3}  {shown:<{width}}  {cost:>{money}}  "
        yield from _wrapped(start, why) if why else iter([start.rstrip()])


def _wrapped(start: str, text: str) -> Iterator[str]:
    for number, part in enumerate(textwrap.wrap(text, WIDTH - len(start), break_on_hyphens=False)):
        yield (" " * len(start) if number else start) + part


def _request(asked: Mapping[str, Any]) -> str:
    parts = [f"{asked['input']:,} tokens in"]
    if asked["output"] is not None:
        parts.append(f"up to {asked['output']:,} out")
    if asked["needs"]:
        parts.append("needs " + ", ".join(asked["needs"]))
    parts += [f"{name} {_said(value)}" for name, value in asked["wish"].items()]
    return "; ".join(parts)


def _said(value: object) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value))
    return "yes" if value is True else str(value)


def _cost(cost: str | None) -> str:
    if cost is None:
        return "$?"
    dollars = Decimal(cost)
    return f"${_digits(dollars)}" if dollars else "free"


def _digits(cost: Decimal) -> str:
    return f"{cost:.6f}".rstrip("0").rstrip(".") if cost >= Decimal("0.000001") else "0.000001"
