"""Asks every configured backend for its models, live."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import NamedTuple

from proxy.backends.listing import Offer, listing, offers
from proxy.backends.registry import origin
from proxy.config.abilities import ability_of
from proxy.config.kinds import BACKEND_TYPES
from proxy.config.prices import Known, ask
from proxy.config.values import Backend, Config
from proxy.core.ability import Ability
from proxy.core.call import HttpCall, Origin
from proxy.core.dialect import Malformed
from proxy.core.failure import Failure
from proxy.core.price import FREE
from proxy.credentials.build import credential_of
from proxy.net.flight import Net
from proxy.net.whole import answered

PATIENCE = 15.0
"""Seconds for one backend's list."""
CONNECT = 5.0
PRICES_WITHIN = 60.0
"""Seconds for what genai-prices says of all of them."""
_MAX_BODY = 16 * 1024 * 1024


class Listed(NamedTuple):
    """One backend's models, or why there are none to be told."""

    backend: str
    type: str
    offers: tuple[Offer, ...] = ()
    reason: str = ""


async def listed(net: Net, config: Config, only: Iterable[str] = ()) -> list[Listed]:
    """All configured backends; `only`: those of these names or types."""
    wanted = set(only)
    chosen = [b for b in config.backends.values() if not wanted or b.name in wanted or b.type in wanted]
    return list(await asyncio.gather(*(_listed(net, backend) for backend in chosen)))


async def _listed(net: Net, backend: Backend) -> Listed:
    told = Listed(backend.name, backend.type)
    if backend.missing:
        return told._replace(reason=f"not configured: {', '.join(backend.missing)} is not set")
    if backend.models:
        return told._replace(offers=tuple(Offer(m.name, Ability(m.n_ctx)) for m in backend.models.values()))
    try:
        call = listing(backend)
        signed = None if call is None else await _signed(backend, call)
    except ValueError as error:
        return told._replace(reason=str(error))
    if signed is None:
        return told._replace(reason="its API has no list of models")
    if isinstance(signed, Failure):
        return told._replace(reason=signed.message)
    body = await asked(net, origin(backend), signed)
    if isinstance(body, str):
        return told._replace(reason=body)
    try:
        return told._replace(offers=offers(body))
    except Malformed as error:
        return told._replace(reason=str(error))


async def asked(net: Net, at: Origin, call: HttpCall) -> bytes | str:
    """The body of a list of models; or why there is none."""
    answer = await answered(net, at, call, most=_MAX_BODY, connect=CONNECT, within=PATIENCE)
    if isinstance(answer, str):
        return answer
    return answer.body if answer.status == 200 else f"it answered {answer.status}"


async def _signed(backend: Backend, call: HttpCall) -> HttpCall | Failure:
    credential = credential_of(backend)
    if credential is None:
        return call
    signed = credential.sign(call)
    return signed if isinstance(signed, HttpCall) else await signed


def completed(config: Config, found: Iterable[Listed]) -> list[Listed]:
    """With what is known besides: abilities by name, prices and contexts by genai-prices, 0 for what runs at home."""
    rows = list(found)
    questions = [
        (_known_at(config.backends[row.backend]), offer.name)
        for row in rows
        for offer in row.offers
        if not BACKEND_TYPES[row.type].free
    ]
    answer = ask(questions, PRICES_WITHIN) if questions else []
    known = {} if isinstance(answer, str) else dict(zip(questions, answer, strict=True))
    return [row._replace(offers=tuple(_completed(config, row, offer, known) for offer in row.offers)) for row in rows]


def _known_at(backend: Backend) -> str:
    """The address by which genai-prices knows its models."""
    return BACKEND_TYPES[backend.type].priced_at or backend.base_url


def _completed(config: Config, row: Listed, offer: Offer, known: dict[tuple[str, str], Known]) -> Offer:
    said = known.get((_known_at(config.backends[row.backend]), offer.name), Known())
    ability = offer.ability.over(ability_of(offer.name)).over(Ability(context=said.context))
    price = FREE if BACKEND_TYPES[row.type].free else offer.price or said.price
    return offer._replace(ability=ability, price=price)
