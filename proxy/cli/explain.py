"""`wayline explain`: which targets a request would try now, in which order, and why others are left out."""

from __future__ import annotations

import json
import random
import textwrap
import time
from collections.abc import Iterable, Iterator
from decimal import Decimal
from math import inf
from pathlib import Path
from typing import Any, NamedTuple

import click

from proxy.app.custom import function_of
from proxy.config.load import load_file
from proxy.config.prices import price_targets
from proxy.config.problem import Problems, nearest, one_of
from proxy.config.values import Config
from proxy.core.choice.choose import Choice, choose, refused, words
from proxy.core.choice.facts import Facts
from proxy.core.choice.fitting import expected_cost
from proxy.core.choice.measured import FRESH
from proxy.core.choice.ranking import Seen
from proxy.core.choice.rules import Asked
from proxy.core.choice.wish import NONE, Unclear, wish_of_header
from proxy.core.failure import FailureKind
from proxy.core.health import Health
from proxy.core.plan import vectors_of
from proxy.core.route import Route, Target

WIDTH = 100
LONGEST_NAME = 44


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


class Explained(NamedTuple):
    """What was found out."""

    route: Route
    asked: Asked
    choice: Choice
    told: str
    """What the caller would be told; empty where a target is left."""


def run(config: Path, wanted: Wanted, *, as_json: bool) -> int:
    """Prints; returns the exit status: 1 where no target is left, too."""
    loaded = load_file(config)
    if isinstance(loaded, Problems):
        click.echo(str(loaded), err=True)
        return 1
    priced, warning = price_targets(loaded)
    if warning:
        click.echo(f"warning: {warning}", err=True)
    found = explained(priced, wanted)
    if isinstance(found, str):
        click.echo(found, err=True)
        return 1
    if as_json:
        click.echo(json.dumps(plain(found), indent=2))
    else:
        for line in lines(found):
            click.echo(line)
    return 1 if found.told else 0


def explained(config: Config, wanted: Wanted) -> Explained | str:
    """The same choice that live traffic gets, of targets of which nothing was measured yet; or why there is none."""
    route = config.routes.get(wanted.route)
    if route is None:
        hint = nearest(wanted.route, config.routes)
        return f"{config.source} has no route {wanted.route}, expected {one_of(config.routes)}{hint}"
    try:
        wish = wish_of_header(wanted.prefer) if wanted.prefer else NONE
        policy = route.policy
        custom = function_of(policy.custom) if policy is not None and policy.custom else None
    except (Unclear, ValueError) as error:
        return str(error)
    chat = "embeddings" not in wanted.needs
    asked = Asked(Facts(wanted.input, wanted.output, wanted.needs, chat, wanted.route), wish, wanted.key)
    route = route if chat else vectors_of(route)
    health = {target.name: _DOWN for target in route.targets if not _up(target, wanted.down)}
    hour = time.localtime().tm_hour if wanted.hour is None else wanted.hour
    choice = choose(route, asked, health, Seen(hour=hour), random.Random(0).random, custom)
    told = "" if choice.plan.targets else refused(route, choice, 0.0).message
    return Explained(route, asked, choice, told)


_DOWN = Health(opened=1, open_until=inf, cause=FailureKind.REFUSED)


def _up(target: Target, down: tuple[str, ...]) -> bool:
    return {target.name, target.backend}.isdisjoint(down)


def lines(found: Explained) -> Iterator[str]:
    """At most 100 columns wide."""
    route, choice = found.route, found.choice
    yield f"route {route.name}, strategy {choice.strategy}"
    yield from _wrapped("  asked: ", _request(found.asked))
    if choice.rule is not None and route.policy is not None:
        use = route.policy.rules[choice.rule].use
        yield f"  rule {choice.rule + 1} holds{': ' + use if use else ''}"
    if choice.trouble:
        yield from _wrapped("  its function failed, the order holds: ", choice.trouble)
    if choice.plan.anyway and choice.plan.targets:
        yield "  all of them are out of order: they are tried all the same"
    behind = {target.name: f"last: {why}" for target, why in choice.behind}
    rows = [
        (str(place), target.name, _cost(found.asked, target), behind.get(target.name, ""))
        for place, target in enumerate(choice.plan.targets, 1)
    ]
    rows += [("–", one.target.name, "", words(one.standing, one.cause, one.until)) for one in choice.plan.skipped]
    rows += [("–", one.target.name, "", one.reason) for one in choice.left_out]
    yield from _rows(rows)
    if found.told:
        yield from _wrapped("  answered at once: ", found.told)


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


def _request(asked: Asked) -> str:
    facts, wish = asked.facts, asked.wish
    parts = [f"{facts.input:,} tokens in"]
    if facts.output is not None:
        parts.append(f"up to {facts.output:,} out")
    if facts.needs:
        parts.append("needs " + ", ".join(sorted(facts.needs)))
    parts += [f"{name} {_said(value)}" for name, value in wish._asdict().items() if value != getattr(NONE, name)]
    return "; ".join(parts)


def _said(value: object) -> str:
    if isinstance(value, frozenset):
        return " ".join(sorted(map(str, value)))
    return "yes" if value is True else str(value)


def _cost(asked: Asked, target: Target) -> str:
    cost = expected_cost(target, asked.facts, FRESH)
    return "$?" if cost is None else "free" if not cost else f"${_digits(cost)}"


def _digits(cost: Decimal) -> str:
    return f"{cost:.6f}".rstrip("0").rstrip(".") if cost >= Decimal("0.000001") else "0.000001"


def plain(found: Explained) -> dict[str, Any]:
    """For programs."""
    choice = found.choice
    behind = {target.name: why for target, why in choice.behind}
    return {
        "route": found.route.name,
        "strategy": choice.strategy,
        "rule": None if choice.rule is None else choice.rule + 1,
        "request": {
            "input": found.asked.facts.input,
            "output": found.asked.facts.output,
            "needs": sorted(found.asked.facts.needs),
        },
        "targets": [
            {
                "target": target.name,
                "cost": None if (cost := expected_cost(target, found.asked.facts, FRESH)) is None else str(cost),
                "behind": behind.get(target.name),
            }
            for target in choice.plan.targets
        ],
        "left_out": [
            *({"target": one.target.name, "reason": one.reason} for one in choice.left_out),
            *(
                {"target": one.target.name, "reason": words(one.standing, one.cause, one.until)}
                for one in choice.plan.skipped
            ),
        ],
        "anyway": choice.plan.anyway and bool(choice.plan.targets),
        "error": found.told or None,
    }
