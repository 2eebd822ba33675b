"""One request of the simulation, carried by the machine that carries live ones (proxy/core/attempt.py)."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from proxy.core import attempt as machine
from proxy.core.choice.choose import Choice, refused
from proxy.core.failure import Failure, FailureKind
from proxy.core.outcome import Ended, How, Outcome
from proxy.core.plan import asked_for_time, fallen_ill, to_go_on
from proxy.core.route import OnCut, Target
from proxy.core.usage import Usage
from proxy.core.ways import Partial, Way, ways
from proxy.engine.keys import OF_THE_KEY
from proxy.engine.limiter import REFUSED, TAKES_LIKE
from proxy.simulate.course import Course, Spot
from proxy.simulate.entering import AGAIN, CONTENT, ENDS, HEDGE, LATE, LEAVES, OPENS, TIRED, Entering
from proxy.simulate.fate import Fate, partly
from proxy.simulate.money import UNPAID
from proxy.simulate.record import Asking
from proxy.simulate.world import World

FULL = Failure(FailureKind.BUSY, "no place is free")
TOO_LATE = Failure(FailureKind.TOTAL_TIMEOUT, "the request's total time is over")
_FAILED = {kind: Failure(kind, "as on record") for kind in FailureKind}
_WHOLE = Partial(0, True, False, 1)
"""What is taken to be so of every answer that is cut: it is one choice of text, since the record does not say."""
_FRESH = How.FRESH
ROUNDING = 1e-5
"""Seconds: a difference of two moments in Unix time is not exact, and may not cost an answer its last tokens."""


class Flight(NamedTuple):
    """An attempt under way."""

    spot: Spot
    fate: Fate
    began: float
    how: How


class Journey(Entering):
    """Told of its times by `Run`."""

    __slots__ = ("_anyway", "_choice", "_content", "_flights", "_given", "_purse", "_served")

    def __init__(self, world: World, course: Course, one: Asking) -> None:
        super().__init__(world, course, one)
        self._flights: dict[int, Flight] = {}
        self._given = 0
        """Tokens of the answer that the client has from attempts that were cut."""
        self._content: float | None = None
        """When the client got its first content."""
        self._served = ""
        """The target that gave the end of the answer."""
        self._anyway = False
        self._choice: Choice | None = None
        self._purse = None if world.money is None else world.money.purse(one)

    def _set_out(self) -> None:
        world, course = self._world, self._course
        route = course.route
        asked = course.asked(self._one)
        if route.policy is None and asked.plain and not (world.trouble or world.closed) and route.targets:
            self._state, commands = course.usual.begun
            self._run(commands)
            return
        self._choice = choice = world.choose(course, asked)
        chosen = choice.plan
        if choice.left_out:
            names = {target.name for target in chosen.targets} | {one.target.name for one in chosen.skipped}
            route = course.among(tuple(target for target in route.targets if target.name in names))
        self._anyway = chosen.anyway
        waits = asked_for_time(chosen, world.now) if chosen.skipped else ()
        self._state = machine.State(route, chosen.targets, failures=waits)
        if chosen.targets:
            self._feed(machine.Begin())
        else:
            failure = refused(route, choice, world.now)
            self._state = self._state._replace(phase=machine.Phase.OVER)
            self._run((machine.Refuse(failure, failure.retry_after),))

    def happens(self, what: int, number: int) -> None:
        """It is time."""
        if what == OPENS:
            if self._world.limits is not None:
                self._world.limits.wake()
            return
        if self._waits and what in (TIRED, LEAVES):
            self._gives_up(what)
        if self._state.phase is machine.Phase.OVER or what == TIRED:
            return
        if what == ENDS:
            flight = self._flights.get(number)
            if flight is not None:
                self._ends(number, flight)
        elif what == CONTENT:
            if number in self._flights:
                self._commits(number)
        elif what == AGAIN:
            self._feed(machine.WaitOver())
        elif what == HEDGE:
            self._hedge()
        else:
            self._feed(machine.Gone() if what == LEAVES else machine.Deadline(TOO_LATE))

    # What happens -------------------------------------------------------------------------------------------------

    def _ends(self, number: int, flight: Flight) -> None:
        fate = flight.fate
        if fate.failure is None:
            if self._content is None and fate.first is not None:
                self._content = flight.began + fate.first
            self._feed(machine.Served(number))
            return
        if fate.cut and self._one.stream:
            self._commits(number)
        world = self._world
        found: tuple[Way, ...] = ()
        if self._state.phase is machine.Phase.COMMITTED:
            self._given += 0 if fate.usage is None else fate.usage.output
            found = self._ways(flight, fate.failure)
        left = self._deadline - world.now
        failure = _FAILED[fate.failure]
        keys = flight.spot.more_keys if fate.failure in OF_THE_KEY else 0
        self._feed(machine.Failed(number, failure, left, world.random.random(), world.may_retry(), found, keys))

    def _commits(self, number: int) -> None:
        flight = self._flights[number]
        if self._content is None and flight.fate.first is not None:
            self._content = flight.began + flight.fate.first
        self._feed(machine.Committed(number))

    def _ways(self, flight: Flight, failure: FailureKind) -> tuple[Way, ...]:
        world, route = self._world, self._state.route
        if route.on_cut is not OnCut.CONTINUE:
            return ()
        targets, ill = to_go_on(route, world.trouble, world.now)
        prefills = {name for name, spot in world.spots.items() if spot.prefills}
        return ways(route, targets, flight.spot.target, failure, {}, _WHOLE, prefills, (), ill)

    def _hedge(self) -> None:
        world, state = self._world, self._state
        hedge = state.route.hedge
        if hedge is None or state.phase is not machine.Phase.LIVE or not world.may_hedge(state.route):
            return
        self._feed(machine.HedgeDue())
        if self._state.sends > state.sends:
            world.hedged(state.route)
            if self._state.hedges < hedge.max:
                after = hedge.after or world.p95(self._state.targets[self._state.at].name)
                world.at(world.now + after, self, HEDGE)

    # What is to be done -------------------------------------------------------------------------------------------

    def _feed(self, event: machine.Event) -> None:
        self._state, commands = machine.step(self._state, event)
        if commands:
            self._run(commands)

    def _run(self, commands: tuple[machine.Command, ...]) -> None:
        for command in commands:
            if isinstance(command, machine.Send):
                self._send(command)
            elif isinstance(command, machine.Record):
                self._record(*command)
            elif isinstance(command, machine.Wait):
                self._world.retried()
                self._world.at(self._world.now + command.seconds, self, AGAIN)
            elif not isinstance(command, machine.Abort):
                self._close(command)

    def _send(self, command: machine.Send) -> None:
        number, target, how = command
        world, one = self._world, self._one
        now, name = world.now, target.name
        trouble = world.trouble.get(name)
        if trouble is not None and not (self._anyway or self._state.live[-1].again):
            ill = fallen_ill(trouble, now, going_on=how is not _FRESH)
            if ill is not None:
                self._feed(machine.Full(number, ill))
                return
        spot = world.spots[name]
        short = FULL if spot.full else self._reserve(target, number)
        if short is not None:
            self._feed(machine.Full(number, short))
            return
        spot.enter()
        route = self._course.route
        fate = world.fates.of(one, target, route.name, how, self._sent.count((name, how)), now, self._given)
        self._flights[number] = Flight(spot, fate, now, how)
        self._sent.append((name, how))
        if trouble is not None:
            world.on_send(name)
        ends = now + fate.took
        over, what = (one.leaves, LEAVES) if one.leaves < self._deadline else (self._deadline, LATE)
        if over < ends:
            world.at(over, self, what)
        else:
            world.at(ends, self, ENDS, number)
        hedge = route.hedge
        if hedge is not None:
            if one.stream and fate.first is not None and now + fate.first < over:
                world.at(now + fate.first, self, CONTENT, number)
            if number == 1:
                world.at(now + (world.p95(name) if hedge.after is None else hedge.after), self, HEDGE)

    def _reserve(self, target: Target, number: int) -> Failure | None:
        world, held = self._world, self._held
        if world.limits is not None and held is not None:
            failure = world.limits.reserve(held, target, number, world.now)
            if failure is not None:
                return failure
        if world.money is None or self._purse is None:
            return None
        more = self._given if number > 1 else 0
        failure = world.money.reserve(
            self._purse, self._one.key, self._course.route.name, target, number, more, world.now
        )
        if failure is not None and held is not None:
            held.release(number)
        return failure

    def _record(self, number: int, ended: Ended, failure: Failure | None) -> None:
        flight = self._flights.pop(number)
        world, one, fate = self._world, self._one, flight.fate
        spot, target = flight.spot, flight.spot.target
        spot.leave()
        if ended is Ended.SERVED:
            self._served = target.name
        took = world.now - flight.began
        if abs(took - fate.took) < ROUNDING:
            took = fate.took
        usage = partly(fate, one, took) if took < fate.took and ended is not Ended.FAILED else fate.usage
        cost = world.fates.cost(fate, target, usage)
        first = fate.first if ended is not Ended.FAILED and fate.first is not None and fate.first <= took else None
        kind = None if failure is None else failure.kind
        of_key = spot.more_keys and kind in OF_THE_KEY  # that says nothing of the target
        world.on_end(target.name, ended, None if of_key else kind, flight.began)
        route = self._course.route
        if route.hedge is not None and first is not None:
            world.note_latency(target.name, first)
        if self._choice is not None:
            outcome = self._outcome(flight, number, ended, kind, usage, first, cost)
            world.learn(self._course, outcome, spot, self._choice.strategy)
        if self._purse is not None:
            self._purse.settle(number, ended, kind, cost)
        limits = world.limits
        if spot.adapts:
            self._learn(flight, ended, kind, first, usage)
        if limits is not None and self._held is not None:
            limits.settle(self._held, number, usage)
            self._stir(limits)
        paid = usage is not None or ended is not Ended.FAILED
        world.tally.attempt(target.name, ended, cost, first, took, paid=paid)

    def _learn(
        self, flight: Flight, ended: Ended, kind: FailureKind | None, first: float | None, usage: Usage | None
    ) -> None:
        """Its place learns how many there may be."""
        one, refused_there = self._one, kind in REFUSED
        if not refused_there and (ended is not Ended.SERVED or first is None):
            return
        seconds = first or 0.0
        if not one.stream:
            seconds /= TAKES_LIKE + (0 if usage is None else usage.output)
        flight.spot.learn(seconds, flight.began, self._world.now, stream=one.stream, refused=refused_there)

    def _outcome(
        self,
        flight: Flight,
        number: int,
        ended: Ended,
        kind: FailureKind | None,
        usage: Usage | None,
        first: float | None,
        cost: Decimal | None,
    ) -> Outcome:
        one, target = self._one, flight.spot.target
        sent = flight.began - one.at
        return Outcome(
            request_id="",
            attempt=number,
            route=self._course.route.name,
            target=target.name,
            backend=target.backend,
            ended=ended,
            failure=kind,
            status=None,
            stream=one.stream,
            started_at=one.at,
            sent=sent,
            first_byte=None,
            first_content=None if first is None else sent + first,
            last=self._world.now - one.at,
            usage=usage,
            price=target.price,
            cost=cost,
            maybe_billed=False,
            key=one.key,
            model="",
            how=flight.how,
        )

    def _close(self, command: machine.Deliver | machine.Refuse | machine.Break | machine.Vanish) -> None:
        world, one = self._world, self._one
        if isinstance(command, machine.Refuse) and self._waits_for_place(command.failure):
            return
        if world.limits is not None:
            self._over(world.limits)
        if not isinstance(command, machine.Deliver):
            unpaid = isinstance(command, machine.Refuse) and command.failure.kind in UNPAID
            world.tally.unanswered(left=isinstance(command, machine.Vanish), refused=not self._sent, unpaid=unpaid)
            return
        total = world.now - one.at
        first = total if self._content is None else self._content - one.at
        world.tally.answered(self._served, self._sent[0][0], first, total)
