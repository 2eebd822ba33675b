"""The machine's promises, over every order of events that hypothesis can think of."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core import attempt as m
from proxy.core.failure import VERDICTS, Blame, Elsewhere, Failure, FailureKind
from proxy.core.outcome import Ended, How
from proxy.core.route import Hedge, Retry, Route, Target
from proxy.core.ways import Way
from tests.examples import many

KINDS = st.sampled_from(sorted(FailureKind, key=lambda k: k.value))
FAILURES = st.builds(
    Failure, KINDS, st.just("x"), retry_after=st.none() | st.floats(0, 100, allow_nan=False), status=st.none()
)


def target(number: int, *, same: int | None = 0, patience: float = 0.0) -> Target:
    return Target(f"b/{number}", "b", str(number), retry=Retry(same, patience))


TARGETS = st.lists(st.tuples(st.none() | st.integers(0, 2), st.floats(0, 50)), max_size=5).map(
    lambda rows: tuple(target(i, same=same, patience=patience) for i, (same, patience) in enumerate(rows))
)
ROUTES = st.builds(
    lambda targets, most, filtered, hedge, continuations: Route(
        "r", targets, most, filtered_goes_elsewhere=filtered, hedge=hedge, max_continuations=continuations
    ),
    TARGETS,
    st.integers(1, 4),
    st.booleans(),
    st.none() | st.builds(Hedge, st.just(0.1), st.integers(1, 2)),
    st.integers(0, 3),
)
NUMBERS = st.integers(1, 8)
WAYS = st.lists(st.builds(Way, st.sampled_from([How.EXACT, How.PREFILL, How.ASK]), st.just(target(9))), max_size=3)
KEYS = 2
FAILED = st.builds(
    m.Failed,
    NUMBERS,
    FAILURES,
    st.floats(0, 600),
    st.floats(0, 0.99),
    st.booleans(),
    WAYS.map(tuple),
    st.sampled_from([0, 0, 1, KEYS]),
)
EVENTS = st.lists(
    st.one_of(
        st.just(m.Begin()),
        st.builds(m.Committed, NUMBERS),
        st.builds(m.Committed, NUMBERS),
        st.builds(m.Served, NUMBERS),
        FAILED,
        FAILED,
        st.builds(m.Full, NUMBERS, FAILURES),
        st.just(m.WaitOver()),
        st.just(m.HedgeDue()),
        st.builds(m.Deadline, FAILURES),
        st.just(m.Gone()),
    ),
    max_size=30,
)
FINISHES = (m.Deliver, m.Refuse, m.Break, m.Vanish)


@dataclass
class Trace:
    sends: dict[int, m.Send] = field(default_factory=dict)
    unsent: set[int] = field(default_factory=set)
    records: dict[int, m.Record] = field(default_factory=dict)
    aborted: set[int] = field(default_factory=set)
    finishes: list[m.Command] = field(default_factory=list)
    committed: list[int] = field(default_factory=list)


def run(route: Route, events: list[m.Event]) -> tuple[m.State, Trace]:
    state = m.State(route, route.targets)
    trace = Trace()
    for event in [m.Begin(), *events]:
        before = state
        state, commands = m.step(state, event)
        live = {one.number for one in before.live} if before.phase is not m.Phase.OVER else set()
        may_be_unsent = before.phase in (m.Phase.LIVE, m.Phase.MENDING)  # an answer that has begun was sent for
        if isinstance(event, m.Full) and event.number in live and may_be_unsent:
            trace.unsent.add(event.number)
        if isinstance(event, m.Committed) and state.phase is m.Phase.COMMITTED is not before.phase:
            trace.committed.append(event.number)
        for command in commands:
            assert not trace.finishes, "nothing is done after the finish"
            if isinstance(command, m.Send):
                assert command.number not in trace.sends
                trace.sends[command.number] = command
            elif isinstance(command, m.Record):
                assert command.number not in trace.records, "one outcome for each attempt"
                trace.records[command.number] = command
            elif isinstance(command, m.Abort):
                trace.aborted.add(command.number)
            elif isinstance(command, FINISHES):
                trace.finishes.append(command)
    return state, trace


@settings(deadline=None, max_examples=many(400))
@given(ROUTES, EVENTS)
def test_sends_are_bounded_by_targets_attempts_retries_hedges_and_ways(route: Route, events: list[m.Event]) -> None:
    """And by the keys that a backend has besides the first one."""
    _, trace = run(route, events)
    fresh = [s for n, s in trace.sends.items() if n not in trace.unsent and s.how is How.FRESH]
    different = min(len(route.targets), route.max_attempts)
    retries = sorted((1 if t.retry.same_target is None else t.retry.same_target for t in route.targets), reverse=True)
    assert len(fresh) <= different * (1 + KEYS) + sum(retries[:different])
    going_on = len(trace.sends) - len(trace.unsent) - len(fresh)
    assert going_on <= route.max_continuations * 3 * (1 + KEYS)


@settings(deadline=None, max_examples=many(400))
@given(ROUTES, EVENTS)
def test_each_attempt_has_exactly_one_outcome_and_a_request_exactly_one_finish(
    route: Route, events: list[m.Event]
) -> None:
    state, trace = run(route, events)
    live = set() if state.phase is m.Phase.OVER else {one.number for one in state.live}
    assert set(trace.records) == set(trace.sends) - trace.unsent - live
    assert len(trace.finishes) == (state.phase is m.Phase.OVER)


@settings(deadline=None, max_examples=many(400))
@given(ROUTES, EVENTS)
def test_only_one_attempts_content_begins_an_answer_and_only_continuations_add_to_it(
    route: Route, events: list[m.Event]
) -> None:
    _, trace = run(route, events)
    if trace.committed:
        assert trace.sends[trace.committed[0]].how is How.FRESH
    assert all(trace.sends[number].how is not How.FRESH for number in trace.committed[1:])
    assert len(trace.committed) <= 1 + route.max_continuations


@settings(deadline=None, max_examples=many(300))
@given(ROUTES, EVENTS)
def test_the_losers_of_a_race_are_aborted_and_cancelled(route: Route, events: list[m.Event]) -> None:
    state, trace = run(route, events)
    if state.phase is m.Phase.COMMITTED:
        assert len(state.live) == 1
    for number, record in trace.records.items():
        if record.ended is Ended.CANCELLED:
            assert number in trace.aborted


@settings(deadline=None, max_examples=many(300))
@given(ROUTES, EVENTS)
def test_whatever_happened_the_client_leaving_ends_it_and_aborts_all_that_is_live(
    route: Route, events: list[m.Event]
) -> None:
    state, _ = run(route, events)
    if state.phase is m.Phase.OVER:
        assert m.step(state, m.Gone()) == (state, ())
        return
    over, commands = m.step(state, m.Gone())
    assert over.phase is m.Phase.OVER
    assert {c.number for c in commands if isinstance(c, m.Abort)} == {one.number for one in state.live}
    assert isinstance(commands[-1], m.Vanish)


@settings(deadline=None, max_examples=many(300))
@given(ROUTES, EVENTS)
def test_once_content_was_sent_the_client_is_never_refused(route: Route, events: list[m.Event]) -> None:
    _, trace = run(route, events)
    if trace.committed:
        assert not any(isinstance(finish, m.Refuse) for finish in trace.finishes)


def begun(route: Route) -> m.State:
    return m.step(m.State(route, route.targets), m.Begin())[0]


@settings(deadline=None, max_examples=many(200))
@given(FAILURES, st.floats(0, 700), st.floats(0, 0.99))
def test_a_wait_at_the_same_target_never_passes_the_deadline_nor_the_patience(
    failure: Failure, left: float, jitter: float
) -> None:
    _, commands = m.step(
        begun(Route("r", (target(0, same=2, patience=3.0), target(1)))), m.Failed(1, failure, left, jitter)
    )
    for command in commands:
        if isinstance(command, m.Wait):
            assert command.seconds < left
            assert command.seconds <= 3.0


@pytest.mark.parametrize("kind", list(FailureKind))
def test_before_content_a_failure_goes_elsewhere_just_where_the_table_says_so(kind: FailureKind) -> None:
    route = Route("r", (target(0), target(1)))
    _, commands = m.step(begun(route), m.Failed(1, Failure(kind, "x"), 100.0))
    if VERDICTS[kind].elsewhere is Elsewhere.YES:
        assert commands[1:] == (m.Send(2, route.targets[1]),)
    else:
        assert isinstance(commands[1], m.Refuse)


def test_when_all_fail_the_most_useful_failure_is_reported_with_the_smallest_wait() -> None:
    state = begun(Route("r", (target(0), target(1), target(2))))
    limited = Failure(FailureKind.RATE_LIMITED, "slow down", retry_after=20.0)
    state, _ = m.step(state, m.Failed(1, limited, 100.0))
    state, _ = m.step(state, m.Failed(2, Failure(FailureKind.OVERLOADED, "x", retry_after=7.0), 100.0))
    _, commands = m.step(state, m.Failed(3, Failure(FailureKind.REFUSED, "x"), 100.0))
    assert commands[-1] == m.Refuse(limited, 7.0)


def test_a_target_without_a_free_place_costs_no_attempt() -> None:
    route = Route("r", (target(0), target(1)), max_attempts=1)
    _, commands = m.step(begun(route), m.Full(1, Failure(FailureKind.BUSY, "full")))
    assert commands == (m.Send(2, route.targets[1]),)


def test_a_filters_refusal_goes_elsewhere_only_by_the_routes_policy() -> None:
    for policy, expected in ((False, m.Refuse), (True, m.Send)):
        route = Route("r", (target(0), target(1)), filtered_goes_elsewhere=policy)
        _, commands = m.step(begun(route), m.Failed(1, Failure(FailureKind.FILTERED, "x"), 100.0))
        assert isinstance(commands[1], expected)


def test_a_target_is_blamed_exactly_for_what_feeds_its_circuit() -> None:
    for kind, verdict in VERDICTS.items():
        assert verdict.counts == (verdict.blame is Blame.TARGET), kind


RESET = Failure(FailureKind.RESET, "x")


def test_the_last_target_is_tried_once_more_by_default_and_one_that_is_not_the_last_is_not() -> None:
    route = Route("r", (target(0, same=None), target(1, same=None)))
    state, commands = m.step(begun(route), m.Failed(1, RESET, 100.0))
    assert commands[1:] == (m.Send(2, route.targets[1]),)
    state, commands = m.step(state, m.Failed(2, RESET, 100.0))
    assert isinstance(commands[1], m.Wait)
    state, commands = m.step(state, m.WaitOver())
    assert commands == (m.Send(3, route.targets[1]),)
    _, commands = m.step(state, m.Failed(3, RESET, 100.0))
    assert isinstance(commands[1], m.Refuse)


def test_a_timeout_is_never_tried_again_at_the_same_target() -> None:
    for kind in (FailureKind.FIRST_TIMEOUT, FailureKind.IDLE_TIMEOUT, FailureKind.CONNECT_TIMEOUT):
        _, commands = m.step(begun(Route("r", (target(0, same=3),))), m.Failed(1, Failure(kind, "x"), 100.0))
        assert isinstance(commands[-1], m.Refuse)


def test_in_a_storm_the_budget_forbids_the_retry() -> None:
    _, commands = m.step(begun(Route("r", (target(0, same=3),))), m.Failed(1, RESET, 100.0, may_retry=False))
    assert isinstance(commands[-1], m.Refuse)


def test_a_cut_stream_is_gone_on_with_by_each_way_in_turn_and_then_told() -> None:
    route = Route("r", (target(0), target(1)))
    state, _ = m.step(begun(route), m.Committed(1))
    ways = (Way(How.PREFILL, route.targets[1]), Way(How.REPLAY, route.targets[1]))
    state, commands = m.step(state, m.Failed(1, RESET, 100.0, ways=ways))
    assert commands == (m.Record(1, Ended.CUT, RESET), m.Send(2, route.targets[1], How.PREFILL))
    bad = Failure(FailureKind.BAD_REQUEST, "x")
    state, commands = m.step(state, m.Failed(2, bad, 100.0))
    assert commands == (m.Record(2, Ended.FAILED, bad), m.Send(3, route.targets[1], How.REPLAY))
    _, commands = m.step(state, m.Failed(3, bad, 100.0))
    assert commands == (m.Record(3, Ended.FAILED, bad), m.Break(RESET))


def test_a_continuation_that_is_cut_too_is_gone_on_with_as_often_as_the_route_allows() -> None:
    route = Route("r", (target(0),), max_continuations=2)
    way = (Way(How.PREFILL, route.targets[0]),)
    state, _ = m.step(begun(route), m.Committed(1))
    for number in (1, 2):
        state, commands = m.step(state, m.Failed(number, RESET, 100.0, ways=way))
        assert commands[1] == m.Send(number + 1, route.targets[0], How.PREFILL)
        state, _ = m.step(state, m.Committed(number + 1))
    _, commands = m.step(state, m.Failed(3, RESET, 100.0, ways=way))
    assert commands == (m.Record(3, Ended.CUT, RESET), m.Break(RESET))


def test_a_hedge_starts_the_next_target_and_the_first_content_wins() -> None:
    route = Route("r", (target(0), target(1)), hedge=Hedge(0.1))
    state, commands = m.step(begun(route), m.HedgeDue())
    assert commands == (m.Send(2, route.targets[1]),)
    assert m.step(state, m.HedgeDue())[1] == ()
    _, commands = m.step(state, m.Committed(2))
    assert commands == (m.Abort(1), m.Record(1, Ended.CANCELLED, m.LOST))


def test_one_of_a_race_failing_leaves_the_other_to_answer() -> None:
    route = Route("r", (target(0), target(1), target(2)), hedge=Hedge(0.1))
    state, _ = m.step(begun(route), m.HedgeDue())
    state, commands = m.step(state, m.Failed(1, RESET, 100.0))
    assert commands == (m.Record(1, Ended.FAILED, RESET),)
    _, commands = m.step(state, m.Failed(2, RESET, 100.0))
    assert commands[1:] == (m.Send(3, route.targets[2]),)


LIMITED = Failure(FailureKind.RATE_LIMITED, "x", retry_after=9.0)


def test_another_key_is_tried_at_the_same_target_at_once_and_counts_as_the_same_target() -> None:
    route = Route("r", (target(0), target(1)), max_attempts=1)
    state, commands = m.step(begun(route), m.Failed(1, LIMITED, 100.0, keys=1))
    assert commands == (m.Record(1, Ended.FAILED, LIMITED), m.Send(2, route.targets[0]))
    _, commands = m.step(state, m.Failed(2, LIMITED, 100.0, keys=1))
    assert commands == (m.Record(2, Ended.FAILED, LIMITED), m.Refuse(LIMITED, 9.0))


def test_another_key_is_tried_though_a_hedge_is_under_way() -> None:
    route = Route("r", (target(0), target(1), target(2)), hedge=Hedge(0.1))
    state, _ = m.step(begun(route), m.HedgeDue())
    state, commands = m.step(state, m.Failed(1, LIMITED, 100.0, keys=1))
    assert commands[1:] == (m.Send(3, route.targets[0]),)
    state, commands = m.step(state, m.Failed(3, LIMITED, 100.0, keys=1))
    assert commands == (m.Record(3, Ended.FAILED, LIMITED),), "the hedge goes on"
    _, commands = m.step(state, m.Failed(2, RESET, 100.0))
    assert commands[1:] == (m.Send(4, route.targets[2]),)


def test_a_continuation_goes_its_own_way_with_another_key() -> None:
    route = Route("r", (target(0), target(1)))
    state, _ = m.step(begun(route), m.Committed(1))
    ways = (Way(How.PREFILL, route.targets[1]), Way(How.REPLAY, route.targets[0]))
    state, _ = m.step(state, m.Failed(1, RESET, 100.0, ways=ways))
    state, commands = m.step(state, m.Failed(2, LIMITED, 100.0, keys=1))
    assert commands[1:] == (m.Send(3, route.targets[1], How.PREFILL),)
    _, commands = m.step(state, m.Failed(3, LIMITED, 100.0, keys=1))
    assert commands[1:] == (m.Send(4, route.targets[0], How.REPLAY),)


def test_that_a_target_could_not_be_asked_is_told_only_where_none_was() -> None:
    """Else a caller takes an outage for a fault of its own, and does not come back."""
    route = Route("r", (target(0), target(1)))
    cannot = Failure(FailureKind.UNSUPPORTED, "x")
    state, _ = m.step(begun(route), m.Full(1, cannot))
    assert m.step(state, m.Failed(2, RESET, 100.0))[1][-1] == m.Refuse(RESET, None)
    assert m.step(state, m.Full(2, cannot))[1][-1] == m.Refuse(cannot, None)
    theirs = Failure(FailureKind.UNSUPPORTED, "x", status=400)
    assert m.step(state, m.Failed(2, theirs, 100.0))[1][-1] == m.Refuse(theirs, None)
