"""`wayline check`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from proxy.app.custom import function_of
from proxy.cli.picture import picture, plain
from proxy.config.databases import keys_in
from proxy.config.load import load_file
from proxy.config.prices import price_targets
from proxy.config.problem import Mark, Problem, Problems, in_order
from proxy.config.values import Config
from proxy.core.price import Price
from proxy.credentials.build import credential_of

STYLES: dict[str, dict[str, Any]] = {
    "head": {"bold": True},
    "good": {"fg": "green"},
    "off": {"fg": "yellow"},
    "bad": {"fg": "red", "bold": True},
    "dim": {"dim": True},
}


def paint(text: str, role: str) -> str:
    """For a terminal."""
    return click.style(text, **STYLES[role])


def run(path: Path, *, as_json: bool, colour: bool) -> int:
    """Prints; returns the exit status."""
    found = load_file(path)
    if isinstance(found, Problems):
        _tell(found, as_json=as_json)
        return 1
    unusable = [*_credentials(found), *_functions(found)]
    if unusable:
        _tell(in_order(found.source, unusable), as_json=as_json)
        return 1
    config, warning = price_targets(found)
    if as_json:
        click.echo(json.dumps({"ok": True, **_facts(config)}, indent=2))
        return 0
    for line in picture(config, paint if colour else plain, keyed=keys_in(config.state)):
        click.echo(line, color=colour)
    if warning:
        click.echo(f"warning: {warning}", err=True)
    return 0


def _credentials(config: Config) -> Iterator[Problem]:
    """Backends whose calls cannot be signed here: two ways at once, or a library that is not installed."""
    for name, backend in config.backends.items():
        try:
            if not backend.missing:
                credential_of(backend)
        except ValueError as error:
            yield Problem(Mark(1, 1), f"backends.{name}", str(error))


def _functions(config: Config) -> Iterator[Problem]:
    """Functions of strategy `custom` that are not there, or cannot be called."""
    for name, route in config.routes.items():
        try:
            if route.policy is not None and route.policy.custom:
                function_of(route.policy.custom)
        except ValueError as error:
            yield Problem(Mark(1, 1), f"routes.{name}.custom", str(error))


def _tell(problems: Problems, *, as_json: bool) -> None:
    if as_json:
        told = [
            {"line": p.mark.line, "column": p.mark.column, "path": p.path, "message": p.message} for p in problems.items
        ]
        click.echo(json.dumps({"ok": False, "file": problems.source, "problems": told}, indent=2))
        return
    for line in problems.lines():
        click.echo(line, err=True)
    count = len(problems.items)
    click.echo(f"{problems.source}: {count} problem{'s' if count > 1 else ''}", err=True)


def _facts(config: Config) -> dict[str, Any]:
    """What a program may want to know. No key, no header, no parameter."""
    return {
        "file": config.source,
        "backends": {b.name: {"type": b.type, "missing": list(b.missing)} for b in config.backends.values()},
        "routes": {r.name: [{"target": t.name, **_money(t.price)} for t in r.targets] for r in config.routes.values()},
        "left_out": [{"route": out.route, "target": out.target, "reason": out.reason} for out in config.left_out],
    }


def _money(price: Price | None) -> dict[str, Any]:
    """Decimal digits as text: JSON's numbers would be read as binary fractions."""
    if price is None:
        return {"price": None}
    return {"price": _digits(price)}


def _digits(price: Price) -> dict[str, Any]:
    parts: dict[str, Any] = {
        name: None if value is None else str(value)
        for name, value in price._asdict().items()
        if not isinstance(value, tuple)
    }
    if price.tiers:
        parts["tiers"] = [{"beyond": start, **_digits(tier)} for start, tier in price.tiers]
    if price.services:
        parts["services"] = {name: _digits(tier) for name, tier in price.services}
    return parts
