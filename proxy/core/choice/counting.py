"""When an estimate of a request's tokens is too rough: it is near something that decides. Then, and only then, those
targets count that have a tokenizer of their own."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from decimal import Decimal
from math import inf
from typing import Any, NamedTuple

from proxy.core.choice.facts import Facts
from proxy.core.choice.wish import Wish
from proxy.core.price import MILLION
from proxy.core.route import Route, Target
from proxy.core.tokens import DENSITIES, Tokenizer, of_bounded

LEAST, MOST = DENSITIES
"""A request has between so many and so many times the tokens that are estimated from its characters."""
SHARE = 10
"""Where nobody says how long an answer may be, input that costs less than this part of a bound does not decide."""


class Edges(NamedTuple):
    """Of a route: what the tokens of a request may be near to."""

    targets: tuple[Target, ...]
    """Those with a tokenizer."""
    tightest: float
    """The least of their contexts."""
    rules: tuple[float, ...]
    """Tokens from which or up to which some rule holds."""
    money: tuple[Decimal, ...]
    """US dollars that requests may be expected to cost, by the route or its rules."""


def edges_of(route: Route, names: Collection[str]) -> Edges | None:
    """`names`: targets with a tokenizer. `None`: there is nothing that could be counted, or none."""
    targets = tuple(target for target in route.targets if target.name in names)
    if not targets:
        return None
    policy = route.policy
    rules = () if policy is None else policy.rules
    spans = [rule.when.tokens for rule in rules if rule.when.tokens is not None]
    wishes = [] if policy is None else [policy.require, *(rule.set for rule in rules)]
    return Edges(
        targets,
        min((one.ability.context for one in targets if one.ability.context is not None), default=inf),
        tuple(bound for span in spans for bound in span if 0 < bound < inf),
        tuple(wish.max_cost for wish in wishes if wish.max_cost is not None),
    )


def near(edges: Edges, facts: Facts, wish: Wish) -> tuple[str, ...]:
    """Targets for which the estimate may decide wrongly."""
    low, high = facts.input * LEAST, facts.input * MOST
    if any(low <= bound <= high for bound in edges.rules):
        return tuple(target.name for target in edges.targets)
    money = edges.money if wish.max_cost is None else (*edges.money, wish.max_cost)
    if not money and high + (facts.output or 0) <= edges.tightest:
        return ()
    return tuple(
        target.name
        for target in edges.targets
        if _near_context(target, facts, low, high) or any(_near_cost(target, facts, low, high, one) for one in money)
    )


def _near_context(target: Target, facts: Facts, low: float, high: float) -> bool:
    context = target.ability.context
    if context is None or not facts.chat:
        return False
    wanted = facts.output or 0
    return low <= context < high or low + wanted <= context < high + wanted


def _near_cost(target: Target, facts: Facts, low: float, high: float, most: Decimal) -> bool:
    price = target.price
    if price is None:
        return False
    cheap, dear = (price.at(int(tokens)) for tokens in (low, high))
    said = not facts.chat or facts.output is not None
    answer = facts.output * facts.answers if facts.chat and facts.output is not None else 0
    room = most * MILLION - answer * cheap.output
    decides = room if said else room / SHARE
    return int(low) * cheap.input <= room and int(high) * dear.input + answer * (dear.output - cheap.output) >= decides


def counted(
    edges: Edges | None, tokenizers: Mapping[str, Tokenizer], facts: Facts, wish: Wish, body: Mapping[str, Any]
) -> Facts:
    """With what tokenizers make of the request, where that can matter. `tokenizers`: by target; those that are not
    loaded count nothing."""
    names = () if edges is None or not facts.input else near(edges, facts, wish)
    by_vocabulary: dict[str, int] = {}
    found: list[tuple[str, int]] = []
    for name in names:
        tokenizer = tokenizers[name]
        vocabulary = tokenizer.vocabulary
        if vocabulary:
            if vocabulary not in by_vocabulary:
                by_vocabulary[vocabulary] = of_bounded(body, tokenizer)
            found.append((name, by_vocabulary[vocabulary]))
    return facts._replace(counted=tuple(found)) if found else facts
