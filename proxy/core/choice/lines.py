"""What the targets of a group cost a request, and what else counts for it, as straight lines over its tokens of input:
worked out once for all requests of a moment that want as long an answer and the same capabilities."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from proxy.core.choice.facts import Facts
from proxy.core.choice.fitting import expected_output, rates
from proxy.core.choice.measured import Measured
from proxy.core.choice.policy import Weights
from proxy.core.choice.score import Part, rest, with_costs
from proxy.core.route import Target


class Lines:
    """Of some targets, in their order."""

    __slots__ = ("_bases", "_parts", "_rests", "_slopes", "holds")

    def __init__(self, known: Sequence[tuple[Target, Measured]], facts: Facts, now: float) -> None:
        """Of `facts` all but the tokens of input."""
        self._slopes: list[float | None] = []
        self._bases: list[float] = []
        self._parts: list[Part] = []
        self._rests: dict[str, tuple[list[float], float]] = {}
        self.holds = inf
        """Up to so many tokens: beyond them a context is too small, or a price another one."""
        facts = facts._replace(input=0)
        for target, measured in known:
            self._add(target, measured, facts, now)

    def _add(self, target: Target, known: Measured, facts: Facts, now: float) -> None:
        output = expected_output(facts, known)
        found = rates(target, facts, known)
        self._slopes.append(None if found is None else found[0])
        self._bases.append(0.0 if found is None else found[1])
        self._parts.append(part_of(target, known, facts, now))
        context, price = target.ability.context, target.price
        if context is not None and context >= output:
            self.holds = min(self.holds, (context - output) / known.dense)
        if price is not None and price.tiers:
            self.holds = min(self.holds, price.tiers[0][0] / known.dense)

    def costs(self, tokens: int) -> list[float | None]:
        """US dollars."""
        return [
            None if slope is None else slope * tokens + base
            for slope, base in zip(self._slopes, self._bases, strict=True)
        ]

    def scores(self, tokens: int, weights: Weights, priority: str) -> list[float]:
        """As `proxy.core.choice.score.scores`; always of the same weights."""
        found = self._rests.get(priority)
        if found is None:
            found = self._rests[priority] = rest(self._parts, weights, priority)
        return with_costs(*found, self.costs(tokens))


def part_of(target: Target, known: Measured, facts: Facts, now: float) -> Part:
    """What is known of a target for `score`, but for what it costs."""
    ability, output = target.ability, expected_output(facts, known)
    has = unknown = lacks = 0
    if ability.context is None:
        unknown = 1
    elif ability.context >= facts.input * known.dense + output:
        has = 1
    else:
        lacks = 1
    for need in facts.needs:
        can = ability.can(need)
        has, unknown, lacks = has + (can is True), unknown + (can is None), lacks + (can is False)
    good = 0.0 if known.in_a_row and known.failing(now) else known.good
    return Part(has, unknown, lacks, None, known.takes(output), good, known.quality)
