"""Which targets a request tries, and what it is told when there is none."""

from __future__ import annotations

from proxy.core import health as h
from proxy.core.failure import FailureKind
from proxy.core.outcome import Ended
from proxy.core.plan import Plan, fallen_ill, nothing_left, plan, to_go_on, vectors_of
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


def test_half_an_answer_may_be_gone_on_with_by_a_target_that_is_not_well_but_not_by_one_that_asked_for_time() -> None:
    assert to_go_on(ROUTE, {}, NOW) == ((A, B), frozenset())
    assert to_go_on(ROUTE, {"x/a": DEAD}, NOW) == ((A, B), frozenset({"x/a"}))
    assert to_go_on(ROUTE, {"x/a": DEAD, "y/b": LIMITED}, NOW) == ((A,), frozenset({"x/a"}))
    assert fallen_ill(DEAD, NOW) and not fallen_ill(DEAD, NOW, going_on=True)
    assert fallen_ill(LIMITED, NOW, going_on=True)


def test_a_wrong_key_is_tried_again_when_nothing_else_is_left() -> None:
    assert plan(Route("r", (A,)), {"x/a": after(FailureKind.KEY_REFUSED)}, NOW).targets == (A,)


def test_a_route_without_configured_targets_says_so() -> None:
    empty = Route("r", ())
    assert nothing_left(empty, plan(empty, {}, NOW), NOW).kind is FailureKind.NOT_AVAILABLE


def test_embeddings_stay_with_one_model_unless_the_operator_says_they_are_the_same() -> None:
    twin = Target("z/a", "z", "a")
    mixed = Route("r", (A, B, twin))
    assert vectors_of(mixed).targets == (A, twin)
    declared = Route("r", (A, B, twin), same_vectors=True)
    assert vectors_of(declared).targets == (A, B, twin)
