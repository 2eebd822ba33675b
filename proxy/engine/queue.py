"""Where requests wait for a place: woken when one is free or a window opens, never polled.

A request waits for targets (all that could serve it are full) or, before that, to be let in (the limit of its key, its
route or of all is reached). Whose turn it is says `core/limiting/fair.py`; one is called in each round of the event
loop, so that an error of one cannot keep the others.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Hashable, Mapping
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from proxy.core.failure import Failure, FailureKind
from proxy.core.health import Health
from proxy.core.limiting.departures import Departures
from proxy.core.limiting.fair import Fair, Ticket
from proxy.core.limiting.meter import Meter
from proxy.core.limiting.values import Queue
from proxy.engine.lane import Lane
from proxy.engine.scopes import Held, Scope

if TYPE_CHECKING:
    from proxy.engine.exchange import Exchange

BUSY = frozenset({FailureKind.RATE_LIMITED, FailureKind.OVERLOADED})
"""What an upstream asks for time because of."""
DRAINING = Failure(
    FailureKind.DRAINING, "The gateway is shutting down: the request was still waiting.", retry_after=1.0, ours=True
)


class Door(NamedTuple):
    """What the requests of one line wait for: to be let in by all of these scopes, or to go to one of these lanes.
    Those of the same line have the same scopes, or lanes with the same gates."""

    scopes: tuple[Scope, ...]
    lanes: tuple[Lane, ...]


class Waiting:
    """The queue of one process."""

    def __init__(self, meters: Callable[[Lane], tuple[Meter, ...]], trouble: Mapping[str, Health]) -> None:
        """`meters`: the rate limits of a lane's target and backend. `trouble`: see `Healths`."""
        self._trouble = trouble
        self._meters = meters
        self._fair: Fair[Exchange] = Fair()
        self.doors: dict[Hashable, Door] = {}
        """By line, of those in which somebody waits."""
        self._moved = Departures(0.0, 0.0)
        self._passed: set[Hashable] = set()
        """Lines whose next one could not use its turn, until something happens."""
        self._soon: asyncio.Handle | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.called: Exchange | None = None
        """Whose turn it is at this moment, to go to a target."""
        self._turned: Ticket[Exchange] | None = None
        """By which."""
        self.draining = False
        self.on_left: Callable[[str, float, str], None] | None = None
        """Told of each that waits no more: (priority, seconds, how: `served`, `late`, `left` or `drained`)."""

    def __len__(self) -> int:
        return len(self._fair)

    def depth(self, priority: str) -> int:
        """How many of a priority wait."""
        return sum(ticket.flow[1] == priority for ticket in self._fair)

    # In --------------------------------------------------------------------------------------------------------------

    def join(
        self,
        exchange: Exchange,
        held: Held,
        queue: Queue,
        weight: float,
        line: Hashable,
        door: Door,
        *,
        opens: float,
        otherwise: Failure,
    ) -> Failure | None:
        """It waits; or why not. `opens`: seconds until there can be room at the earliest, as far as is known;
        `otherwise`: what it is told where that is too late."""
        now = time.monotonic()
        if self.draining:
            return DRAINING
        before = self._turned if exchange is self.called else None
        if before is None:
            priority = exchange.priority
            class_ = queue.of(priority)
            held.until = min(held.until, now + class_.wait)
            if now + opens > held.until:
                return otherwise
            route = exchange.road.route.name
            if len(self._fair) >= queue.size or self._fair.held(route, priority) >= class_.size:
                return self._full(exchange, now)
            flow = (exchange.key, priority)
            ticket = Ticket(exchange, line, flow, weight * class_.weight, now, held.until)
            ticket.places = route
        else:
            ticket = before
            ticket.line = line
        held.ticket = ticket
        if not len(self._fair):
            self._moved = Departures(now, now)
        self.doors[line] = door
        self._fair.join(ticket, back=before is not None)
        self._mark(door, 1)
        if before is not None:
            self._passed.add(line)
        else:
            self.wake()
        exchange.wait_until(held.until)
        return None

    def _full(self, exchange: Exchange, now: float) -> Failure:
        wait = self._moved.wait(len(self._fair), now)
        told = f"Too many requests are waiting for route '{exchange.road.route.name}' ({len(self._fair)} in all)."
        return Failure(FailureKind.BUSY, told, retry_after=wait, ours=True)

    @staticmethod
    def _mark(door: Door, by: int) -> None:
        for scope in door.scopes:
            scope.waiting += by
        for lane in door.lanes:
            lane.gates[0].waiting += by

    # Out -------------------------------------------------------------------------------------------------------------

    def leave(self, held: Held, how: str) -> None:
        """It waits no more: its place in the queue is free at once."""
        ticket = held.ticket
        assert ticket is not None
        self._mark(self.doors[ticket.line], -1)
        self._fair.leave(ticket)
        self._over(held, ticket, how)
        self.wake()

    def _over(self, held: Held, ticket: Ticket[Exchange], how: str) -> None:
        held.ticket = None
        waited = time.monotonic() - ticket.since
        held.queued += waited
        if not self._fair.heads(ticket.line):
            del self.doors[ticket.line]
        if self.on_left is not None:
            self.on_left(ticket.flow[1], waited, how)

    def late(self, exchange: Exchange, held: Held) -> Failure:
        """It has waited for as long as it may: why that was in vain."""
        ticket = held.ticket
        assert ticket is not None
        now = time.monotonic()
        door = self.doors[ticket.line]
        self.leave(held, "late")
        wait = self._moved.wait(len(self._fair), now)
        for scope in door.scopes:
            if scope.full or scope.wait(held.tokens, now) > 0:
                failure = scope.refusal(held.tokens, now)
                return failure._replace(retry_after=max(failure.retry_after or 0.0, wait))
        told = f"No place for route '{exchange.road.route.name}' within {now - ticket.since:.3g} s: all are taken."
        return Failure(FailureKind.BUSY, told, retry_after=wait, ours=True)

    def departed(self, now: float) -> None:
        """A place became free, or something that was held: it may be somebody's turn."""
        self._moved = self._moved.after(now)
        self.wake()

    def drain(self) -> None:
        """The process is about to end: nobody waits any longer."""
        self.draining = True
        for ticket in list(self._fair):
            held = ticket.item.held
            assert held is not None
            self.leave(held, "drained")
            ticket.item.refuse(DRAINING)

    # Turns -----------------------------------------------------------------------------------------------------------

    def wake(self) -> None:
        """Something has changed: look whose turn it is, soon."""
        self._passed.clear()
        if self._soon is None and len(self._fair):
            self._soon = asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        self._soon = None
        now = time.monotonic()
        ticket = self._fair.next(self._open, lambda ticket: self._fits(ticket, now))
        if ticket is None:
            self._watch(now)
            return
        self._soon = asyncio.get_running_loop().call_soon(self._turn)  # before it is called: it may raise
        held = ticket.item.held
        if self.doors[ticket.line].scopes and held is not None and not held.claim(now):
            self._fair.join(ticket, back=True)  # other workers have let somebody in meanwhile
            return
        self._call(ticket, now)

    def _open(self, line: Hashable) -> bool:
        if line in self._passed:
            return False
        lanes = self.doors[line].lanes
        return not lanes or any(not any(gate.full for gate in lane.gates) for lane in lanes)  # the rest: `_fits`

    def _fits(self, ticket: Ticket[Exchange], now: float) -> bool:
        held = ticket.item.held
        return held is not None and self._opens(self.doors[ticket.line], held.tokens, now) == 0

    def _opens(self, door: Door, tokens: float, now: float) -> float:
        """Seconds until there is room; infinite: when somebody leaves."""
        if door.scopes:
            return max(inf if scope.full else scope.wait(tokens, now) for scope in door.scopes)
        return min((self.opens(lane, tokens, now) for lane in door.lanes), default=inf)

    def opens(self, lane: Lane, tokens: float, now: float) -> float:
        """Seconds until a lane has room; infinite: when somebody leaves."""
        for gate in lane.gates:
            if gate.limit is not None and gate.busy >= gate.limit:
                return inf
        longest = max((meter.wait(tokens, now) for meter in self._meters(lane)), default=0.0)
        health = self._trouble.get(lane.target.name)
        if health is None or health.foretold or health.cause not in BUSY or health.opened:
            return longest
        return max(longest, health.cool_until - now)

    def _call(self, ticket: Ticket[Exchange], now: float) -> None:
        exchange = ticket.item
        held = exchange.held
        assert held is not None
        door = self.doors[ticket.line]
        self._mark(door, -1)
        held.ticket = None
        exchange.call(now)
        if door.scopes:
            self._over(held, ticket, "served")
            held.enter(now)
            exchange.set_out()
            return
        self.called, self._turned = exchange, ticket
        try:
            exchange.set_out()
        finally:
            self.called = self._turned = None
            if held.ticket is None:
                self._over(held, ticket, "served")

    def _watch(self, now: float) -> None:
        """Nobody's turn: set the timer for the first window that opens."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        soonest = inf
        for line in self._fair.lines:
            for ticket in self._fair.heads(line)[:16]:
                held = ticket.item.held
                wait = self._opens(self.doors[line], held.tokens if held is not None else 0.0, now)
                soonest = min(soonest, wait or inf)
        if soonest < inf:
            self._timer = asyncio.get_running_loop().call_later(soonest, self.wake)
