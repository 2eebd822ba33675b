"""What a route and a target say for themselves, in words: only what is not as it would be without being said. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from proxy.config.kinds import BACKEND_TYPES
from proxy.config.values import Config
from proxy.core.choice.policy import Policy
from proxy.core.choice.wish import NONE
from proxy.core.limiting.values import Rate, span
from proxy.core.route import Hedge, OnCut, Retry, Route, Target

_ON_CUT = {
    OnCut.CONTINUE: "",
    OnCut.ERROR: "a cut stream ends in an error",
    OnCut.HOLD: "nothing is sent before an answer is complete",
}
_USUAL = Route("", ())
_SAID = NONE._asdict()


def of_route(route: Route) -> tuple[str, str]:
    """The route's policies: for answers, and for streams that are cut, silent or slow. Each may be empty."""
    return ", ".join(_policies(route)), ", ".join(_streams(route))


def _choosing(policy: Policy) -> Iterator[str]:
    if policy.top.strategy != "order":
        yield f"strategy {policy.top.strategy}"
    for name, group in policy.groups.items():
        yield f"group {name} by {group.strategy}"
    if policy.rules:
        yield f"{len(policy.rules)} rule{'s' * (len(policy.rules) != 1)}"
    if policy.require != NONE:
        yield "requires " + " ".join(name for name, value in policy.require._asdict().items() if value != _SAID[name])
    if policy.prefer_other_backend:
        yield "another backend after a failure"
    if policy.exclude_failed is not None:
        yield f"what failed is left out for {policy.exclude_failed:g} s"
    if policy.sticky:
        yield "conversations stay"


def _policies(route: Route) -> Iterator[str]:
    if route.policy is not None:
        yield from _choosing(route.policy)
    if route.reply_model_is_route:
        yield "answers carry the route's name as model"
    yield from of_limits(route.limits.rates, concurrency=route.limits.concurrency)
    if route.queue is not None:
        yield f"up to {route.queue.size} wait for a place, {span(route.queue.wait)} at most"
    if route.reply_cost:
        yield "answers say what they cost"
    if route.same_vectors:
        yield "embeddings may fail over: same vectors"
    if route.filtered_goes_elsewhere:
        yield "what a filter refuses goes to the next target"


def _streams(route: Route) -> Iterator[str]:
    if _ON_CUT[route.on_cut]:
        yield _ON_CUT[route.on_cut]
    if route.hold_tools:
        yield "tool calls are held until complete"
    if route.continue_by != _USUAL.continue_by:
        yield f"goes on after a cut by {' then '.join(how.value for how in route.continue_by)}"
    if route.exact_within != _USUAL.exact_within:
        yield f"exact within {route.exact_within:g} s"
    if route.max_continuations != _USUAL.max_continuations:
        yield f"at most {route.max_continuations} continuation{'s' * (route.max_continuations != 1)}"
    if route.keep_alive != _USUAL.keep_alive:
        yield f"a comment after {route.keep_alive:g} s of silence"
    if route.hedge:
        yield _hedge(route.hedge)
    if route.min_rate is not None:
        yield f"stalled below {route.min_rate:g} tokens a second"


def _hedge(hedge: Hedge) -> str:
    after = "p95" if hedge.after is None else f"{hedge.after:g} s"
    more = "another target" if hedge.max == 1 else f"up to {hedge.max} others"
    return f"after {after} without content {more} too (in at most {hedge.budget * 100:g}% of requests)"


def of_target(config: Config, target: Target) -> str:
    """The target's settings."""
    return ", ".join([*_limits(config, target), *_changes(target)])


def _limits(config: Config, target: Target) -> Iterator[str]:
    usual = BACKEND_TYPES[config.backends[target.backend].type].timeouts
    for name, value, default in zip(target.timeouts._fields, target.timeouts, usual, strict=True):
        if value != default:
            yield f"{name} {value:g} s"
    if target.retry.same_target is not None:
        yield f"more tries here {target.retry.same_target}"
    if target.retry.patience != Retry().patience:
        yield f"waits out {target.retry.patience:g} s"
    if target.concurrency:
        yield f"at most {target.concurrency} at once"
    yield from of_limits(target.rates, adaptive=target.adaptive is not None)


def of_limits(rates: Iterable[Rate], *, adaptive: bool = False, concurrency: int | None = None) -> Iterator[str]:
    """What may pass."""
    if adaptive:
        yield "as many at once as it is found to carry"
    if concurrency is not None:
        yield f"at most {concurrency} at once"
    told = ", ".join(rate.words() for rate in rates)
    if told:
        yield f"at most {told}"


def _changes(target: Target) -> Iterator[str]:
    if target.prefill is not None:
        yield "continues a partial answer" if target.prefill else "takes no partial answer"
    for label, names in (
        ("defaults", target.defaults),
        ("overrides", target.overrides),
        ("drops", sorted(target.drop)),
        ("headers", target.headers),
    ):
        if names:
            yield f"{label} {' '.join(names)}"
