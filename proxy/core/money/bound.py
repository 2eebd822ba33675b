"""What an attempt can cost at most: its input, estimated with a margin, and as long an answer as it may have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from proxy.core.chat import ChatRequest, EmbedRequest
from proxy.core.choice.facts import output_of
from proxy.core.money.account import NEVER
from proxy.core.money.budget import UNIT, whole
from proxy.core.price import MILLION, Price
from proxy.core.relay import Request
from proxy.core.route import Target
from proxy.core.tokens import of_request

BYTES_PER_TOKEN = 3
"""Of a request's JSON. English takes more than four bytes a token, most scripts about three: a margin of a third."""
LONG = 32 * 1024
"""Bytes beyond which a body is looked at in full: pictures and sound are no text, but much of the body."""
USUAL_ANSWER = 4096
"""Tokens that are reserved for an answer that has no bound, where the operator allows those."""
_LENGTHS = frozenset({"max_completion_tokens", "max_tokens"})
_SPECIAL = frozenset({"modalities", "audio", "service_tier", "cache_control"})

_new = tuple.__new__  # a third of what the class's own `__new__` costs, which is a Python function


class Asked(NamedTuple):
    """One request, as far as it matters for what it can cost. Tokens."""

    input: int
    output: int | None = None
    """Of one answer, where the request says it."""
    answers: int = 1
    speaks: bool = True
    """Tokens come out of it, not only in."""
    nameable: bool = True
    """The caller can name `max_tokens`."""
    unusual: bool = False
    """Some of its tokens may be charged at prices of their own: it has sound or pictures in it, marks what is to be
    cached, or names a service tier."""


class Rates(NamedTuple):
    """Of one target: parts of a dollar a token, the dearest that a request may meet; and how long answers may be."""

    input: int
    output: int
    beyond: int
    """Tokens of input from which on they are others."""
    longest: int | None
    """Tokens of one answer, by what is known of its model."""
    context: int | None
    said: int | None = None
    """What its own parameters say, whatever the request does."""
    default: int | None = None
    """What they say where the request says nothing."""
    deaf: bool = False
    """It is not told what the request says."""

    @property
    def free(self) -> bool:
        """Nothing is charged."""
        return not self.input and not self.output

    @property
    def most(self) -> int | None:
        """Tokens that a single answer may have for which the request itself names a bound, too; `None`: its parameters
        say otherwise."""
        odd = self.said is not None or self.deaf
        return None if odd else self.longest or self.context or NEVER


def asked_of(request: Request) -> Asked:
    """Of a request that came in."""
    body = request.body
    if not isinstance(request, ChatRequest):
        embeds = isinstance(request, EmbedRequest)
        return Asked(_input(request), speaks=not embeds, nameable=False, unusual=not embeds)
    raw = request.raw
    tokens = len(raw) // BYTES_PER_TOKEN
    if request.native is not None or len(raw) > LONG:
        tokens = _input(request)
    answers = body.get("n")
    several = answers if type(answers) is int and answers > 1 else 1
    return _new(Asked, (tokens, output_of(body), several, True, True, _unusual(body, raw)))


def _unusual(body: Mapping[str, Any], raw: bytes) -> bool:
    if not _SPECIAL.isdisjoint(body):
        return True
    messages = body.get("messages")
    plain = "tools" not in body and isinstance(messages, list)
    for message in messages if plain and messages else ():
        if type(message) is not dict or type(message.get("content")) is list:
            plain = False
            break
    # Only what has a structure can hold one of these; to look for them in all text takes 0.9 us for 700 bytes.
    return not plain and (b'"cache_control"' in raw or b'"input_audio"' in raw or b'"image_url"' in raw)


def _input(request: Request) -> int:
    """Tokens, with a margin."""
    length = len(request.raw)
    if isinstance(request, ChatRequest) and (length > LONG or request.native is not None):
        # A stored conversation may go before what came in another API.
        return of_request(request.body) * 4 // 3 + 1
    return length // BYTES_PER_TOKEN


def rates_of(target: Target, asked: Asked | None = None) -> Rates | None:
    """For this request, or for a plain one. `None`: nobody knows what it costs."""
    price, ability = target.price, target.ability
    if price is None:
        return None
    beyond = next((start for start, _ in price.tiers), NEVER)
    prices = [price if asked is None else price.at(asked.input)]
    inward: list[Decimal | None] = [prices[0].input]
    outward = [prices[0].output, prices[0].reasoning]
    if asked is not None and asked.unusual:
        prices += [tier.at(asked.input) for _, tier in price.services]
        inward = [part for one in prices for part in (one.input, *_apart(one))]
        outward = [part for one in prices for part in (one.output, one.reasoning, one.audio_output, one.image_output)]
    return Rates(
        _rate(inward),
        _rate(outward),
        beyond,
        ability.output,
        ability.context,
        output_of(target.overrides),
        output_of(target.defaults),
        target.drop >= _LENGTHS,
    )


def _apart(price: Price) -> tuple[Decimal | None, ...]:
    return price.cache_write, price.cache_write_1h, price.audio_input, price.image_input


def _rate(prices: Iterable[Decimal | None]) -> int:
    """The dearest of these, dollars per million tokens, as parts a token, rounded up."""
    return whole(max(price for price in prices if price is not None) * UNIT / MILLION)


def longest(asked: Asked, rates: Rates) -> int | None:
    """Tokens that may come out at this target, all answers together; `None`: there is no bound."""
    if not asked.speaks or not rates.output:
        return 0
    said = rates.said or (None if rates.deaf else asked.output) or rates.default
    known = rates.longest or rates.context
    one = known if said is None else said if known is None else min(said, known)
    return None if one is None else one * asked.answers


def most(asked: Asked, rates: Rates, more: int = 0) -> int | None:
    """What an attempt can cost there, in parts of a dollar; `None`: there is no bound. `more`: further tokens of input,
    of an answer that it is to go on with."""
    output = longest(asked, rates)
    return None if output is None else (asked.input + more) * rates.input + output * rates.output


def unsaid(rates: Rates, *, ask: bool) -> int | None:
    """Tokens of one answer for which the request names no bound; `None`: there is none. Without `ask` a usual one."""
    wanted = None if ask or rates.default is not None else USUAL_ANSWER
    return longest(Asked(0, wanted), rates)


def usual(asked: Asked, rates: Rates, more: int = 0) -> int:
    """What is reserved for it where answers without a bound are allowed."""
    output = unsaid(rates, ask=False) or 0
    return (asked.input + more) * rates.input + output * asked.answers * rates.output


def affordable(asked: Asked, rates: Rates, room: int) -> int:
    """Tokens that one answer may have for this much money; 0 or less: none."""
    left = room - asked.input * rates.input
    return left // (rates.output * asked.answers) if rates.output else 0
