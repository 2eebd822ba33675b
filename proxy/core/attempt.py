"""The machine that carries one request over its targets: `step(state, event) -> (state, commands)`.

It decides; engine.py does. It sees no bytes, no clock and no socket, so that every order of events can be tried.

    BEGIN ── Send ──> LIVE ── Committed ──> COMMITTED ── Served ──> OVER
                       │ ^                     │
                Failed │ │ Send (elsewhere,    └─ Failed/Deadline ──> Break, OVER
                       v │  or again)
                     (or Wait ── WaitOver)
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from proxy.core.failure import Elsewhere, Failure, FailureKind, most_useful, wait_named
from proxy.core.outcome import Ended
from proxy.core.route import Route, Target

BACKOFF = 0.25
"""Seconds; doubles with each try at the same target, with full jitter."""


class Phase(IntEnum):
    """Where a request stands."""

    BEGIN = 0
    LIVE = 1
    """An attempt is under way and nothing of it was sent to the client."""
    COMMITTED = 2
    """Content was sent to the client: no other target may answer any more."""
    WAITING = 3
    """Before another try at the same target."""
    OVER = 4


class State(NamedTuple):
    """One request. `at` is the place in `targets` of the attempt that is under way, or was the last."""

    route: Route
    targets: tuple[Target, ...]
    phase: Phase = Phase.BEGIN
    at: int = 0
    again: int = 0
    """Further tries made at the present target."""
    different: int = 0
    """Targets that were sent to."""
    failures: tuple[Failure, ...] = ()


# Events ---------------------------------------------------------------------------------------------------------


class Begin(NamedTuple):
    """The request is read and its plan made."""


class Committed(NamedTuple):
    """The first content of the live attempt goes to the client now."""


class Served(NamedTuple):
    """The live attempt's answer is complete."""


class Failed(NamedTuple):
    """The live attempt failed. `left`: seconds until the request's deadline; `jitter`: in [0, 1)."""

    failure: Failure
    left: float
    jitter: float = 0.5


class Full(NamedTuple):
    """The target that was to be sent to has no place free on our side, or has fallen ill since the plan was made:
    nothing was sent."""

    failure: Failure


class WaitOver(NamedTuple):
    """The wait before the next try at the same target is over."""


class Deadline(NamedTuple):
    """The request's total time is over."""

    failure: Failure


class Gone(NamedTuple):
    """The client left."""


Event = Begin | Committed | Served | Failed | Full | WaitOver | Deadline | Gone

# Commands -------------------------------------------------------------------------------------------------------


class Send(NamedTuple):
    """Send to this target."""

    target: Target


class Record(NamedTuple):
    """The attempt that was under way has ended so: exactly one for each `Send` that was not answered by `Full`."""

    ended: Ended
    failure: Failure | None


class Abort(NamedTuple):
    """Close the live attempt's connection."""


class Wait(NamedTuple):
    """Come back with `WaitOver` after so many seconds."""

    seconds: float


class Deliver(NamedTuple):
    """The client has its answer: end the response."""


class Refuse(NamedTuple):
    """No content was sent: answer with this failure. `retry_after` in seconds."""

    failure: Failure
    retry_after: float | None


class Break(NamedTuple):
    """Content was sent and no more will come: say so in the stream."""

    failure: Failure


class Vanish(NamedTuple):
    """The client is gone: nobody is left to be answered."""


Command = Send | Record | Abort | Wait | Deliver | Refuse | Break | Vanish

ANSWERED: tuple[Command, ...] = (Record(Ended.SERVED, None), Deliver())
GONE = Failure(FailureKind.CLIENT_GONE, "the client closed the connection")


def step(state: State, event: Event) -> tuple[State, tuple[Command, ...]]:
    """The next state, and what is to be done now, in that order. An event that makes no sense in a state is ignored."""
    if state.phase is Phase.OVER:
        return state, ()
    kind = type(event)
    if kind is Committed:
        return (state._replace(phase=Phase.COMMITTED), ()) if state.phase is Phase.LIVE else (state, ())
    if kind is Served:
        return (_at(state, Phase.OVER), ANSWERED) if _under_way(state) else (state, ())
    if isinstance(event, Failed):
        return _failed(state, event) if _under_way(state) else (state, ())
    if isinstance(event, Begin):
        return _send(state, 0) if state.phase is Phase.BEGIN else (state, ())
    if isinstance(event, WaitOver):
        return _again(state) if state.phase is Phase.WAITING else (state, ())
    if isinstance(event, Full):
        return _full(state, event.failure) if state.phase is Phase.LIVE else (state, ())
    if isinstance(event, Deadline):
        return _ended_early(state, Ended.FAILED, event.failure)
    return _ended_early(state, Ended.CANCELLED, GONE)


def _under_way(state: State) -> bool:
    return state.phase is Phase.LIVE or state.phase is Phase.COMMITTED


def _at(state: State, phase: Phase) -> State:
    """`state._replace(phase=phase)` at a third of its cost: every request takes this way."""
    route, targets, _, at, again, different, failures = state
    return State(route, targets, phase, at, again, different, failures)


def _over(state: State, *commands: Command) -> tuple[State, tuple[Command, ...]]:
    return state._replace(phase=Phase.OVER), commands


def _send(state: State, at: int) -> tuple[State, tuple[Command, ...]]:
    if at >= len(state.targets):
        return _give_up(state)
    new = State(state.route, state.targets, Phase.LIVE, at, 0, state.different + 1, state.failures)
    return new, (Send(state.targets[at]),)


def _again(state: State) -> tuple[State, tuple[Command, ...]]:
    return state._replace(phase=Phase.LIVE, again=state.again + 1), (Send(state.targets[state.at]),)


def _full(state: State, failure: Failure) -> tuple[State, tuple[Command, ...]]:
    """Nothing was sent, so it does not count as one of the route's attempts."""
    if state.again:
        return _next(state._replace(failures=(*state.failures, failure)))
    back = state._replace(failures=(*state.failures, failure), different=state.different - 1)
    return _send(back, state.at + 1)


def _failed(state: State, event: Failed) -> tuple[State, tuple[Command, ...]]:
    failure = event.failure
    if state.phase is Phase.COMMITTED:
        return _over(state, Record(Ended.CUT, failure), Break(failure))
    state = state._replace(failures=(*state.failures, failure))
    record = Record(Ended.FAILED, failure)
    wait = _wait_at_same(state, event)
    if wait is not None:
        return state._replace(phase=Phase.WAITING), (record, Wait(wait))
    if not _may_go_elsewhere(state, failure):
        return _over(state, record, Refuse(failure, failure.retry_after))
    new, commands = _next(state)
    return new, (record, *commands)


def _next(state: State) -> tuple[State, tuple[Command, ...]]:
    if state.different >= state.route.max_attempts:
        return _give_up(state)
    return _send(state, state.at + 1)


def _may_go_elsewhere(state: State, failure: Failure) -> bool:
    elsewhere = failure.verdict.elsewhere
    if elsewhere is Elsewhere.BY_ROUTE:
        return state.route.filtered_goes_elsewhere
    return elsewhere is Elsewhere.YES


def _wait_at_same(state: State, event: Failed) -> float | None:
    """Seconds before the same target is tried again; `None`: it is not."""
    retry = state.targets[state.at].retry
    failure = event.failure
    if state.again >= (retry.same_target or 0) or not failure.verdict.again:
        return None
    asked = failure.retry_after or 0.0
    if asked > retry.patience:
        return None
    wait = asked or BACKOFF * 2.0**state.again * event.jitter
    return wait if wait < event.left else None


def _give_up(state: State) -> tuple[State, tuple[Command, ...]]:
    failure = most_useful(state.failures)
    if failure is None:
        failure = Failure(FailureKind.NOT_AVAILABLE, f"route '{state.route.name}' has no target to try")
    wait = wait_named(state.failures) if failure.verdict.status in (429, 503) else None
    return _over(state, Refuse(failure, wait))


def _ended_early(state: State, ended: Ended, failure: Failure) -> tuple[State, tuple[Command, ...]]:
    """From outside: the client left, or the time is over."""
    gone = ended is Ended.CANCELLED
    if state.phase in (Phase.BEGIN, Phase.WAITING):
        return _over(state, Vanish() if gone else Refuse(failure, None))
    if gone:
        return _over(state, Abort(), Record(ended, failure), Vanish())
    if state.phase is Phase.COMMITTED:
        return _over(state, Abort(), Record(Ended.CUT, failure), Break(failure))
    return _over(state, Abort(), Record(ended, failure), Refuse(failure, None))
