"""The machine's promises, over every order of events that hypothesis can think of."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core import attempt as m
from proxy.core.failure import VERDICTS, Blame, Elsewhere, Failure, FailureKind
from proxy.core.outcome import Ended
from proxy.core.route import Retry, Route, Target

KINDS = st.sampled_from(sorted(FailureKind, key=lambda k: k.value))
FAILURES = st.builds(
    Failure, KINDS, st.just("x"), retry_after=st.none() | st.floats(0, 100, allow_nan=False), status=st.none()
)


def target(number: int, *, same: int = 0, patience: float = 0.0) -> Target:
    return Target(f"b/{number}", "b", str(number), retry=Retry(same, patience))


ROUTES = st.builds(
    lambda targets, max_attempts, filtered: Route("r", tuple(targets), max_attempts, filtered_goes_elsewhere=filtered),
    st.lists(st.tuples(st.integers(0, 2), st.floats(0, 50)), min_size=0, max_size=5).map(
        lambda rows: [target(i, same=s, patience=p) for i, (s, p) in enumerate(rows)]
    ),
    st.integers(1, 4),
    st.booleans(),
)
EVENTS = st.lists(
    st.one_of(
        st.just(m.Begin()),
        st.just(m.Committed()),
        st.just(m.Served()),
        st.builds(m.Failed, FAILURES, st.floats(0, 600), st.floats(0, 0.99)),
        st.builds(m.Full, FAILURES),
        st.just(m.WaitOver()),
        st.builds(m.Deadline, FAILURES),
        st.just(m.Gone()),
    ),
    max_size=25,
)
FINISHES = (m.Deliver, m.Refuse, m.Break, m.Vanish)


@dataclass
class Trace:
    sends: list[Target] = field(default_factory=list)
    unsent: int = 0
    records: list[m.Record] = field(default_factory=list)
    finishes: list[m.Command] = field(default_factory=list)
    aborts: int = 0
    committed: bool = False


def run(route: Route, events: list[m.Event]) -> tuple[m.State, Trace]:
    state = m.State(route, route.targets)
    trace = Trace()
    for event in [m.Begin(), *events]:
        before = state
        if isinstance(event, m.Full) and before.phase is m.Phase.LIVE:
            trace.unsent += 1
        if isinstance(event, m.Committed) and before.phase is m.Phase.LIVE:
            trace.committed = True
        state, commands = m.step(state, event)
        for command in commands:
            if isinstance(command, m.Send):
                assert not trace.committed, "content of one attempt only"
                trace.sends.append(command.target)
            elif isinstance(command, m.Record):
                trace.records.append(command)
            elif isinstance(command, m.Abort):
                trace.aborts += 1
            elif isinstance(command, FINISHES):
                trace.finishes.append(command)
    return state, trace


@settings(deadline=None, max_examples=300)
@given(ROUTES, EVENTS)
def test_sends_are_bounded_by_targets_attempts_and_retries_at_the_same_target(
    route: Route, events: list[m.Event]
) -> None:
    _, trace = run(route, events)
    answered = len(trace.sends) - trace.unsent
    different = min(len(route.targets), route.max_attempts)
    retries = sorted((t.retry.same_target for t in route.targets), reverse=True)[:different]
    assert answered <= different + sum(retries)


@settings(deadline=None, max_examples=300)
@given(ROUTES, EVENTS)
def test_each_send_has_exactly_one_outcome_and_a_request_exactly_one_finish(
    route: Route, events: list[m.Event]
) -> None:
    state, trace = run(route, events)
    live = state.phase in (m.Phase.LIVE, m.Phase.COMMITTED)
    assert len(trace.records) == len(trace.sends) - trace.unsent - live
    assert len(trace.finishes) == (state.phase is m.Phase.OVER)


@settings(deadline=None, max_examples=300)
@given(ROUTES, EVENTS)
def test_whatever_happened_the_client_leaving_ends_it_and_aborts_a_live_attempt(
    route: Route, events: list[m.Event]
) -> None:
    state, _ = run(route, events)
    live = state.phase in (m.Phase.LIVE, m.Phase.COMMITTED)
    over, commands = m.step(state, m.Gone())
    assert over.phase is m.Phase.OVER
    assert any(isinstance(c, m.Abort) for c in commands) == live
    if state.phase is not m.Phase.OVER:
        assert isinstance(commands[-1], m.Vanish)


@settings(deadline=None, max_examples=300)
@given(ROUTES, EVENTS)
def test_a_failure_after_content_is_told_and_never_answered_by_another_target(
    route: Route, events: list[m.Event]
) -> None:
    state, _ = run(route, events)
    if state.phase is not m.Phase.COMMITTED:
        return
    failure = Failure(FailureKind.RESET, "x")
    over, commands = m.step(state, m.Failed(failure, 100.0))
    assert commands == (m.Record(Ended.CUT, failure), m.Break(failure))
    assert over.phase is m.Phase.OVER


@settings(deadline=None, max_examples=200)
@given(ROUTES, EVENTS)
def test_nothing_happens_after_the_end(route: Route, events: list[m.Event]) -> None:
    state, _ = run(route, [*events, m.Gone()])
    for event in (m.Begin(), m.Committed(), m.Served(), m.WaitOver(), m.Gone()):
        assert m.step(state, event) == (state, ())


@settings(deadline=None, max_examples=200)
@given(FAILURES, st.floats(0, 700), st.floats(0, 0.99))
def test_a_wait_at_the_same_target_never_passes_the_deadline_nor_the_patience(
    failure: Failure, left: float, jitter: float
) -> None:
    route = Route("r", (target(0, same=2, patience=3.0), target(1)))
    state, _ = m.step(m.State(route, route.targets), m.Begin())
    _, commands = m.step(state, m.Failed(failure, left, jitter))
    for command in commands:
        if isinstance(command, m.Wait):
            assert command.seconds < left
            assert command.seconds <= 3.0


@pytest.mark.parametrize("kind", list(FailureKind))
def test_before_content_a_failure_goes_elsewhere_just_where_the_table_says_so(kind: FailureKind) -> None:
    route = Route("r", (target(0), target(1)))
    state, _ = m.step(m.State(route, route.targets), m.Begin())
    _, commands = m.step(state, m.Failed(Failure(kind, "x"), 100.0))
    if VERDICTS[kind].elsewhere is Elsewhere.YES:
        assert commands[1:] == (m.Send(route.targets[1]),)
    else:
        assert isinstance(commands[1], m.Refuse)


def test_when_all_fail_the_most_useful_failure_is_reported_with_the_smallest_wait() -> None:
    route = Route("r", (target(0), target(1), target(2)))
    state, _ = m.step(m.State(route, route.targets), m.Begin())
    limited = Failure(FailureKind.RATE_LIMITED, "slow down", retry_after=20.0)
    for failure in (limited, Failure(FailureKind.OVERLOADED, "x", retry_after=7.0)):
        state, _ = m.step(state, m.Failed(failure, 100.0))
    _, commands = m.step(state, m.Failed(Failure(FailureKind.REFUSED, "x"), 100.0))
    assert commands[-1] == m.Refuse(limited, 7.0)


def test_a_target_without_a_free_place_costs_no_attempt() -> None:
    route = Route("r", (target(0), target(1)), max_attempts=1)
    state, _ = m.step(m.State(route, route.targets), m.Begin())
    _, commands = m.step(state, m.Full(Failure(FailureKind.BUSY, "full")))
    assert commands == (m.Send(route.targets[1]),)


def test_a_filters_refusal_goes_elsewhere_only_by_the_routes_policy() -> None:
    for policy, expected in ((False, m.Refuse), (True, m.Send)):
        route = Route("r", (target(0), target(1)), filtered_goes_elsewhere=policy)
        state, _ = m.step(m.State(route, route.targets), m.Begin())
        _, commands = m.step(state, m.Failed(Failure(FailureKind.FILTERED, "x"), 100.0))
        assert isinstance(commands[1], expected)


def test_a_target_is_blamed_exactly_for_what_feeds_its_circuit() -> None:
    for kind, verdict in VERDICTS.items():
        assert verdict.counts == (verdict.blame is Blame.TARGET), kind
