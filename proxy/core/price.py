"""Money per token, and what a usage costs by it."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from proxy.core.usage import Usage

MILLION = Decimal(1_000_000)


class Price(NamedTuple):
    """US dollars per million tokens. A part that is `None` is charged as the whole that contains it.

    `dated` is the ISO date from which the price is known to hold (empty: as declared by the operator);
    `origin` says who states it: `config`, `genai-prices`, `local`.
    """

    input: Decimal
    output: Decimal
    cached_input: Decimal | None = None
    cache_write: Decimal | None = None
    reasoning: Decimal | None = None
    origin: str = "config"
    dated: str = ""


FREE = Price(Decimal(0), Decimal(0), origin="local")


def cost(price: Price | None, usage: Usage | None) -> Decimal | None:
    """US dollars for a usage; `None` (unknown) when either is unknown, never 0 for lack of knowledge."""
    if price is None or usage is None:
        return None
    plain_input = usage.input
    plain_output = usage.output
    total = Decimal(0)
    if usage.cached_input and price.cached_input is not None:
        total += usage.cached_input * price.cached_input
        plain_input -= usage.cached_input
    if usage.cache_write and price.cache_write is not None:
        total += usage.cache_write * price.cache_write
        plain_input -= usage.cache_write
    if usage.reasoning and price.reasoning is not None:
        total += usage.reasoning * price.reasoning
        plain_output -= usage.reasoning
    total += max(plain_input, 0) * price.input + max(plain_output, 0) * price.output
    return total / MILLION
