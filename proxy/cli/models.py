"""`wayline models`: what each configured backend offers."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import click

from proxy.app.listing import Listed, completed, listed
from proxy.backends.listing import Offer
from proxy.config.load import load_file
from proxy.config.problem import Problems
from proxy.config.values import Config
from proxy.core.ability import CAPABILITIES
from proxy.core.price import Price
from proxy.net.httpnet import HttpNet
from proxy.net.proxies import proxies_from
from proxy.net.settings import NetSettings

_GAP = "  "
_SIGNS = {"json_schema": "json", "embeddings": "embed"}
"""Shorter words for a column."""


class Wanted(NamedTuple):
    """Which models are to be shown."""

    providers: tuple[str, ...] = ()
    """Names or types of backends."""
    capabilities: tuple[str, ...] = ()
    free: bool = False

    def takes(self, offer: Offer) -> bool:
        """Known to fit: what is not known does not."""
        if self.free and not (offer.price is not None and offer.price.input == offer.price.output == 0):
            return False
        return all(offer.ability.can(name) for name in self.capabilities)


def run(config: Path, wanted: Wanted, *, as_json: bool, colour: bool) -> int:
    """Prints; returns the exit status."""
    loaded = load_file(config)
    if isinstance(loaded, Problems):
        click.echo(str(loaded), err=True)
        return 1
    rows = completed(loaded, asyncio.run(_ask(loaded, wanted)))
    shown = [row._replace(offers=tuple(offer for offer in row.offers if wanted.takes(offer))) for row in rows]
    if as_json:
        click.echo(json.dumps([_plain(row) for row in shown], indent=2))
    else:
        width = shutil.get_terminal_size((100, 24)).columns
        for line in table(shown, width):
            click.echo(line, color=colour)
    for row in shown:
        if row.reason:
            click.echo(f"{row.backend}: {row.reason}", err=True)
    return 0 if any(row.offers for row in rows) or not rows else 1


async def _ask(config: Config, wanted: Wanted) -> list[Listed]:
    net = HttpNet(NetSettings(proxies=proxies_from(dict(os.environ))))
    try:
        return await listed(net, config, wanted.providers)
    finally:
        await net.close()


def table(rows: Iterable[Listed], width: int) -> Iterator[str]:
    """Lines of at most `width` characters: name, context, price in and out ($ per million tokens), capabilities."""
    cells = [
        (f"{row.backend}/{offer.name}", _tokens(offer.ability.context), *_money(offer.price), _able(offer))
        for row in rows
        for offer in sorted(row.offers)
    ]
    if not cells:
        yield "No such models."
        return
    heads = ("model", "context", "in $", "out $", "can")
    sizes = [max(len(head), *(len(line[i]) for line in cells)) for i, head in enumerate(heads)]
    sizes[0] = max(20, min(sizes[0], width - sum(sizes[1:4]) - 24 - 4 * len(_GAP)))
    room = width - sum(sizes[:4]) - 4 * len(_GAP)
    for line in (heads, *cells):
        name = line[0] if len(line[0]) <= sizes[0] else line[0][: sizes[0] - 1] + "…"
        numbers = (line[i].rjust(sizes[i]) for i in (1, 2, 3))
        able = line[4] if len(line[4]) <= room else line[4][: room - 1] + "…"
        yield _GAP.join((name.ljust(sizes[0]), *numbers, able)).rstrip()


def _tokens(count: int | None) -> str:
    if count is None:
        return "?"
    if count >= 1_000_000 and count % 1000 < 600:
        return f"{count / 1e6:.4g}M"
    return f"{count // 1000}k" if count >= 10_000 else str(count)


def _money(price: Price | None) -> tuple[str, str]:
    return ("?", "?") if price is None else (_dollars(price.input), _dollars(price.output))


def _dollars(amount: Decimal) -> str:
    return f"{amount.normalize():f}"


def _able(offer: Offer) -> str:
    can = [_SIGNS.get(name, name) for name in CAPABILITIES if offer.ability.can(name)]
    size = [f"{offer.size / 1e9:.1f} GB"] if offer.size else []
    return " ".join((*can, *size))


def _plain(row: Listed) -> dict[str, Any]:
    models = [
        {
            "id": offer.name,
            "target": f"{row.backend}/{offer.name}",
            "context_window": offer.ability.context,
            "max_output_tokens": offer.ability.output,
            "capabilities": {name: offer.ability.can(name) for name in CAPABILITIES},
            "price": None
            if offer.price is None
            else {"input": str(offer.price.input), "output": str(offer.price.output), "origin": offer.price.origin},
            "size": offer.size or None,
        }
        for offer in row.offers
    ]
    return {"backend": row.backend, "type": row.type, "reason": row.reason or None, "models": models}
