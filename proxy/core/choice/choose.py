"""The one place where it is decided which targets a request tries, in which order, and why others are left out. Live
traffic and `explain` call the same function; it changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import NamedTuple

from proxy.core.choice.fitting import cannot, doubtful, not_quite, unwished
from proxy.core.choice.policy import STRATEGIES, Group, Member, Policy
from proxy.core.choice.ranking import Custom, Draw, Ranker, Seen
from proxy.core.choice.rotation import Turns
from proxy.core.choice.rules import Asked, first_that_holds
from proxy.core.choice.wish import NONE, Wish
from proxy.core.failure import Failure, FailureKind
from proxy.core.health import WELL, Health, Standing, standing
from proxy.core.plan import Plan, among, nothing_left
from proxy.core.route import Route, Target, Unsupported

TOLD = 10
"""Targets whose reasons stand in an error message."""


class LeftOut(NamedTuple):
    """A target that this request does not try, whatever its health."""

    target: Target
    reason: str
    kind: FailureKind | None = None
    """What it would have refused with; `None`: the request's or the route's own conditions leave it out."""
    until: float = inf
    """When that is over, in seconds on the engine's clock."""


class Choice(NamedTuple):
    """What was decided for one request."""

    plan: Plan
    left_out: tuple[LeftOut, ...] = ()
    behind: tuple[tuple[Target, str], ...] = ()
    """Targets that are asked after all others, and why."""
    strategy: str = "order"
    rule: int | None = None
    """The place of the rule that held."""
    turns: Mapping[str, Turns] = {}  # of a NamedTuple: nobody can change it
    """What is to be remembered, where the request is really sent: see `Seen.turns`."""
    trouble: str = ""
    """What a `custom` function raised."""


class _Use(NamedTuple):
    group: Group
    strategy: str
    wish: Wish
    rule: int | None


class _Sifted(NamedTuple):
    fit: list[Target]
    left_out: list[LeftOut]
    behind: dict[str, str]


def choose(
    route: Route,
    asked: Asked,
    health: Mapping[str, Health],
    seen: Seen,
    draw: Draw,
    custom: Custom | None = None,
) -> Choice:
    """`health` as in `plan`. `draw` gives numbers in [0, 1): the same ones give the same choice."""
    policy = route.policy or plain_policy(route)
    use = _used(policy, asked, seen.hour)
    targets = _inside(use.group, route)
    sifted = _sift(route, policy, targets, asked, use.wish, seen)
    if seen.closed:
        sifted = _opened(sifted, seen)
    if policy.exclude_failed is not None:
        sifted = _rested(policy.exclude_failed, sifted, seen)
    found = among(sifted.fit, health, seen.now)
    names = {target.name: target for target in found.targets}
    ranker = Ranker(policy, names, asked.facts, seen, draw, use.wish.priority, use.wish.task, custom)
    order = ranker.rank(use.group, use.strategy)
    if policy.sticky and seen.last in names and not seen.of(seen.last).failing(seen.now):
        order = [seen.last, *(name for name in order if name != seen.last)]
    if sifted.behind or health:
        order = _last_last(order, sifted.behind, health, seen.now)
    if policy.prefer_other_backend:
        order = _other_backends(order, names)
    behind = tuple((names[name], why) for name, why in sifted.behind.items() if name in names)
    return Choice(
        found._replace(targets=tuple(names[name] for name in order)),
        tuple(sifted.left_out),
        behind,
        use.strategy or use.group.strategy,
        use.rule,
        ranker.turns,
        ranker.trouble,
    )


def plain_policy(route: Route) -> Policy:
    """Of a route that says nothing of it."""
    return Policy(Group("", tuple(Member(target.name) for target in route.targets)))


def _used(policy: Policy, asked: Asked, hour: int) -> _Use:
    place = first_that_holds(policy.rules, asked, hour) if policy.rules else None
    wish, group, strategy = asked.wish, policy.top, ""
    if place is not None:
        rule = policy.rules[place]
        wish = wish.along(rule.set)
        if rule.use in policy.groups:
            group = policy.groups[rule.use]
        elif rule.use in STRATEGIES:
            strategy = rule.use
        elif rule.use:
            group = Group("", (Member(rule.use),))
    wish = wish.along(policy.require)
    return _Use(group, wish.strategy or strategy, wish, place)


def _inside(group: Group, route: Route) -> list[Target]:
    """Of the route's targets those of a group, in the order in which the route has them."""
    policy = route.policy
    if policy is None or (group is policy.top and not policy.extra):
        return list(route.targets)
    names = frozenset(_names(group))
    return [target for target in route.targets if target.name in names]


def _names(group: Group) -> list[str]:
    return [
        name for member in group.members for name in ([member.name] if member.group is None else _names(member.group))
    ]


def _sift(route: Route, policy: Policy, targets: list[Target], asked: Asked, wish: Wish, seen: Seen) -> _Sifted:
    """Which of them may be asked this at all."""
    if asked.plain and wish is NONE:
        return _Sifted(targets, [], {})
    fit: list[Target] = []
    left_out: list[LeftOut] = []
    behind: dict[str, str] = {}
    strict = route.unsupported is Unsupported.REFUSE
    for target in targets:
        out = _why_out(target, asked, wish, seen)
        quite = None if out or asked.plain or route.unsupported is Unsupported.DROP else not_quite(target, asked.facts)
        if out is None and quite and strict:
            out = LeftOut(target, quite, FailureKind.UNSUPPORTED)
        if out is not None:
            left_out.append(out)
            continue
        fit.append(target)
        if quite:
            behind[target.name] = quite
    if not fit:
        return _in_doubt(left_out, asked)
    return _Sifted(fit, left_out, behind)


def _why_out(target: Target, asked: Asked, wish: Wish, seen: Seen) -> LeftOut | None:
    if wish is not NONE:
        why = unwished(target, asked.facts, wish, seen.of(target.name))
        if why:
            return LeftOut(target, why)
    flaw = None if asked.plain else cannot(target, asked.facts)
    return None if flaw is None else LeftOut(target, flaw[1], flaw[0])


def _in_doubt(left_out: list[LeftOut], asked: Asked) -> _Sifted:
    """Nothing is left: an estimate of tokens alone refuses nobody whose request may fit after all."""
    doubt = [one for one in left_out if one.kind is FailureKind.CONTEXT_LENGTH and doubtful(one.target, asked.facts)]
    rest = [one for one in left_out if one not in doubt]
    return _Sifted([one.target for one in doubt], rest, {one.target.name: one.reason for one in doubt})


def _opened(sifted: _Sifted, seen: Seen) -> _Sifted:
    """Without those that stand at a limit of ours."""
    closed = seen.closed
    out = [
        LeftOut(one, closed[one.name].reason, FailureKind.RATE_LIMITED, closed[one.name].until)
        for one in sifted.fit
        if one.name in closed and closed[one.name].until > seen.now
    ]
    if not out:
        return sifted
    names = {one.target.name for one in out}
    return sifted._replace(fit=[t for t in sifted.fit if t.name not in names], left_out=[*sifted.left_out, *out])


def _rested(seconds: float, sifted: _Sifted, seen: Seen) -> _Sifted:
    """Without those that failed not long ago, where others are left."""
    since = seen.now - seconds
    failed = {t.name for t in sifted.fit if seen.of(t.name).in_a_row and seen.of(t.name).failed_at > since}
    if not failed or len(failed) == len(sifted.fit):
        return sifted
    out = [
        LeftOut(t, f"failed {seen.now - seen.of(t.name).failed_at:,.0f} s ago") for t in sifted.fit if t.name in failed
    ]
    return sifted._replace(fit=[t for t in sifted.fit if t.name not in failed], left_out=[*sifted.left_out, *out])


def _last_last(order: list[str], behind: Mapping[str, str], health: Mapping[str, Health], now: float) -> list[str]:
    """Those that would not give all that is asked come after the others; last those whose limits are used up."""

    def rank(name: str) -> tuple[bool, bool]:
        stands = name in health and standing(health.get(name, WELL), now) is Standing.SPENT
        return stands, name in behind

    return sorted(order, key=rank)


def _other_backends(order: list[str], targets: Mapping[str, Target]) -> list[str]:
    """After each target one of another backend, where there is one."""
    rest, found = list(order), list[str]()
    while rest:
        before = targets[found[-1]].backend if found else ""
        following = next((name for name in rest if targets[name].backend != before), rest[0])
        rest.remove(following)
        found.append(following)
    return found


# Nothing left ----------------------------------------------------------------------------------------------------


def refused(route: Route, choice: Choice, now: float) -> Failure:
    """What a caller is told where no target is left: for each of them why."""
    if not choice.left_out:
        return nothing_left(route, choice.plan, now)
    reasons = [f"{one.target.name}: {one.reason}" for one in choice.left_out]
    skipped = choice.plan.skipped
    reasons += [f"{one.target.name}: {words(one.standing, one.cause, one.until - now)}" for one in skipped]
    more = f"; and {len(reasons) - TOLD} more" if len(reasons) > TOLD else ""
    message = f"No target of route '{route.name}' can take this request: {'; '.join(reasons[:TOLD])}{more}."
    opens = min(one.until for one in choice.left_out)
    if opens < min((one.until for one in skipped), default=inf):
        return Failure(FailureKind.RATE_LIMITED, message, retry_after=max(opens - now, 0.001), ours=True)
    if skipped:
        return nothing_left(route, choice.plan, now)._replace(message=message, ours=True)
    kinds = {one.kind for one in choice.left_out}
    if kinds == {FailureKind.CONTEXT_LENGTH}:
        return Failure(FailureKind.CONTEXT_LENGTH, message, param="messages")
    return Failure(FailureKind.UNSUPPORTED, message, code="no_target_fits")


def words(stands: Standing, cause: FailureKind | None, wait: float) -> str:
    """A target's standing, for a reader."""
    why = "" if cause is None else f" ({cause.value})"
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
