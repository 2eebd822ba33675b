"""The times of an exchange: looked at now and then by the engine, since an event of a stream only notes its time."""

from __future__ import annotations

from abc import abstractmethod
from math import inf
from typing import TYPE_CHECKING

from proxy.core import attempt as machine
from proxy.core.failure import Failure, FailureKind
from proxy.engine.attempt import Attempt
from proxy.engine.caller import Caller
from proxy.engine.clock import due, stalled
from proxy.engine.lane import Road

if TYPE_CHECKING:
    from proxy.engine.engine import Engine

LATE = Failure(FailureKind.TOTAL_TIMEOUT, "the request's total time is over")
SLOW = Failure(FailureKind.STALLED, "the upstream dribbles")


class Timed:
    """The part of an `Exchange` that watches its times, keeps its client awake, and hedges."""

    engine: Engine
    road: Road
    stream: bool
    deadline: float
    due: float
    """When to look at the times again."""
    _caller: Caller
    _live: dict[int, Attempt]
    _said: float
    """When the client last got a comment."""
    _state: machine.State
    _attempt: Attempt | None = None
    """The one that answers, or was sent last."""
    _hedge_at: float | None = None
    _waits_until = inf
    """In the queue it waits no longer than that."""
    _paused = False

    @property
    @abstractmethod
    def over(self) -> bool:
        """It has ended, one way or another."""

    @abstractmethod
    def _may_hedge(self) -> bool: ...

    @abstractmethod
    def _feed(self, event: machine.Event) -> None: ...

    def look_at(self, when: float) -> None:
        """Look at the times again then at the latest."""
        self.due = min(self.due, when)

    def wait_until(self, when: float) -> None:
        """It waits in the queue until then at the longest; infinite: it waits no more."""
        self._waits_until = when
        self.look_at(when)

    def tick(self, now: float) -> None:
        """Called by the engine when `due` is past."""
        if self.over:
            return
        attempt = self._attempt
        if now >= self.deadline:
            if attempt is not None and not attempt.over and attempt.complete():
                attempt.finish_now()
            if not self.over:
                self._feed(machine.Deadline(LATE))
            return
        if now >= self._waits_until and self.engine.admission is not None:
            self.engine.admission.late(self)  # type: ignore[arg-type]  # every one is an `Exchange`
            return
        self.due = min(self.deadline, self._waits_until)
        self._hedge(now)
        for live in list(self._live.values()):
            self._watch(live, now)
        if self.stream and not self.over:
            self._keep_alive(now)

    def _watch(self, attempt: Attempt, now: float) -> None:
        if attempt.over:
            return
        route = self.road.route
        when, failure = due(attempt, stream=self.stream, paused=self._paused, exact_within=route.exact_within)
        if now < when:
            # Content may come, or the client catch up, at any time: from then on `idle` runs.
            self.look_at(min(when, now + attempt.lane.target.timeouts.idle))
            if route.min_rate is not None and not self._paused:
                self.look_at(now + 1.0)
                if stalled(attempt, now, route.min_rate):
                    attempt.time_out(SLOW)
        elif failure is None:
            attempt.finish_now()
        else:
            attempt.time_out(failure)

    def _hedge(self, now: float) -> None:
        if self._hedge_at is None or self._state.phase is not machine.Phase.LIVE:
            return
        if now < self._hedge_at:
            self.look_at(self._hedge_at)
            return
        self._hedge_at = None
        hedge = self._state.route.hedge
        if hedge is not None and self._may_hedge() and self.engine.may_hedge(self.road.route, now):
            before = self._state.sends
            self._feed(machine.HedgeDue())
            if self._state.sends > before:
                self.engine.hedged(self.road.route, now)
                if self._state.hedges < hedge.max:
                    self._hedge_at = now + (hedge.after or self.engine.p95(self._state.targets[self._state.at].name))
                    self.look_at(self._hedge_at)

    def _awaited(self) -> str:
        """How far a place is that an attempt waits for, or that it waits for one itself."""
        if self._waits_until < inf:
            return "waiting for a place"
        attempt = self._attempt
        waits = attempt is not None and not attempt.over and attempt.sent_at is None
        return attempt.lane.place.state().progress if waits and attempt is not None else ""

    def _keep_alive(self, now: float) -> None:
        """A comment for a client that had nothing for some time, so that neither it nor what is between hangs up."""
        quiet = self._said
        if self._attempt is not None and self._attempt.committed:
            quiet = max(quiet, self._attempt.last)
        patience = self.road.route.keep_alive
        if now >= quiet + patience:
            self._said = quiet = now
            if not self._paused:  # else it has more to read already than it takes
                self._caller.comment(self._awaited())
        self.look_at(quiet + patience)
