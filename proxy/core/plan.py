"""Which targets a request will try, in which order, and why others are left out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import inf
from typing import NamedTuple

from proxy.core.failure import Failure, FailureKind
from proxy.core.health import WELL, Health, Standing, standing
from proxy.core.route import Route, Target

TOLD = 10
"""Targets whose reasons stand in an error message."""


class Skipped(NamedTuple):
    """A target that is not tried. `until`: when it may be again, in seconds on the engine's clock."""

    target: Target
    standing: Standing
    cause: FailureKind | None
    until: float


class Plan(NamedTuple):
    """The targets of one request in the order of trying, and those left out."""

    targets: tuple[Target, ...]
    skipped: tuple[Skipped, ...] = ()
    anyway: bool = False
    """None of the targets is well: they are tried all the same."""
    until: float = inf
    """When a target that is left out or put last now is due again."""


def plan(route: Route, health: Mapping[str, Health], now: float) -> Plan:
    """`health` holds only targets that have had trouble; one that is not in it is well.

    A target whose limits are used up, by its own word, comes after all others: most providers name the time when the
    whole of a limit is there again, and a part of it is there before. When nothing is left but open circuits (or wrong
    keys and models) they are tried in order anyway: a small chance beats none. A target that asked for time is never
    asked before that.
    """
    return among(route.targets, health, now)


def among(targets: Sequence[Target], health: Mapping[str, Health], now: float) -> Plan:
    """The same for these targets."""
    if not health:
        return Plan(tuple(targets))
    chosen: list[Target] = []
    last: list[Target] = []
    skipped: list[Skipped] = []
    until = inf
    for target in targets:
        state = health.get(target.name, WELL)
        now_standing = standing(state, now)
        if now_standing <= Standing.PROBE:
            chosen.append(target)
            continue
        due = state.open_until if now_standing in _BY_CIRCUIT else state.cool_until
        until = min(until, due)
        if now_standing is Standing.SPENT:
            last.append(target)
        else:
            skipped.append(Skipped(target, now_standing, state.cause, due))
    if chosen or last:
        return Plan((*chosen, *last), tuple(skipped), until=until)
    busy = tuple(s for s in skipped if _asked_for_time(s))
    anyway = tuple(s.target for s in skipped if not _asked_for_time(s))
    return Plan(anyway, busy, True, min((s.until for s in busy), default=inf))


_BY_CIRCUIT = (Standing.OPEN, Standing.PROBING)
ASKED_FOR_TIME = frozenset({FailureKind.RATE_LIMITED, FailureKind.OVERLOADED, FailureKind.QUOTA})


def _asked_for_time(skipped: Skipped) -> bool:
    return skipped.standing is Standing.COOLING and skipped.cause in ASKED_FOR_TIME


def to_go_on(route: Route, health: Mapping[str, Health], now: float) -> tuple[tuple[Target, ...], frozenset[str]]:
    """The targets that may go on with an answer that was cut, and the names of those among them that are not well.

    These are a small chance, and here the alternative is half an answer: a blow that cuts many streams at once opens
    circuits which are closed to new requests for good reason. A target that asked for time is not asked even so.
    """
    if not health:
        return route.targets, frozenset()
    ill, busy = set(), set()
    for target in route.targets:
        state = health.get(target.name, WELL)
        stands = standing(state, now)
        if stands is Standing.COOLING and state.cause in ASKED_FOR_TIME:
            busy.add(target.name)
        elif stands > Standing.PROBE:
            ill.add(target.name)
    return tuple(target for target in route.targets if target.name not in busy), frozenset(ill)


def asked_for_time(plan: Plan, now: float) -> tuple[Failure, ...]:
    """What the targets that are not asked again before their time said last: when all others fail, the best answer
    may be to come back when one of these is due."""
    busy = (FailureKind.RATE_LIMITED, FailureKind.OVERLOADED)
    return tuple(
        Failure(s.cause, "the target asked for time", retry_after=s.until - now)
        for s in plan.skipped
        if s.standing is Standing.COOLING and s.cause in busy
    )


def fallen_ill(health: Health, now: float, *, going_on: bool = False) -> Failure | None:
    """Why a target that was well when the plan was made is not to be sent to any more: others found out meanwhile.

    `going_on`: it is to go on with an answer that was cut, see `to_go_on`.
    """
    stands = standing(health, now)
    if stands <= Standing.PROBE or stands is Standing.SPENT or health.cause is None:
        return None
    if going_on and not (stands is Standing.COOLING and health.cause in ASKED_FOR_TIME):
        return None
    wait = health.cool_until - now if stands is Standing.COOLING else None
    return Failure(health.cause, "other requests found the target out of order", retry_after=wait)


def able_first(targets: tuple[Target, ...], at: int, able: Callable[[Target], bool]) -> tuple[Target, ...]:
    """The order in which those after place `at` that can express the whole request come before the one there, which
    cannot: it is kept behind them, since most of an answer beats none. The same tuple where none of them can."""
    can = [target for target in targets[at + 1 :] if able(target)]
    if not can:
        return targets
    names = {target.name for target in can}
    return (*targets[:at], *can, targets[at], *(t for t in targets[at + 1 :] if t.name not in names))


def cannot(names: Sequence[str]) -> Failure:
    """Why a target is not asked where the route says `unsupported: refuse`. `names`: what it cannot express."""
    told = ", ".join(f"'{name}'" for name in names)
    message = f"No target of this route supports {told}."
    return Failure(FailureKind.UNSUPPORTED, message, code="unsupported_parameter", param=names[0])


def away(route: Route, health: Mapping[str, Health], able: Callable[[Target], bool], now: float) -> Failure | None:
    """Why a request that only some targets can express fails while those are out of order: what the one says that is
    due first. `None`: no target that is out of order could express it either."""
    ill = []
    for target in route.targets:
        failure = fallen_ill(health.get(target.name, WELL), now)
        if failure is not None and able(target):
            ill.append((_due(health[target.name]), failure))
    return min(ill, key=lambda one: one[0])[1] if ill else None


def _due(health: Health) -> float:
    return max(health.cool_until, health.open_until)


def absent(route: Route) -> list[str]:
    """For a caller: the targets that are written down and not in use, each with the reason."""
    return [f"{name}: {why.partition(':')[0]}" for name, why in route.missing]


def nothing_left(route: Route, plan: Plan, now: float) -> Failure:
    """What a caller is told when the plan is empty: that the route is not configured, or when to come back."""
    if not plan.skipped:
        told = f"Route '{route.name}' has no target that is in use: {'; '.join(absent(route)[:TOLD])}."
        return Failure(FailureKind.NOT_AVAILABLE, told, ours=bool(route.missing))
    soonest = min(plan.skipped, key=lambda s: s.until)
    wait = max(soonest.until - now, 0.001)
    kind = soonest.cause or FailureKind.RATE_LIMITED
    reasons = [f"{s.target.name}: {words(s.standing, s.cause, s.until - now)}" for s in plan.skipped]
    reasons += [f"{name}: not configured" for name, _ in route.missing]
    more = f"; and {len(reasons) - TOLD} more" if len(reasons) > TOLD else ""
    told = f"No target of route '{route.name}' can be asked now: {'; '.join(reasons[:TOLD])}{more}."
    return Failure(kind, told, retry_after=wait, ours=True)


_CAUSES = {
    FailureKind.QUOTA: "key exhausted",
    FailureKind.KEY_REFUSED: "key refused",
}


def words(stands: Standing, cause: FailureKind | None, wait: float) -> str:
    """A target's standing, for a reader. `wait`: seconds."""
    why = "" if cause is None else f" ({_CAUSES.get(cause, cause.value)})"
    when = f" for {max(wait, 0.0):,.0f} s" if wait < inf else ""
    match stands:
        case Standing.COOLING:
            return f"cooling{when}{why}"
        case Standing.OPEN:
            return f"circuit open{when}{why}"
        case Standing.PROBING:
            return f"being probed{why}"
        case Standing.SPENT:
            return f"its limits are used up{when}"
        case _:
            return stands.name.lower()


def vectors_of(route: Route) -> Route:
    """The route as embeddings may use it: targets of another model are left out, since vectors of two models
    in one index ruin it silently, unless the operator says that they are the same."""
    if route.same_vectors or not route.targets:
        return route
    model = route.targets[0].model
    same = tuple(t for t in route.targets if t.model == model)
    return replace(route, targets=same)
