"""Models that servers on this machine offer (Ollama, LM Studio, …) and that no route names yet."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, TypedDict
from urllib.parse import urlsplit

from proxy.app.listing import listed
from proxy.app.machine import GIB, Machine, needed, parameters
from proxy.backends.listing import Offer
from proxy.config.abilities import ability_of
from proxy.config.address import is_loopback
from proxy.config.kinds import BACKEND_TYPES
from proxy.config.values import Backend, Config
from proxy.core.choice.facts import Facts
from proxy.net.flight import Net

MOST = 50


class Offered(TypedDict):
    """One of them."""

    target: Annotated[str, "As a route would name it."]
    needs_gib: Annotated[float | None, "Memory, about; null: neither its server nor its name tells."]
    fits: bool | None
    has: Annotated[list[str], "What of the task's needs its model is known to have."]
    context: int | None


async def offered(net: Net, config: Config, known: Collection[str], facts: Facts, here: Machine) -> list[Offered]:
    """Asked of the servers now; one that does not answer offers nothing. Those that fit come first."""
    near = [one.name for one in config.backends.values() if _near(one)]
    if not near:
        return []
    found = [
        _offered(f"{row.backend}/{offer.name}", offer, facts, here)
        for row in await listed(net, config, near)
        for offer in row.offers
        if f"{row.backend}/{offer.name}" not in known
    ]
    return sorted(found, key=lambda one: (one["fits"] is not True, -len(one["has"]), -(one["needs_gib"] or 0)))[:MOST]


def _near(backend: Backend) -> bool:
    row = BACKEND_TYPES[backend.type]
    address = backend.base_url or row.base_url or ""
    return row.free and not row.ours and not backend.missing and is_loopback(urlsplit(address).hostname or "")


def _offered(target: str, offer: Offer, facts: Facts, here: Machine) -> Offered:
    ability = offer.ability.over(ability_of(offer.name))
    billions = parameters(offer.name)
    need = int(offer.size * 1.15) if offer.size else None if billions is None else needed(billions)
    return {
        "target": target,
        "needs_gib": None if need is None else round(need / GIB, 1),
        "fits": None if need is None or here.available is None else need <= here.available,
        "has": sorted(name for name in facts.needs if ability.can(name)),
        "context": ability.context,
    }
