"""Prices for the targets that have none of their own, found once when a configuration is loaded."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from proxy.config import pricing
from proxy.config.kinds import BACKEND_TYPES
from proxy.config.values import Config
from proxy.core.ability import Ability
from proxy.core.price import Price
from proxy.core.route import Target

Asked = tuple[str, str]
"""Base URL and model."""

PATIENCE = 20.0
"""Seconds. It takes 0.4 here, but a cold disk without byte code took 3."""


class Known(NamedTuple):
    """What genai-prices says of a model."""

    price: Price | None = None
    context: int | None = None
    """Tokens."""


NOTHING = Known()


def price_targets(config: Config, *, patience: float = PATIENCE) -> tuple[Config, str | None]:
    """The configuration with prices filled in, and a warning where they could not be asked for.

    Targets with a price of their own and local ones keep theirs; without any others no process is started.
    What genai-prices does not know stays `None`: unknown, not free.
    """
    asked = list(dict.fromkeys(q for route in config.routes.values() for t in route.targets if (q := _ask(config, t))))
    if not asked:
        return config, None
    answer = ask(asked, patience)
    if isinstance(answer, str):
        return config, f"no prices from genai-prices: {answer}; costs of these targets are unknown"
    return _filled(config, dict(zip(asked, answer, strict=True))), None


def _ask(config: Config, target: Target) -> Asked | None:
    backend = config.backends[target.backend]
    kind = BACKEND_TYPES[backend.type]
    if target.price is not None or kind.free:
        return None
    return kind.priced_at or backend.base_url, target.model


def _filled(config: Config, known: Mapping[Asked, Known]) -> Config:
    routes = {}
    for name, route in config.routes.items():
        targets = tuple(_priced(t, known.get(_ask(config, t) or ("", ""), NOTHING)) for t in route.targets)
        routes[name] = dataclasses.replace(route, targets=targets)
    return dataclasses.replace(config, routes=MappingProxyType(routes))


def _priced(target: Target, known: Known) -> Target:
    if known == NOTHING:
        return target
    ability = target.ability.over(Ability(context=known.context))
    return dataclasses.replace(target, price=target.price or known.price, ability=ability)


def ask(asked: Sequence[Asked], patience: float) -> list[Known] | str:
    """What genai-prices says of each, asked in a process of its own; or why it cannot be asked."""
    command = [sys.executable, "-P", str(Path(pricing.__file__))]
    try:
        done = subprocess.run(
            command, input=json.dumps(asked).encode(), capture_output=True, timeout=patience, check=False
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {patience:g} s"
    except OSError as error:
        return f"cannot be started ({error.strerror})"
    if done.returncode != 0:
        last = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        return f"it failed ({last[:200]})"
    try:
        found = [_known(item) for item in json.loads(done.stdout)]
    except (ValueError, TypeError, LookupError, InvalidOperation):
        return "its answer makes no sense"
    return found if len(found) == len(asked) else "its answer makes no sense"


def _known(item: dict[str, Any] | None) -> Known:
    if item is None:
        return NOTHING
    price, context = item["price"], item["context"]
    return Known(None if price is None else _price(price), context if isinstance(context, int) else None)


def _price(said: dict[str, Any]) -> Price:
    parts = {name: Decimal(value) for name, value in said.items() if name not in ("dated", "tiers", "services")}
    dated = str(said["dated"])
    beyond = tuple((int(start), _price({**tier, "dated": dated})) for start, tier in said.get("tiers", ()))
    services = tuple((name, _price(part)) for name, part in said.get("services", {}).items())
    return Price(**parts, origin="genai-prices", dated=dated, tiers=beyond, services=services)
