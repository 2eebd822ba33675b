"""Which targets of a route may be asked a request at all, and why the others are left out, whatever their health."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import NamedTuple

from proxy.core.choice.fitting import cannot, doubtful, not_quite, unwished
from proxy.core.choice.policy import Policy
from proxy.core.choice.ranking import Closed, Seen
from proxy.core.choice.rules import Asked
from proxy.core.choice.wish import NONE, Wish
from proxy.core.failure import FailureKind
from proxy.core.route import Route, Target, Unsupported


class LeftOut(NamedTuple):
    """A target that this request does not try, whatever its health."""

    target: Target
    reason: str
    kind: FailureKind | None = None
    """What it would have refused with; `None`: the request's or the route's own conditions leave it out."""
    until: float = inf
    """When that is over, in seconds on the engine's clock."""


class Sifted(NamedTuple):
    """What is left, and what is not. `behind`: those that come last, and why."""

    fit: list[Target]
    left_out: list[LeftOut]
    behind: dict[str, str]


def sift(route: Route, policy: Policy, targets: list[Target], asked: Asked, wish: Wish, seen: Seen) -> Sifted:
    """Of these targets."""
    sifted = Sifted(targets, [], {}) if asked.plain and wish is NONE else _fitting(route, targets, asked, wish, seen)
    if policy.warm and seen.cold:
        sifted = _less(sifted, [_cold(one, seen.cold[one.name]) for one in sifted.fit if one.name in seen.cold])
    if seen.closed:
        sifted = _opened(sifted, seen.closed, seen.now)
    if policy.exclude_failed is not None:
        sifted = _rested(policy.exclude_failed, sifted, seen)
    return sifted


def _fitting(route: Route, targets: list[Target], asked: Asked, wish: Wish, seen: Seen) -> Sifted:
    fit: list[Target] = []
    left_out: list[LeftOut] = []
    behind: dict[str, str] = {}
    strict = route.unsupported is Unsupported.REFUSE
    says = not asked.plain and route.unsupported is not Unsupported.DROP
    for target in targets:
        out = _why_out(target, asked, wish, seen)
        quite = not_quite(target, asked.facts, seen.of(target.name)) if says and out is None else None
        if quite and strict:
            out = LeftOut(target, quite, FailureKind.UNSUPPORTED)
        if out is not None:
            left_out.append(out)
            continue
        fit.append(target)
        if quite:
            behind[target.name] = quite
    return Sifted(fit, left_out, behind) if fit else _in_doubt(left_out, asked, seen)


def _why_out(target: Target, asked: Asked, wish: Wish, seen: Seen) -> LeftOut | None:
    known = seen.of(target.name)
    if wish is not NONE:
        why = unwished(target, asked.facts, wish, known)
        if why:
            return LeftOut(target, why)
    flaw = None if asked.plain else cannot(target, asked.facts, known)
    return None if flaw is None else LeftOut(target, flaw[1], flaw[0])


def _in_doubt(left_out: list[LeftOut], asked: Asked, seen: Seen) -> Sifted:
    """Nothing is left: an estimate of tokens alone refuses nobody whose request may fit after all."""
    doubt = [
        one
        for one in left_out
        if one.kind is FailureKind.CONTEXT_LENGTH and doubtful(one.target, asked.facts, seen.of(one.target.name))
    ]
    rest = [one for one in left_out if one not in doubt]
    return Sifted([one.target for one in doubt], rest, {one.target.name: one.reason for one in doubt})


def _cold(target: Target, stands: str) -> LeftOut:
    return LeftOut(target, f"not loaded ({stands}) and `warm: only`", FailureKind.LOADING)


def _opened(sifted: Sifted, closed: Mapping[str, Closed], now: float) -> Sifted:
    """Without those that stand at a limit of ours."""
    out = [
        LeftOut(one, closed[one.name].reason, FailureKind.RATE_LIMITED, closed[one.name].until)
        for one in sifted.fit
        if one.name in closed and closed[one.name].until > now
    ]
    return _less(sifted, out) if out else sifted


def _rested(seconds: float, sifted: Sifted, seen: Seen) -> Sifted:
    """Without those that failed not long ago, where others are left."""
    since = seen.now - seconds
    out = []
    for target in sifted.fit:
        known = seen.of(target.name)
        if known.in_a_row and known.failed_at > since:
            out.append(LeftOut(target, f"failed {seen.now - known.failed_at:,.0f} s ago"))
    return _less(sifted, out) if 0 < len(out) < len(sifted.fit) else sifted


def _less(sifted: Sifted, out: list[LeftOut]) -> Sifted:
    names = {one.target.name for one in out}
    return sifted._replace(fit=[t for t in sifted.fit if t.name not in names], left_out=[*sifted.left_out, *out])
