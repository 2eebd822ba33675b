"""What an attempt can cost at most: its input, estimated with a margin, and as long an answer as it may have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from math import isfinite
from typing import Any, NamedTuple

from proxy.core.chat import ChatRequest, EmbedRequest
from proxy.core.choice.facts import APART, LENGTHS, Text, output_of
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
_DIGITS = 20

_MARKS = (b'"cache_control"', b'"input_audio"', b'"image_url"', b"\\u005", b"\\u006", b"\\u007")
"""In a body they may say that some of it is no text. Only who hides one of those words writes letters as escapes."""

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


def asked_of(request: Request, text: Text | None) -> Asked:
    """Of a request that came in. `text`: as `text_of` sees it."""
    if text is not None:
        length, output = len(request.raw), text[1]
        if length <= LONG and (output is None or "max_completion_tokens" not in request.body):
            return _new(Asked, (length // BYTES_PER_TOKEN, output, 1, True, True, False))
    body = request.body
    if not isinstance(request, ChatRequest):
        embeds = isinstance(request, EmbedRequest)
        return Asked(_input(request), speaks=not embeds, nameable=False, unusual=not embeds)
    raw, native = request.raw, request.native
    tokens = len(raw) // BYTES_PER_TOKEN
    unusual = _unusual(body, raw)
    if native is not None or len(raw) > LONG:
        tokens = _input(request)
    elif unusual:
        tokens = max(tokens, _input_in_full(body))  # a picture's address is shorter than a picture
    several = 1 if "n" not in body else _several(body["n"])
    if native is not None and native.api == "completions":
        return _of_text(Asked(tokens, output_of(native.body), several, unusual=unusual), native.body)
    output = _larger(body) if "max_completion_tokens" in body else output_of(body)
    return _new(Asked, (tokens, output, several, True, True, unusual))


def _larger(body: Mapping[str, Any]) -> int | None:
    """Of the two names for an answer's length some servers know only one: the larger number counts, and none where one
    of them is no number."""
    said = [output_of({"max_tokens": body[name]}) for name in LENGTHS if body.get(name) is not None]
    known = [one for one in said if one is not None]
    return max(known) if known and len(known) == len(said) else None


def _several(answers: object) -> int:
    """Answers that are asked for. Some servers take a number in a text, or with a point, for the number."""
    if isinstance(answers, str) and len(answers) < _DIGITS and answers.strip().isdecimal():
        answers = int(answers)
    return max(int(answers), 1) if isinstance(answers, int | float) and isfinite(answers) else 1


def _of_text(asked: Asked, body: Mapping[str, Any]) -> Asked:
    """The same for a text completion: each prompt has its answers, and `best_of` are made of which `n` are sent. What
    it may have without `max_tokens` is each server's own affair."""
    prompt = body.get("prompt")
    prompts = len(prompt) if isinstance(prompt, list) and prompt and isinstance(prompt[0], str | list) else 1
    answers = max(asked.answers, _several(body.get("best_of")))
    return asked._replace(input=max(asked.input, _in_ids(prompt)), answers=answers * prompts)


def _in_ids(given: object) -> int:
    """Tokens in a list of token ids, or of such lists; 0: it is none."""
    if not isinstance(given, list) or not given:
        return 0
    if isinstance(given[0], list):
        return sum(len(one) for one in given if isinstance(one, list))
    return len(given) if isinstance(given[0], int) else 0


def _unusual(body: Mapping[str, Any], raw: bytes) -> bool:
    if not APART.isdisjoint(body):
        return True
    if "tools" not in body and _texts(body.get("messages")):
        return False
    return any(mark in raw for mark in _MARKS)


def _texts(messages: object) -> bool:
    """They have no parts. Only what has a structure can hold anything special; to look for that in all text takes
    0.9 us for 700 bytes."""
    if type(messages) is not list:
        return False
    for message in messages:  # noqa: SIM110  # a generator takes twice as long
        if type(message) is not dict or type(message.get("content")) is list:
            return False
    return True


def _input(request: Request) -> int:
    """Tokens, with a margin."""
    length = len(request.raw)
    if isinstance(request, ChatRequest) and (length > LONG or request.native is not None):
        # A stored conversation may go before what came in another API.
        return _input_in_full(request.body)
    given = length // BYTES_PER_TOKEN
    return max(given, _in_ids(request.body.get("input"))) if isinstance(request, EmbedRequest) else given


def _input_in_full(body: Mapping[str, Any]) -> int:
    return of_request(body) * 4 // 3 + 1


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
        target.drop >= LENGTHS,
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
