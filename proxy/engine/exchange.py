"""One request on its way: carries out the machine's commands and feeds it what happens."""

from __future__ import annotations

import asyncio
import random
import time
from decimal import Decimal
from typing import TYPE_CHECKING

from proxy.core import attempt as machine
from proxy.core.call import Headers
from proxy.core.chat import ChatRequest, Completion, Embedding, EmbedRequest
from proxy.core.failure import Failure
from proxy.core.limits import wait_ahead
from proxy.core.outcome import Ended, How
from proxy.core.route import OnCut
from proxy.core.ways import Way
from proxy.engine.account import finish_of, outcome_of
from proxy.engine.attempt import Attempt
from proxy.engine.caller import NOBODY, Caller, Won
from proxy.engine.costs import with_cost
from proxy.engine.keys import OF_THE_KEY
from proxy.engine.lane import Road
from proxy.engine.mending import Mending, holds_structure
from proxy.engine.records import OnRecord

if TYPE_CHECKING:
    from proxy.core.limiting.values import Rooms
    from proxy.engine.engine import Engine
    from proxy.engine.story import Story

DRAIN = 1.0
"""Seconds that an upstream may take to end its response after the answer's own end marker, to keep its connection."""

_new = tuple.__new__  # a third of what the class's own `__new__` costs, which is a Python function
_SERVED = Ended.SERVED  # reading a member off its class costs 0.13 us in Python 3.11


class Exchange(OnRecord):
    """Created for each request; `start`, then told of `gone` and `ready` by the client's side."""

    # Attributes of the class that stand for "not yet" or "not so": an instance sets only what is otherwise.
    holds = False
    """Nothing is sent until the answer is complete."""
    holds_tools = False
    _wait: asyncio.TimerHandle | None = None
    _spent: Decimal | None = None
    _last_cost: Decimal | None = None

    def __init__(
        self,
        engine: Engine,
        road: Road,
        request: ChatRequest | EmbedRequest,
        caller: Caller,
        request_id: str,
        key: str,
    ) -> None:
        self.engine = engine
        self.road = road
        self.request = request
        self.request_id = request_id
        self.key = key
        self.stream = isinstance(request, ChatRequest) and request.stream
        self.began = time.monotonic()
        self.started_at = time.time()
        self.deadline = self.began + road.total
        self.due = self.deadline
        """When to look at the times again."""
        self._caller = caller
        self._live: dict[int, Attempt] = {}
        self._said = self.began
        """When the client last got a comment."""
        if request.wish is not None or engine.key_tags:
            self._belongs(request.wish, engine.key_tags.get(key, ()))
        if self.stream:
            self._for_stream()

    def _for_stream(self) -> None:
        route = self.road.route
        assert isinstance(self.request, ChatRequest)
        self.holds_tools = route.hold_tools
        self.holds = route.on_cut is OnCut.HOLD or (route.hold_tools and holds_structure(self.request.body))
        if route.on_cut is OnCut.CONTINUE and route.max_continuations:
            self._mending = Mending(self.request)
        self.look_at(self.began + route.keep_alive)

    @property
    def reply_model(self) -> str | None:
        """The name that stands as `model` in the answer, where it is not the upstream's."""
        route = self.road.route
        return route.name if route.reply_model_is_route else None

    @property
    def over(self) -> bool:
        """It has ended, one way or another."""
        return self._state.phase is machine.Phase.OVER

    @property
    def story(self) -> Story | None:
        """Where to note what is sent, if it may have to be gone on with."""
        return None if self._mending is None else self._mending.story

    # From the client's side --------------------------------------------------------------------------------------

    def gone(self) -> None:
        """The client left."""
        self._feed(machine.Gone())

    def ready(self) -> None:
        """The client has caught up."""
        if self._paused:
            self._paused = False
            if self._attempt is not None:
                self._attempt.last = time.monotonic()
                self._attempt.resume()

    # From the attempts -------------------------------------------------------------------------------------------

    def commit(self, attempt: Attempt) -> None:
        """The first content of this attempt goes to the client now."""
        going_on = self._state.phase is machine.Phase.MENDING
        if attempt.native:
            self._mending = None  # only the API's own server could go on in its words
        self._attempt = attempt
        self._feed(machine.Committed(attempt.number))
        if not going_on:
            self._caller.open(self._won(attempt, known=False))

    def push(self, data: bytes) -> None:
        """Events for the client."""
        if not self._caller.push(data) and not self._paused and self._attempt is not None:
            self._paused = True
            self._attempt.pause()

    def served(self, attempt: Attempt, *, draining: bool) -> None:
        """The answer is complete. `draining`: its response has not ended yet."""
        if draining:
            asyncio.get_running_loop().call_later(DRAIN, attempt.abort)
        usual = self._usual
        if usual is not None and self._state is usual.begun[0]:
            self._state, commands = usual.served
            self._run(commands)
        else:
            self._feed(machine.Served(attempt.number))

    def failed(self, attempt: Attempt, failure: Failure) -> None:
        """The attempt is over without an answer."""
        now = time.monotonic()
        ways: tuple[Way, ...] = ()
        if self._mending is not None and self._state.phase is machine.Phase.COMMITTED:
            self._mending.was_cut(attempt)
            ways = self._mending.ways(self.road, attempt, failure, self.engine.trouble, now)
        keys = 0
        if attempt.lane.key is not None and failure.kind in OF_THE_KEY:
            keys, failure = self._spoil(attempt.lane, failure, now)
        may = self.engine.may_retry(now)
        self._feed(machine.Failed(attempt.number, failure, self.deadline - now, random.random(), may, ways, keys))

    def foretold(self, attempt: Attempt, headers: Headers) -> None:
        """The upstream answers well, and its headers may say that it will not the next time."""
        wait = wait_ahead(headers, time.time())
        if wait is not None:
            self.engine.foresee(attempt.lane, self.road.route.name, wait, time.monotonic())

    # Commands ----------------------------------------------------------------------------------------------------

    def _feed(self, event: machine.Event) -> None:
        self._state, commands = machine.step(self._state, event)
        if commands:
            self._run(commands)

    def _run(self, commands: tuple[machine.Command, ...]) -> None:
        for command in commands:
            if isinstance(command, machine.Send):
                self._send(command)
            elif isinstance(command, machine.Record):
                self._record(command)
            elif isinstance(command, machine.Deliver):
                self._deliver(command.number)
            elif isinstance(command, machine.Abort):
                attempt = self._live[command.number]
                attempt.note()
                attempt.abort()
            elif isinstance(command, machine.Wait):
                self.engine.retried(time.monotonic())
                loop = asyncio.get_running_loop()
                self._wait = loop.call_later(command.seconds, self._feed, machine.WaitOver())
            else:
                self._close(command)

    def _record(self, command: machine.Record) -> None:
        number, ended, failure = command
        attempt = self._live.pop(number)
        now = time.monotonic()
        lane = attempt.lane
        lane.leave()
        outcome = outcome_of(self, attempt, ended, failure, now)
        engine = self.engine
        engine.on_outcome(outcome, failure, lane, sent=attempt.began, now=now)
        if engine.admission is not None:
            engine.admission.settle(self, number, outcome)
        if self._state.route.hedge is not None:
            self.engine.note_latency(outcome)
        if self.choice is not None:
            self.engine.choices.note(self.road, self.request, outcome, lane, now, self.choice.strategy)
        if outcome.cost is not None:
            self._spent = outcome.cost if self._spent is None else self._spent + outcome.cost
        self._last_cost = outcome.cost
        if self._mending is not None and ended is not Ended.FAILED:
            self._mending.account(attempt, outcome.usage)

    def _deliver(self, number: int) -> None:
        attempt = self._attempt
        assert attempt is not None
        answer = attempt.answer
        self._tell_served()
        if isinstance(answer, Completion | Embedding):
            raw = answer.raw
            if self.road.route.reply_cost and not attempt.native:
                raw = with_cost(raw, attempt.usage, self._last_cost)
            self._caller.whole(raw, self._won(attempt, known=True))
        elif self._mending is not None and attempt.how is not How.FRESH:
            self._caller.close(self._mending.farewell(attempt))
        else:
            self._caller.close()
        self._over(_SERVED, None, 200)

    def _close(self, command: machine.Refuse | machine.Break | machine.Vanish) -> None:
        if isinstance(command, machine.Refuse):
            if not self._waits_again(command.failure):
                self._refused(command.failure, command.retry_after)
        elif isinstance(command, machine.Break):
            attempt = self._attempt
            chars = 0 if attempt is None else attempt.chars
            if self._mending is not None:
                chars = len(self._mending.story.text)
            self._tell(Ended.CUT, command.failure, 200)
            self._caller.broken(command.failure, chars)
            self._over(Ended.CUT, command.failure, 200)
        else:
            self._tell(Ended.CANCELLED, machine.GONE, machine.GONE.verdict.status)
            self._over(Ended.CANCELLED, machine.GONE, machine.GONE.verdict.status)

    def _refused(self, failure: Failure, retry_after: float | None) -> None:
        target = "" if self._attempt is None else self._attempt.lane.target.name
        if self.held is not None:
            failure = failure._replace(room=self.held.bounds.look(time.monotonic()))
        self._tell(Ended.FAILED, failure, failure.verdict.status)
        self._caller.refuse(failure, retry_after, target, self._state.sends - self._unsent)
        self._over(Ended.FAILED, failure, failure.verdict.status)

    def _over(self, ended: Ended, failure: Failure | None, status: int) -> None:
        if self._wait is not None:
            self._wait.cancel()
        attempt = self._attempt
        self._attempt = None  # or each would keep the other until the next garbage collection
        self._caller = NOBODY
        self.engine.leave(self)
        if self.engine.admission is not None:
            self.engine.admission.leave(self)
        self.engine.on_finish(
            finish_of(self, attempt, ended, failure, status, sends=self._state.sends - self._unsent, spent=self._spent)
        )

    def _won(self, attempt: Attempt, *, known: bool) -> Won:
        target = attempt.lane.target
        queued = 0.0
        room: Rooms | None = None
        if self.held is not None:
            bounds, queued = self.held.bounds, self.held.queued
            room = bounds.room if self.began < bounds.room_until else bounds.look(self.began)
        route, attempts = self.road.route.name, self._state.sends - self._unsent
        cost = self._last_cost if known else None
        return _new(Won, (route, target.name, attempts, cost, attempt.dropped, attempt.native, "", "", queued, room))
