"""Which targets a request tries, and what it is told when there is none."""

from __future__ import annotations

from proxy.core import health as h
from proxy.core.failure import FailureKind
from proxy.core.outcome import Ended
from proxy.core.plan import Plan, able_first, away, cannot, fallen_ill, nothing_left, plan, to_go_on, vectors_of
from proxy.core.route import Route, Target

NOW = 50.0
A, B = Target("x/a", "x", "a"), Target("y/b", "y", "b")
ROUTE = Route("r", (A, B))


def after(*kinds: FailureKind, retry_after: float | None = None) -> h.Health:
    state = h.WELL
    for kind in kinds:
        state = h.on_outcome(state, Ended.FAILED, kind, sent=NOW, now=NOW, retry_after=retry_after)
    return state


DEAD = after(*[FailureKind.REFUSED] * h.OPEN_AFTER)
LIMITED = after(FailureKind.RATE_LIMITED, retry_after=30.0)


def test_targets_are_tried_as_written() -> None:
    assert plan(ROUTE, {}, NOW) == Plan((A, B))


def test_a_target_with_an_open_circuit_is_left_out_with_its_reason() -> None:
    made = plan(ROUTE, {"x/a": DEAD}, NOW)
    assert made.targets == (B,)
    assert (made.skipped[0].target, made.skipped[0].cause) == (A, FailureKind.REFUSED)


def test_when_all_circuits_are_open_they_are_tried_in_order_anyway() -> None:
    assert plan(ROUTE, {"x/a": DEAD, "y/b": DEAD}, NOW).targets == (A, B)


def test_a_target_that_asked_for_time_is_not_asked_even_when_nothing_else_is_left() -> None:
    made = plan(ROUTE, {"x/a": LIMITED, "y/b": after(FailureKind.RATE_LIMITED, retry_after=9.0)}, NOW + 1)
    assert made.targets == ()
    told = nothing_left(ROUTE, made, NOW + 1)
    assert told.kind is FailureKind.RATE_LIMITED
    assert told.retry_after == 8.0
    waits = "x/a: cooling for 29 s (rate_limited); y/b: cooling for 8 s (rate_limited)"
    assert told.message == f"No target of route '{ROUTE.name}' can be asked now: {waits}."


def test_half_an_answer_may_be_gone_on_with_by_a_target_that_is_not_well_but_not_by_one_that_asked_for_time() -> None:
    assert to_go_on(ROUTE, {}, NOW) == ((A, B), frozenset())
    assert to_go_on(ROUTE, {"x/a": DEAD}, NOW) == ((A, B), frozenset({"x/a"}))
    assert to_go_on(ROUTE, {"x/a": DEAD, "y/b": LIMITED}, NOW) == ((A,), frozenset({"x/a"}))
    assert fallen_ill(DEAD, NOW) and not fallen_ill(DEAD, NOW, going_on=True)
    assert fallen_ill(LIMITED, NOW, going_on=True)


SPENT = h.cooled(h.WELL, FailureKind.RATE_LIMITED, NOW + 30, NOW, foretold=True)


def test_a_target_whose_limits_are_used_up_comes_after_all_others_until_they_are_not() -> None:
    made = plan(ROUTE, {"x/a": SPENT}, NOW)
    assert (made.targets, made.skipped, made.anyway, made.until) == ((B, A), (), False, NOW + 30)
    assert plan(ROUTE, {"x/a": SPENT}, NOW + 30).targets == (A, B)
    assert plan(ROUTE, {"x/a": SPENT, "y/b": DEAD}, NOW).targets == (A,), "better than one that is dead"
    assert plan(ROUTE, {"x/a": LIMITED, "y/b": SPENT}, NOW).targets == (B,)
    assert fallen_ill(SPENT, NOW) is None


def test_a_plan_says_when_it_may_look_different() -> None:
    assert plan(ROUTE, {"x/a": LIMITED}, NOW).until == NOW + 30
    assert plan(ROUTE, {"x/a": DEAD}, NOW).until == DEAD.open_until


C = Target("z/c", "z", "c")


def test_those_that_can_express_a_request_come_before_the_one_that_cannot() -> None:
    assert able_first((A, B, C), 0, lambda target: target is C) == (C, A, B)
    assert able_first((A, B, C), 1, lambda target: target is C) == (A, C, B)
    all_three = (A, B, C)
    assert able_first(all_three, 0, lambda target: target is A) is all_three


def test_a_refusal_names_the_parameter() -> None:
    failure = cannot(("logit_bias", "seed"))
    assert failure.kind is FailureKind.UNSUPPORTED
    assert failure.param == "logit_bias" and "'logit_bias', 'seed'" in failure.message


def test_where_those_that_could_express_it_are_out_of_order_that_is_the_reason() -> None:
    def only_b(target: Target) -> bool:
        return target is B

    found = away(ROUTE, {"y/b": LIMITED}, only_b, NOW)
    assert found is not None and (found.kind, found.retry_after) == (FailureKind.RATE_LIMITED, 30.0)
    assert away(ROUTE, {"x/a": LIMITED}, only_b, NOW) is None
    both = away(ROUTE, {"x/a": LIMITED, "y/b": DEAD}, lambda _: True, NOW)
    assert both is not None and both.kind is FailureKind.REFUSED, "it is due first"


def test_a_wrong_key_is_tried_again_when_nothing_else_is_left() -> None:
    assert plan(Route("r", (A,)), {"x/a": after(FailureKind.KEY_REFUSED)}, NOW).targets == (A,)


def test_a_route_without_configured_targets_says_so() -> None:
    empty = Route("r", ())
    assert nothing_left(empty, plan(empty, {}, NOW), NOW).kind is FailureKind.NOT_AVAILABLE
    missing = (("x/a", "not configured: X_KEY is not set"), ("y/b", "safety 5 < 7"))
    told = nothing_left(Route("r", (), missing=missing), plan(empty, {}, NOW), NOW)
    assert told.message == "Route 'r' has no target that is in use: x/a: not configured; y/b: safety 5 < 7."
    assert told.ours


def test_embeddings_stay_with_one_model_unless_the_operator_says_they_are_the_same() -> None:
    twin = Target("z/a", "z", "a")
    mixed = Route("r", (A, B, twin))
    assert vectors_of(mixed).targets == (A, twin)
    declared = Route("r", (A, B, twin), same_vectors=True)
    assert vectors_of(declared).targets == (A, B, twin)
