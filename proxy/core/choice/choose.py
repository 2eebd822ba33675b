"""The one place where it is decided which targets a request tries, in which order, and why others are left out. Live
traffic, `explain` and `simulate` call the same functions; they change nothing."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Mapping
from itertools import groupby
from math import inf
from typing import NamedTuple

from proxy.core.choice.facts import rounded
from proxy.core.choice.policy import STRATEGIES, Group, Member, Policy
from proxy.core.choice.ranked import Shared
from proxy.core.choice.ranking import Custom, Draw, Ranker, Seen
from proxy.core.choice.rotation import Ring, Turn
from proxy.core.choice.rules import Asked, first_that_holds
from proxy.core.choice.sifting import LeftOut, sift
from proxy.core.choice.wish import NONE, Wish
from proxy.core.failure import Failure, FailureKind
from proxy.core.health import WELL, Health, Standing, standing
from proxy.core.plan import TOLD, Plan, absent, among, asked_for_time, nothing_left, words
from proxy.core.route import Route, Target

__all__ = [
    "Choice",
    "LeftOut",
    "Shortlist",
    "asked_to_wait",
    "choose",
    "plain_policy",
    "refused",
    "shortlist",
    "words",
]

MOST = 1024
"""Choices that a shortlist keeps."""


class Choice(NamedTuple):
    """What was decided for one request."""

    plan: Plan
    left_out: tuple[LeftOut, ...] = ()
    behind: tuple[tuple[Target, str], ...] = ()
    """Targets that are asked after all others, and why."""
    strategy: str = "order"
    rule: int | None = None
    """The place of the rule that held."""
    turns: Mapping[Ring, Turn] = {}  # of a NamedTuple: nobody can change it
    """What is to be remembered, where the request is really sent: see `Seen.turns`."""
    trouble: str = ""
    """What a `custom` function raised."""
    use: str = ""
    """What the rule that held makes use of."""


class _Use(NamedTuple):
    group: Group
    strategy: str
    wish: Wish
    rule: int | None


class Shortlist:
    """What is settled for all requests of one shape (their facts, rounded, their wish and the rule that holds) as long
    as nothing new is known: who may be asked, and in which order; but for who comes first, where that is decided with
    each request."""

    __slots__ = (
        "_behind",
        "_made",
        "_names",
        "_one_each",
        "_ordered",
        "_policy",
        "_ranked",
        "_settled",
        "_spent",
        "_stays",
        "once",
        "settled",
        "until",
    )

    def __init__(
        self, policy: Policy, settled: Choice, ranker: Ranker, group: Group, behind: Mapping[str, str], spent: set[str]
    ) -> None:
        self._policy = policy
        self._names = ranker.targets
        self._ranked = ranker.rank(group, settled.strategy if settled.strategy != group.strategy else "")
        self._settled = settled._replace(turns=ranker.turns, trouble=ranker.trouble)
        self._behind = behind
        self._spent = spent
        self.once = ranker.once
        """It holds for one request only."""
        self.settled = not (self.once or policy.sticky or self._ranked.ring or self._ranked.pick)
        """It has the same choice for all."""
        self.until = settled.plan.until
        """When a target that is left out now, or put last, is due again."""
        seen = ranker.seen
        self._stays = [name for name in self._names if not seen.of(name).failing(seen.now)] if policy.sticky else []
        self._made: dict[Hashable, Choice] = {}
        again = behind or spent or policy.prefer_other_backend
        entries = self._ranked.entries
        self._one_each = not again and len(entries) == len(self._names) == sum(len(one.targets) for one in entries)
        """Its entries are the targets, one each, and their order is the one in which they are tried."""
        self._ordered: tuple[Target, ...] | None = None

    def choice(self, draw: Draw, turns: Mapping[Ring, Turn], last: str = "") -> Choice:
        """For one request: the same one as long as the same target comes first. `turns`, `last`: as in `Seen`."""
        ranked = self._ranked
        turn: Turn | None = None
        key: int | str | Turn = 0
        if last and last in self._stays:
            key = last
        elif ranked.ring is not None:
            key = turn = turns.get(ranked.ring) or ranked.ring.first
        elif ranked.pick is not None:
            key = ranked.pick(draw)
        found = self._made.get(key)
        if found is None:
            if len(self._made) >= MOST:
                self._made.clear()
            found = self._made[key] = self._choice(key, turn)
        return found

    def _choice(self, key: int | str | Turn, turn: Turn | None) -> Choice:
        ranked, settled = self._ranked, self._settled
        turns = settled.turns
        if isinstance(key, int) and self._one_each:
            return settled._replace(plan=settled.plan._replace(targets=self._from(key)))
        if turn is not None:
            order = ranked.turned(turn)
            turns = {**turns, turn.ring: turn.next}
        elif isinstance(key, str):
            order = [key, *(name for name in ranked.order() if name != key)]
        else:
            order = ranked.order(key if isinstance(key, int) else 0)
        if self._behind or self._spent:
            # Those that would not give all that is asked come after the others; last those whose limits are used up.
            order.sort(key=self._tier)
        if len(order) > len(self._names):
            order = list(dict.fromkeys(order))  # a target that stands in several groups is asked once
        if self._policy.prefer_other_backend:
            order = _other_backends(order, self._names, self._tier)
        targets = tuple([self._names[name] for name in order])
        return settled._replace(plan=settled.plan._replace(targets=targets), turns=turns)

    def _from(self, first: int) -> tuple[Target, ...]:
        """All targets, that of this entry first."""
        ordered = self._ordered
        if ordered is None:
            ordered = self._ordered = tuple([self._names[name] for name in self._ranked.order()])
        return (ordered[first], *ordered[:first], *ordered[first + 1 :]) if first else ordered

    def _tier(self, name: str) -> tuple[bool, bool]:
        return name in self._spent, name in self._behind


def choose(
    route: Route,
    asked: Asked,
    health: Mapping[str, Health],
    seen: Seen,
    draw: Draw,
    custom: Custom | None = None,
) -> Choice:
    """`health` as in `plan`. `draw` gives numbers in [0, 1): the same ones give the same choice."""
    policy = route.policy
    rule = first_that_holds(policy.rules, asked, seen.hour) if policy is not None and policy.rules else None
    return shortlist(route, asked, rule, health, seen, draw, custom).choice(draw, seen.turns, seen.last)


def shortlist(
    route: Route,
    asked: Asked,
    rule: int | None,
    health: Mapping[str, Health],
    seen: Seen,
    draw: Draw,
    custom: Custom | None = None,
    shared: Shared | None = None,
) -> Shortlist:
    """What does not depend on who comes first. `rule`: the place of the route's rule that holds. `shared`: by requests
    that the same is known for."""
    policy = route.policy or plain_policy(route)
    group, strategy, wish = _used(policy, asked, rule)
    shared = shared or Shared()
    whole = asked.plain and wish is NONE and group is policy.top and policy.exclude_failed is None
    whole = whole and not (seen.closed or seen.cold)
    known = shared.plan if whole else None
    left_out: tuple[LeftOut, ...] = ()
    why: Mapping[str, str] = {}
    if known is None:
        sifted = sift(route, policy, _inside(group, route), asked, wish, seen)
        found = among(sifted.fit, health, seen.now)
        known = found, {target.name: target for target in found.targets}
        left_out, why = tuple(sifted.left_out), sifted.behind
        if whole:
            shared.plan = known
    found, names = known
    facts = asked.facts if custom is not None else rounded(asked.facts)
    ranker = Ranker(policy, names, facts, seen, draw, wish.priority, wish.task, custom, shared=shared, whole=whole)
    behind = tuple([(names[name], reason) for name, reason in why.items() if name in names])
    use = "" if rule is None else policy.rules[rule].use
    settled = Choice(found, left_out, behind, strategy or group.strategy, rule, use=use)
    return Shortlist(policy, settled, ranker, group, why, _spent(names, health, seen.now))


def _spent(names: Mapping[str, Target], health: Mapping[str, Health], now: float) -> set[str]:
    """Those whose limits are used up, by their own word."""
    return {name for name in health if name in names and standing(health.get(name, WELL), now) is Standing.SPENT}


def plain_policy(route: Route) -> Policy:
    """Of a route that says nothing of it."""
    return Policy(Group("", tuple(Member(target.name) for target in route.targets)))


def _used(policy: Policy, asked: Asked, place: int | None) -> tuple[Group, str, Wish]:
    wish, group, strategy = asked.wish, policy.top, ""
    if place is not None:
        rule = policy.rules[place]
        wish = wish.along(rule.set)
        if rule.set.priority:  # not for the caller to say then: it is about others' requests, too
            wish = wish._replace(priority=rule.set.priority)
        if rule.use in policy.groups:
            group = policy.groups[rule.use]
        elif rule.use in STRATEGIES:
            strategy = rule.use
        elif rule.use:
            group = Group("", (Member(rule.use),))
    wish = wish.along(policy.require)
    return group, wish.strategy or strategy, wish


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


def _other_backends(
    order: list[str], targets: Mapping[str, Target], tier: Callable[[str], tuple[bool, bool]]
) -> list[str]:
    """After each target one of another backend, where there is one that comes no later than all that are left."""
    found, before = list[str](), ""
    for _, alike in groupby(order, tier):
        rest: dict[str, deque[tuple[int, str]]] = {}
        for place, name in enumerate(alike):
            rest.setdefault(targets[name].backend, deque()).append((place, name))
        while rest:
            others = [backend for backend in rest if backend != before]
            before = min(others, key=lambda backend: rest[backend][0]) if others else before
            found.append(rest[before].popleft()[1])
            if not rest[before]:
                del rest[before]
    return found


# Nothing left ----------------------------------------------------------------------------------------------------


def refused(route: Route, choice: Choice, now: float) -> Failure:
    """What a caller is told where no target is left: for each of them why."""
    if not choice.left_out:
        return nothing_left(route, choice.plan, now)
    reasons = [f"{one.target.name}: {one.reason}" for one in choice.left_out]
    skipped = choice.plan.skipped
    reasons += [f"{one.target.name}: {words(one.standing, one.cause, one.until - now)}" for one in skipped]
    reasons += absent(route)
    more = f"; and {len(reasons) - TOLD} more" if len(reasons) > TOLD else ""
    message = f"No target of route '{route.name}' can take this request: {'; '.join(reasons[:TOLD])}{more}."
    opens = min(one.until for one in choice.left_out)
    if opens < min((one.until for one in skipped), default=inf):
        return Failure(FailureKind.RATE_LIMITED, message, retry_after=max(opens - now, 0.001), ours=True)
    if skipped:
        return nothing_left(route, choice.plan, now)._replace(message=message, ours=True)
    kinds = {one.kind for one in choice.left_out}
    if FailureKind.LOADING in kinds:
        return Failure(FailureKind.LOADING, message, ours=True)
    if kinds == {FailureKind.CONTEXT_LENGTH}:
        return Failure(FailureKind.CONTEXT_LENGTH, message, param="messages")
    return Failure(FailureKind.UNSUPPORTED, message, code="no_target_fits")


def asked_to_wait(choice: Choice, now: float) -> tuple[Failure, ...]:
    """What targets that are not asked before their time said last, and those that stand at a limit of ours: when all
    others fail, the best answer may be to come back when one of these is due."""
    closed = tuple(
        Failure(FailureKind.RATE_LIMITED, one.reason, retry_after=max(one.until - now, 0.001), ours=True)
        for one in choice.left_out
        if one.until < inf
    )
    return asked_for_time(choice.plan, now) + closed
