"""The machine that carries one request over its targets: `step(state, event) -> (state, commands)`.

It decides; the engine does. It sees no bytes, no clock and no socket, so that every order of events can be tried.

    BEGIN ── Send ──> LIVE ── Committed ──> COMMITTED ── Served ──> OVER
                       │ ^                     │   ^
                Failed │ │ Send (elsewhere,    │   │ Committed (the continuation's first content)
                       v │ again, or a hedge)  v   │
                      (WAITING)             MENDING ── no way left: Break ──> OVER
"""

from __future__ import annotations

from typing import NamedTuple

from proxy.core.failure import Elsewhere, Failure, FailureKind, most_useful, wait_named
from proxy.core.outcome import Ended
from proxy.core.route import Route, Target
from proxy.core.steps import (
    GONE,
    LOST,
    Abort,
    Begin,
    Break,
    Command,
    Committed,
    Deadline,
    Deliver,
    Event,
    Failed,
    Full,
    Gone,
    HedgeDue,
    Live,
    Phase,
    Record,
    Refuse,
    Send,
    Served,
    State,
    Step,
    Vanish,
    Wait,
    WaitOver,
)

__all__ = [  # whoever drives the machine finds its words here
    "GONE",
    "LOST",
    "Abort",
    "Begin",
    "Break",
    "Command",
    "Committed",
    "Deadline",
    "Deliver",
    "Event",
    "Failed",
    "Full",
    "Gone",
    "HedgeDue",
    "Live",
    "Phase",
    "Record",
    "Refuse",
    "Send",
    "Served",
    "State",
    "Step",
    "Usual",
    "Vanish",
    "Wait",
    "WaitOver",
    "step",
    "usual",
]

BACKOFF = 0.25
"""Seconds; doubles with each try at the same target, with full jitter."""


def step(state: State, event: Event) -> Step:
    """The next state, and what is to be done now, in that order. An event that makes no sense in a state is ignored."""
    kind = type(event)
    if state.phase is Phase.OVER:
        return state, ()
    if kind is Served:
        return _served(state, event)  # type: ignore[arg-type]  # `kind` says which
    if kind is Committed:
        return _committed(state, event)  # type: ignore[arg-type]  # likewise
    if kind is Begin:
        return _send(state, 0) if state.phase is Phase.BEGIN else (state, ())
    return _unusual(state, event)


class Usual(NamedTuple):
    """The way of a request whose first attempt serves. It is the same for all requests of a route, so that it is
    walked once, when the route is made ready, and not with each request (which took a tenth of its time)."""

    begun: Step
    served: Step


def usual(route: Route, targets: tuple[Target, ...] | None = None) -> Usual:
    """For these targets of a route; by default all, none of which has had trouble."""
    begun = step(State(route, route.targets if targets is None else targets), Begin())
    return Usual(begun, step(begun[0], Served(1)))


def _unusual(state: State, event: Event) -> Step:
    if isinstance(event, Failed):
        return _failed(state, event)
    if isinstance(event, Full):
        return _full(state, event)
    if isinstance(event, WaitOver):
        return _again(state)
    if isinstance(event, HedgeDue):
        return _hedge(state)
    if isinstance(event, Deadline):
        return _ended_early(state, Ended.FAILED, event.failure)
    return _ended_early(state, Ended.CANCELLED, GONE)


def _find(state: State, number: int) -> Live | None:
    for live in state.live:
        if live.number == number:
            return live
    return None


def _others(state: State, number: int) -> tuple[Command, ...]:
    """The losers of a race end as cancelled."""
    if len(state.live) == 1:
        return ()
    commands: list[Command] = []
    for live in state.live:
        if live.number != number:
            commands += (Abort(live.number), Record(live.number, Ended.CANCELLED, LOST))
    return tuple(commands)


def _committed(state: State, event: Committed) -> Step:
    live = _find(state, event.number)
    if live is None or state.phase not in (Phase.LIVE, Phase.MENDING):
        return state, ()
    continued = state.continued + (state.phase is Phase.MENDING)
    return (
        state._replace(phase=Phase.COMMITTED, live=(live,), continued=continued, ways=()),
        _others(state, event.number),
    )


def _served(state: State, event: Served) -> Step:
    live = _find(state, event.number)
    if live is None:
        return state, ()
    number = event.number
    commands = (*_others(state, number), Record(number, Ended.SERVED, None), Deliver(number))
    return state._replace(phase=Phase.OVER), commands


def _over(state: State, *commands: Command) -> Step:
    return state._replace(phase=Phase.OVER, live=()), commands


def _send(state: State, at: int) -> Step:
    if at >= len(state.targets):
        return _give_up(state)
    route, targets, _, live, sends, _, different, failures, hedges, _, ways, cut, continued = state
    number = sends + 1
    live = (*live, Live(number, at, 0))
    # Not `_replace`, which costs three times as much: every request takes this way.
    new = State(
        route, targets, Phase.LIVE, live, number, at, different + 1, failures, hedges, None, ways, cut, continued
    )
    return new, (Send(number, targets[at]),)


def _again(state: State) -> Step:
    waiting = state.waiting
    if state.phase is not Phase.WAITING or waiting is None:
        return state, ()
    number = state.sends + 1
    live = (Live(number, waiting.at, waiting.again + 1, waiting.keys),)
    new = state._replace(phase=Phase.LIVE, live=live, sends=number, waiting=None)
    return new, (Send(number, state.targets[waiting.at]),)


def _hedge(state: State) -> Step:
    """A second target may try as well, while the first is still waited for."""
    hedge = state.route.hedge
    if state.phase is not Phase.LIVE or hedge is None or state.hedges >= hedge.max or len(state.live) != 1:
        return state, ()
    if state.at + 1 >= len(state.targets) or state.different >= state.route.max_attempts:
        return state, ()
    return _send(state._replace(hedges=state.hedges + 1), state.at + 1)


def _without(state: State, number: int) -> State:
    return state._replace(live=tuple(live for live in state.live if live.number != number))


def _full(state: State, event: Full) -> Step:
    """Nothing was sent, so it does not count as one of the route's attempts."""
    live = _find(state, event.number)
    if live is None or state.phase not in (Phase.LIVE, Phase.MENDING):
        return state, ()
    state = _without(state, event.number)
    if state.phase is Phase.MENDING:
        return _mend(state)
    state = state._replace(failures=(*state.failures, event.failure), different=state.different - (not live.again))
    if state.live:
        return state, ()
    return _next(state) if live.again else _send(state, state.at + 1)


def _failed(state: State, event: Failed) -> Step:
    live = _find(state, event.number)
    if live is None:
        return state, ()
    failure = event.failure
    state = _without(state, event.number)
    if state.phase is Phase.COMMITTED:
        return _cut(state, event)
    record = Record(event.number, Ended.FAILED, failure)
    if live.keys < event.keys and event.left > 0:
        return _other_key(state, live, failure, record)
    if state.phase is Phase.MENDING:
        new, commands = _mend(state)
        return new, (record, *commands)
    state = state._replace(failures=(*state.failures, failure))
    if state.live:
        return state, (record,)  # the other one of the race goes on
    wait = _wait_at_same(state, live, event)
    if wait is not None:
        return state._replace(phase=Phase.WAITING, waiting=live), (record, Wait(wait))
    if not _may_go_elsewhere(state, failure):
        return _over(state, record, Refuse(failure, failure.retry_after))
    new, commands = _next(state) if event.left > 0 else _give_up(state)
    return new, (record, *commands)


def _other_key(state: State, live: Live, failure: Failure, record: Record) -> Step:
    """The target itself may be well: it is asked at once with another key, as a part of the same try there."""
    number = state.sends + 1
    way = live.way
    send = Send(number, state.targets[live.at]) if way is None else Send(number, way.target, way.how)
    again = live._replace(number=number, keys=live.keys + 1)
    failures = (*state.failures, failure) if way is None else state.failures
    return state._replace(sends=number, live=(*state.live, again), failures=failures), (record, send)


def _cut(state: State, event: Failed) -> Step:
    """Content was sent: the answer is gone on with where that can be done, else the client is told."""
    record = Record(event.number, Ended.CUT, event.failure)
    state = state._replace(cut=event.failure, ways=event.ways)
    if state.continued >= state.route.max_continuations or event.left <= 0:
        return _over(state, record, Break(event.failure))
    new, commands = _mend(state)
    return new, (record, *commands)


def _mend(state: State) -> Step:
    """The next way, if there is one."""
    if not state.ways:
        assert state.cut is not None
        return _over(state, Break(state.cut))
    way = state.ways[0]
    number = state.sends + 1
    live = Live(number, state.at, 0, way=way)
    new = state._replace(phase=Phase.MENDING, ways=state.ways[1:], sends=number, live=(live,))
    return new, (Send(number, way.target, way.how),)


def _next(state: State) -> Step:
    if state.different >= state.route.max_attempts:
        return _give_up(state)
    return _send(state, state.at + 1)


def _may_go_elsewhere(state: State, failure: Failure) -> bool:
    elsewhere = failure.verdict.elsewhere
    if elsewhere is Elsewhere.BY_ROUTE:
        return state.route.filtered_goes_elsewhere
    return elsewhere is Elsewhere.YES


def _wait_at_same(state: State, live: Live, event: Failed) -> float | None:
    """Seconds before the same target is tried again; `None`: it is not."""
    retry = state.targets[live.at].retry
    failure = event.failure
    tries = retry.same_target
    if tries is None:  # none while another target is left, one at the last
        last = state.at + 1 >= len(state.targets) or state.different >= state.route.max_attempts
        tries = int(last)
    if live.again >= tries or not failure.verdict.again or not event.may_retry:
        return None
    asked = failure.retry_after or 0.0
    if asked > retry.patience:
        return None
    wait = asked or BACKOFF * 2.0**live.again * event.jitter
    return wait if wait < event.left else None


def _give_up(state: State) -> Step:
    # What a target could not have been asked at all is told only where none was asked: others may do another time.
    asked = [one for one in state.failures if one.kind is not FailureKind.UNSUPPORTED or one.status is not None]
    failure = most_useful(asked or state.failures)
    if failure is None:
        failure = Failure(FailureKind.NOT_AVAILABLE, f"route '{state.route.name}' has no target to try")
    wait = wait_named(state.failures) if failure.verdict.status in (429, 503) else None
    return _over(state, Refuse(failure, wait))


def _ended_early(state: State, ended: Ended, failure: Failure) -> Step:
    """From outside: the client left, or the time is over."""
    gone = ended is Ended.CANCELLED
    sent = state.phase in (Phase.COMMITTED, Phase.MENDING)
    commands: list[Command] = []
    for live in state.live:
        how = Ended.CUT if state.phase is Phase.COMMITTED and not gone else ended
        commands += (Abort(live.number), Record(live.number, how, failure))
    last: Command = Vanish() if gone else Break(failure) if sent else Refuse(failure, None)
    return _over(state, *commands, last)
