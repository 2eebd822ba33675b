"""How an exchange sends: to the target that the machine names, by a key that is good, or with a reason not to."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from proxy.core import attempt as machine
from proxy.core.chat import ChatRequest, EmbedRequest
from proxy.core.dialect import Prepared
from proxy.core.failure import Failure, FailureKind
from proxy.core.outcome import How
from proxy.core.plan import able_first, away, cannot, fallen_ill
from proxy.core.relay import Request
from proxy.core.route import Target, Unsupported
from proxy.core.seam import Seam
from proxy.engine.attempt import Attempt
from proxy.engine.lane import Lane
from proxy.engine.timed import Timed

if TYPE_CHECKING:
    from proxy.engine.keys import BackendKey
    from proxy.engine.mending import Mending

_FRESH = How.FRESH  # reading a member off its class costs 0.13 us in Python 3.11

FULL = Failure(FailureKind.BUSY, "our queue for this model is full", retry_after=1.0)


class Sending(Timed):
    """The part of an `Exchange` that sends its attempts."""

    request: ChatRequest | EmbedRequest
    estimates = True
    """Where nobody reports tokens, they are estimated."""
    endpoint = ""
    """Its word in metrics and log, where the request does not say it."""
    _made: type[Attempt] = Attempt
    _unsent = 0
    """Numbers that the machine gave to attempts which were never sent."""
    _anyway = False
    """None of the plan's targets is well: they are tried all the same."""
    _mending: Mending | None = None
    _spoiled: tuple[BackendKey, ...] = ()
    """Keys that were refused something in this request: it does not try them again elsewhere."""

    @property
    def tries(self) -> int:
        """Attempts that were sent, the one that is about to be sent included."""
        return self._state.sends - self._unsent

    def _send(self, command: machine.Send) -> None:
        number, target, how = command
        lane = self.road.lanes[target.name]
        now = time.monotonic()
        trouble = self.engine.trouble.get(target.name)
        if trouble is not None and not (self._anyway or self._state.live[-1].again):
            ill = fallen_ill(trouble, now, going_on=how is not _FRESH)
            if ill is not None:
                self._not_sent(number, ill)
                return
        if lane.ring is not None:
            keyed = self._with_key(lane, now)
            if keyed is None:
                self._not_sent(number, self.engine.all_rest(lane, now))
                return
            lane = keyed
        request = self.request
        seam: Seam | None = None
        if how is not _FRESH:
            assert self._mending is not None
            request, seam = self._mending.resume(how, lane)
        prepared = lane.prepare(request)
        if isinstance(prepared, Failure):
            self._not_asked(number, prepared, now)
            return
        if prepared[2] and self._goes_elsewhere(command, prepared, now):
            return
        self._go(command, lane, request, seam, prepared, now)

    # Which key ---------------------------------------------------------------------------------------------------

    def _with_key(self, lane: Lane, now: float) -> Lane | None:
        """The target by the key whose turn it is. Where it is to be tried all the same, the best of the bad ones."""
        ring = lane.ring
        assert ring is not None
        place = ring.take(now, self._spoiled)
        if place is None:
            again = bool(self._state.live[-1].again)
            stands = self.engine.trouble.get(lane.target.name)
            if again or self._anyway or (stands is not None and stands.foretold):
                place = ring.soonest(asked=again)
        return None if place is None else lane.keyed[place]

    def _spoil(self, lane: Lane, failure: Failure, now: float) -> tuple[int, Failure]:
        """This key failed. How many others there are, if one of them is good; and the failure, with the shortest time
        that any of them takes."""
        assert lane.ring is not None and lane.key is not None
        self._spoiled = (*self._spoiled, lane.key)
        if lane.ring.good(now, self._spoiled):
            return len(lane.ring) - 1, failure
        wait = lane.ring.wait(now, lane.key)
        if failure.retry_after is not None and wait < failure.retry_after:
            failure = failure._replace(retry_after=wait)
        return 0, failure

    # What a target cannot express --------------------------------------------------------------------------------

    def _goes_elsewhere(self, command: machine.Send, prepared: Prepared, now: float) -> bool:
        """The target cannot express all of the request: what follows is the route's to say (`unsupported`)."""
        state, policy = self._state, self.road.route.unsupported
        if policy is Unsupported.REFUSE:
            self._not_asked(command.number, cannot(prepared.unsupported), now)
            return True
        if policy is Unsupported.DROP or command.how is not _FRESH:
            return False
        at = state.live[-1].at
        order = able_first(state.targets, at, self._able)
        if order is state.targets:
            return False
        self._state = state._replace(targets=order)
        self._send(command._replace(target=order[at]))
        return True

    def _able(self, target: Target) -> bool:
        prepared = self.road.lanes[target.name].prepare(self.request)
        return not isinstance(prepared, Failure) and not prepared.unsupported

    def _may_hedge(self) -> bool:
        """Not with less than the first target can express: the race is for the answer that was asked for."""
        if self.road.route.unsupported is not Unsupported.NEXT:
            return True
        state = self._state
        return any(map(self._able, state.targets[state.at + 1 :])) or not self._able(state.targets[state.at])

    def _not_asked(self, number: int, failure: Failure, now: float) -> None:
        """The target cannot be asked this. Where one that could is out of order, that is what keeps the request."""
        road = self.road
        route = road.vectors if isinstance(self.request, EmbedRequest) else road.route
        self._not_sent(number, away(route, self.engine.trouble, self._able, now) or failure)

    # Out ---------------------------------------------------------------------------------------------------------

    def _go(
        self,
        command: machine.Send,
        lane: Lane,
        request: Request,
        seam: Seam | None,
        prepared: Prepared,
        now: float,
    ) -> None:
        number, target, how = command
        if not lane.enter():
            self._not_sent(number, FULL)
            return
        admission = self.engine.admission
        if admission is not None:
            failure = admission.reserve(self, lane, number, now)  # type: ignore[arg-type]  # it is one
            if failure is not None:
                lane.leave()
                self._not_sent(number, failure)
                return
        attempt = self._made(self, request, lane, number, now, prepared, how, seam)  # type: ignore[arg-type]  # it is one
        attempt.unsent = self._unsent
        if self._mending is not None and how is not _FRESH:
            attempt.from_ = len(self._mending.story.text)
        self._live[number] = attempt
        self._attempt = attempt
        if self._paused:
            self._paused = False
        self.engine.on_send(target.name, now)
        self.look_at(now + lane.soonest)
        hedge = self._state.route.hedge
        if hedge is not None and number == 1 + self._unsent:
            self._hedge_at = now + (self.engine.p95(target.name) if hedge.after is None else hedge.after)
            self.look_at(self._hedge_at)
        attempt.start()

    def _not_sent(self, number: int, failure: Failure) -> None:
        self._unsent += 1
        self._feed(machine.Full(number, failure))
