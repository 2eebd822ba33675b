"""Which targets a request will try, in which order, and why others are left out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

from proxy.core.failure import Failure, FailureKind
from proxy.core.health import WELL, Health, Standing, standing
from proxy.core.route import Route, Target


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


def plan(route: Route, health: Mapping[str, Health], now: float) -> Plan:
    """`health` holds only targets that have had trouble; one that is not in it is well.

    When nothing is left but open circuits (or wrong keys and models) they are tried in order anyway:
    a small chance beats none. A target that asked for time is never asked before that.
    """
    if not health:
        return Plan(route.targets)
    chosen: list[Target] = []
    skipped: list[Skipped] = []
    for target in route.targets:
        state = health.get(target.name, WELL)
        now_standing = standing(state, now)
        if now_standing <= Standing.PROBE:
            chosen.append(target)
        else:
            until = state.cool_until if now_standing is Standing.COOLING else state.open_until
            skipped.append(Skipped(target, now_standing, state.cause, until))
    if chosen:
        return Plan(tuple(chosen), tuple(skipped))
    anyway = [s.target for s in skipped if not _asked_for_time(s)]
    return Plan(tuple(anyway), tuple(s for s in skipped if s.target not in anyway), True)


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
    if stands <= Standing.PROBE or health.cause is None:
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


def cannot(names: Iterable[str]) -> Failure:
    """Why a target is not asked where the route says `unsupported: refuse`."""
    told = ", ".join(f"'{name}'" for name in names)
    return Failure(FailureKind.UNSUPPORTED, f"No target of this route supports {told}.", code="unsupported_parameter")


def nothing_left(route: Route, plan: Plan, now: float) -> Failure:
    """What a caller is told when the plan is empty: that the route is not configured, or when to come back."""
    if not plan.skipped:
        return Failure(FailureKind.NOT_AVAILABLE, f"route '{route.name}' has no target that is configured")
    soonest = min(plan.skipped, key=lambda s: s.until)
    wait = max(soonest.until - now, 0.001)
    kind = soonest.cause or FailureKind.RATE_LIMITED
    return Failure(kind, f"every target of route '{route.name}' asked for time", retry_after=wait)


def vectors_of(route: Route) -> Route:
    """The route as embeddings may use it: targets of another model are left out, since vectors of two models
    in one index ruin it silently, unless the operator says that they are the same."""
    if route.same_vectors or not route.targets:
        return route
    model = route.targets[0].model
    same = tuple(t for t in route.targets if t.model == model)
    return replace(route, targets=same)
