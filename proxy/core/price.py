"""Money per token, and what a usage costs by it."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from proxy.core.usage import Special, Usage

MILLION = Decimal(1_000_000)
_NOTHING = Decimal(0)


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
    tiers: tuple[tuple[int, Price], ...] = ()
    """What holds for *all* tokens of a request with more than so many of input, the least of them first."""
    services: tuple[tuple[str, Price], ...] = ()
    """What holds for requests that were served in a service tier (`Usage.tier`), by its name."""
    audio_input: Decimal | None = None
    audio_output: Decimal | None = None
    image_input: Decimal | None = None
    image_output: Decimal | None = None
    cache_write_1h: Decimal | None = None

    def served(self, tier: str) -> Price:
        """The price of a request that was served in this tier; where none is known, the usual one."""
        return next((price for name, price in self.services if name == tier), self)

    def at(self, tokens: int) -> Price:
        """The price of a request with so many tokens of input."""
        found = self
        for beyond, price in self.tiers:
            if tokens > beyond:
                found = price
        return found


FREE = Price(Decimal(0), Decimal(0), origin="local")


def cost(price: Price | None, usage: Usage | None) -> Decimal | None:
    """US dollars for a usage: what the upstream says it charges, else its tokens at this price. `None` (unknown) when
    neither is known, never 0 for lack of knowledge."""
    if usage is None:
        return None
    plain_input, plain_output, cached, written, reasoning, _, charged, _, apart = usage
    if charged is not None:
        return charged
    if price is None:
        return None
    parts = _NOTHING
    if cached and price.cached_input is not None:
        parts += cached * price.cached_input
        plain_input -= cached
    if written and price.cache_write is not None:
        parts += written * price.cache_write
        plain_input -= written
    if reasoning and price.reasoning is not None:
        parts += reasoning * price.reasoning
        plain_output -= reasoning
    if apart is not None:
        more, inward, outward = _special(price, apart)
        parts += more
        plain_input -= inward
        plain_output -= outward
    # `max(…, 0)` would take 0.3 us each.
    plain_input = plain_input if plain_input > 0 else 0
    plain_output = plain_output if plain_output > 0 else 0
    return (parts + plain_input * price.input + plain_output * price.output) / MILLION


def _special(price: Price, apart: Special) -> tuple[Decimal, int, int]:
    """What tokens with a price of their own cost (per million), and how many of them were input and output."""
    heard, spoken, seen, drawn, kept = apart
    parts, inward, outward = _NOTHING, 0, 0
    for count, rate in ((heard, price.audio_input), (seen, price.image_input)):
        if count and rate is not None:
            parts += count * rate
            inward += count
    for count, rate in ((spoken, price.audio_output), (drawn, price.image_output)):
        if count and rate is not None:
            parts += count * rate
            outward += count
    if kept and price.cache_write_1h is not None:  # on top of what every token costs that is written
        parts += kept * (price.cache_write_1h - (price.input if price.cache_write is None else price.cache_write))
    return parts, inward, outward
