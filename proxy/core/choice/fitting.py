"""Why a target is not asked this request: in words, for the caller, the log and `explain`."""

from __future__ import annotations

from collections.abc import Set
from decimal import Decimal

from proxy.core.choice.facts import USUAL_OUTPUT, Facts
from proxy.core.choice.measured import Measured
from proxy.core.choice.wish import Wish
from proxy.core.failure import FailureKind
from proxy.core.price import MILLION
from proxy.core.route import Target

DOUBT, SURE = 2, 1.05
"""Tokens are estimated: a target whose context is not this many times too small is asked where nothing else is left;
and where they were counted, but for what stands around them in a model's chat format."""
SOFT = frozenset({"json_schema", "reasoning", "n", "logprobs"})
"""Capabilities without which there is an answer all the same, only not quite as asked: such targets come last."""


def tokens_at(target: Target, facts: Facts, known: Measured) -> int:
    """Of input, as the target's model counts them, about."""
    for name, tokens in facts.counted:
        if name == target.name:
            return tokens
    return facts.input if known.dense == 1.0 else int(facts.input * known.dense)


def cannot(target: Target, facts: Facts, known: Measured) -> tuple[FailureKind, str] | None:
    """Why it would have to refuse; `None`: nothing is known that says so."""
    ability = target.ability
    if facts.chat and ability.context is not None and (tokens := tokens_at(target, facts, known)) > ability.context:
        return FailureKind.CONTEXT_LENGTH, f"context {ability.context:,} < {tokens:,}"
    lacking = [need for need in sorted(facts.needs - SOFT) if ability.can(need) is False]
    if lacking:
        return FailureKind.UNSUPPORTED, f"no {', no '.join(lacking)}"
    if facts.chat and ability.can("embeddings"):
        return FailureKind.UNSUPPORTED, "makes vectors, no answers"
    return None


def doubtful(target: Target, facts: Facts, known: Measured) -> bool:
    """Its context is too small only by an estimate that may be wrong by so much."""
    context = target.ability.context
    by = SURE if any(name == target.name for name, _ in facts.counted) else DOUBT
    return context is not None and context < tokens_at(target, facts, known) <= context * by


def not_quite(target: Target, facts: Facts, known: Measured) -> str | None:
    """Why others are asked before it: it would not give all that was asked for."""
    ability = target.ability
    wanted = facts.output
    if wanted is not None and ability.output is not None and wanted > ability.output:
        return f"answers up to {ability.output:,} < {wanted:,}"
    tokens = tokens_at(target, facts, known)
    if wanted is not None and ability.context is not None and tokens + wanted > ability.context:
        return f"context {ability.context:,} < {tokens:,} + {wanted:,}"
    lacking = [need for need in sorted(facts.needs & SOFT) if ability.can(need) is False]
    return f"no {', no '.join(lacking)}" if lacking else None


def unwished(target: Target, facts: Facts, wish: Wish, known: Measured) -> str | None:
    """Why the request's (or its route's) own conditions leave it out. What nobody knows of an ability or a speed
    leaves no target out; what nobody knows of a price does, where money is limited."""
    return (
        _named(target, wish)
        or _able(target, wish)
        or _dear(target, facts, wish, known)
        or _slow(known, wish)
        or ("not local" if wish.local_only and not target.local else None)
    )


def _named(target: Target, wish: Wish) -> str | None:
    return by_name({target.name, target.backend, target.model}, wish)


def by_name(names: Set[str], wish: Wish) -> str | None:
    """Why a wish leaves out a target that can be called so."""
    if not wish.exclude.isdisjoint(names):
        return "excluded"
    return "not among `only`" if wish.only is not None and wish.only.isdisjoint(names) else None


def _able(target: Target, wish: Wish) -> str | None:
    ability = target.ability
    if wish.context is not None and ability.context is not None and ability.context < wish.context:
        return f"context {ability.context:,} < {wish.context:,}"
    lacking = [name for name in sorted(wish.capabilities) if ability.can(name) is False]
    return f"no {', no '.join(lacking)}" if lacking else None


def _dear(target: Target, facts: Facts, wish: Wish, known: Measured) -> str | None:
    if wish.free:
        price = target.price
        if price is None:
            return "not known to be free"
        if price.input or price.output:
            return "not free"
    if wish.max_cost is None:
        return None
    cost = expected_cost(target, facts, known)
    if cost is None:
        return "price unknown"
    return f"would cost {_dollars(cost)} > {_dollars(wish.max_cost)}" if cost > wish.max_cost else None


def _slow(known: Measured, wish: Wish) -> str | None:
    takes = known.first if known.first is not None else known.whole and known.takes(known.output or 0.0)
    if wish.max_latency is not None and takes is not None and takes > wish.max_latency:
        return f"takes {takes * 1000:,.0f} ms > {wish.max_latency * 1000:,.0f} ms"
    speed = known.speed
    if wish.min_speed is not None and speed is not None and speed < wish.min_speed:
        return f"gives {speed:,.1f} tokens/s < {wish.min_speed:g}"
    return None


def expected_output(facts: Facts, known: Measured) -> float:
    """Tokens: what the request says, else what the target usually gives."""
    if not facts.chat:
        return 0
    usual = USUAL_OUTPUT if known.output is None else known.output
    return usual if facts.output is None else min(facts.output, usual) if known.output is not None else facts.output


def expected_cost(target: Target, facts: Facts, known: Measured) -> Decimal | None:
    """US dollars for this request; `None`: nobody knows. As long an answer as the request allows, where it says so:
    a bound is one only then."""
    price = target.price
    if price is None:
        return None
    tokens = tokens_at(target, facts, known)
    price = price.at(tokens)
    output = facts.output if facts.output is not None and facts.chat else expected_output(facts, known)
    total = tokens * price.input + facts.answers * int(output) * price.output
    if known.cached and price.cached_input is not None:
        total -= int(tokens * known.cached) * (price.input - price.cached_input)
    return total / MILLION


def rates(target: Target, facts: Facts, known: Measured) -> tuple[float, float] | None:
    """The same, near enough to compare targets by: US dollars for each estimated token of input, and for the answer.
    Without decimals, which would cost more than all the rest."""
    price = target.price
    if price is None:
        return None
    if price.tiers:
        price = price.at(tokens_at(target, facts, known))
    output = facts.output if facts.output is not None and facts.chat else expected_output(facts, known)
    into = float(price.input)
    if known.cached and price.cached_input is not None:
        into -= known.cached * (into - float(price.cached_input))
    return known.dense * into / 1e6, facts.answers * output * float(price.output) / 1e6


def expected_dollars(target: Target, facts: Facts, known: Measured) -> float | None:
    """US dollars for this request, near enough; `None`: nobody knows."""
    found = rates(target, facts, known)
    return None if found is None else facts.input * found[0] + found[1]


def _dollars(amount: Decimal) -> str:
    """With as many digits as tell something."""
    shown = f"{amount:.6f}".rstrip("0")
    whole, _, part = shown.partition(".")
    return f"${whole}.{part:0<2}"
