"""One request on its way: carries out the machine's commands and feeds it what happens."""

from __future__ import annotations

import asyncio
import random
import time
from decimal import Decimal
from typing import TYPE_CHECKING

from proxy.core import attempt as machine
from proxy.core.chat import ChatRequest, Completion, Embedding, EmbedRequest
from proxy.core.failure import Failure, FailureKind
from proxy.core.outcome import Ended, Finish
from proxy.core.plan import nothing_left, plan
from proxy.core.route import Target
from proxy.engine.account import outcome_of
from proxy.engine.attempt import GRACE, Attempt
from proxy.engine.caller import Caller, Won
from proxy.engine.lane import Road

if TYPE_CHECKING:
    from proxy.engine.engine import Engine

DRAIN = 1.0
"""Seconds that an upstream may take to end its response after the answer's own end marker, to keep its connection."""

FULL = Failure(FailureKind.BUSY, "our queue for this model is full", retry_after=1.0)


class Exchange:
    """Created for each request; `start`, then told of `gone` and `ready` by the client's side."""

    __slots__ = (
        "_attempt",
        "_caller",
        "_last_cost",
        "_paused",
        "_sends",
        "_spent",
        "_state",
        "_wait",
        "began",
        "deadline",
        "due",
        "engine",
        "key",
        "request",
        "request_id",
        "road",
        "started_at",
        "stream",
    )

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
        self._attempt: Attempt | None = None
        self._wait: asyncio.TimerHandle | None = None
        self._paused = False
        self._sends = 0
        self._spent: Decimal | None = None
        self._last_cost: Decimal | None = None
        self._state: machine.State

    @property
    def reply_model(self) -> str | None:
        """The name that stands as `model` in the answer, where it is not the upstream's."""
        route = self.road.route
        return route.name if route.reply_model_is_route else None

    # From the client's side --------------------------------------------------------------------------------------

    def start(self) -> None:
        """Plan, and send the first attempt."""
        route = self.road.route if isinstance(self.request, ChatRequest) else self.road.vectors
        chosen = plan(route, self.engine.trouble, self.began)
        self._state = machine.State(route, chosen.targets)
        self.engine.enter(self)
        if chosen.targets:
            self._feed(machine.Begin())
        else:
            self._refuse(nothing_left(route, chosen, self.began))

    def _refuse(self, failure: Failure) -> None:
        self._state = self._state._replace(phase=machine.Phase.OVER)
        self._run((machine.Refuse(failure, failure.retry_after),))

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

    # From the attempt --------------------------------------------------------------------------------------------

    def commit(self) -> None:
        """The first content goes to the client now."""
        attempt = self._attempt
        assert attempt is not None
        self._state, _ = machine.step(self._state, machine.Committed())
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
        self._feed(machine.Served())

    def failed(self, attempt: Attempt, failure: Failure) -> None:
        """The attempt is over without an answer."""
        left = self.deadline - time.monotonic()
        self._feed(machine.Failed(failure, left, random.random()))

    def look_at(self, when: float) -> None:
        """Look at the times again then at the latest."""
        self.due = min(self.due, when)

    # Commands ----------------------------------------------------------------------------------------------------

    def _feed(self, event: machine.Event) -> None:
        self._state, commands = machine.step(self._state, event)
        if commands:
            self._run(commands)

    def _run(self, commands: tuple[machine.Command, ...]) -> None:
        for command in commands:
            if isinstance(command, machine.Send):
                self._send(command.target)
            elif isinstance(command, machine.Record):
                self._record(command.ended, command.failure)
            elif isinstance(command, machine.Deliver):
                self._deliver()
            elif isinstance(command, machine.Abort):
                if self._attempt is not None:
                    self._attempt.note()
                    self._attempt.abort()
            elif isinstance(command, machine.Wait):
                loop = asyncio.get_running_loop()
                self._wait = loop.call_later(command.seconds, self._feed, machine.WaitOver())
            else:
                self._close(command)

    def _send(self, target: Target) -> None:
        lane = self.road.lanes[target.name]
        if not lane.enter():
            self._feed(machine.Full(FULL))
            return
        now = time.monotonic()
        self._sends += 1
        attempt = Attempt(self, lane, self._sends, now)
        self._attempt = attempt
        self._paused = False
        self.engine.on_send(target.name, now)
        times = target.timeouts
        self.look_at(now + min(times.first, times.idle, times.total))
        attempt.start()

    def _record(self, ended: Ended, failure: Failure | None) -> None:
        attempt = self._attempt
        assert attempt is not None
        now = time.monotonic()
        attempt.lane.leave()
        outcome = outcome_of(self, attempt, ended, failure, now)
        self.engine.on_outcome(outcome, failure, sent=attempt.began, now=now)
        if outcome.cost is not None:
            self._spent = outcome.cost if self._spent is None else self._spent + outcome.cost
        self._last_cost = outcome.cost

    def _deliver(self) -> None:
        attempt = self._attempt
        assert attempt is not None
        answer = attempt.answer
        if isinstance(answer, Completion | Embedding):
            self._caller.whole(answer.raw, self._won(attempt, known=True))
        else:
            self._caller.close()
        self._over(Ended.SERVED, None, 200)

    def _close(self, command: machine.Refuse | machine.Break | machine.Vanish) -> None:
        if isinstance(command, machine.Refuse):
            failure = command.failure
            target = "" if self._attempt is None else self._attempt.lane.target.name
            self._caller.refuse(failure, command.retry_after, target, self._sends)
            self._over(Ended.FAILED, failure, failure.verdict.status)
        elif isinstance(command, machine.Break):
            self._caller.broken(command.failure)
            self._over(Ended.CUT, command.failure, 200)
        else:
            self._over(Ended.CANCELLED, machine.GONE, machine.GONE.verdict.status)

    def _over(self, ended: Ended, failure: Failure | None, status: int) -> None:
        if self._wait is not None:
            self._wait.cancel()
        attempt = self._attempt
        self._attempt = None  # or the two would keep each other until the next garbage collection
        self.engine.leave(self)
        self.engine.on_finish(
            Finish(
                self.request_id,
                self.road.route.name,
                "" if attempt is None else attempt.lane.target.name,
                self._sends,
                status,
                self.stream,
                "chat" if isinstance(self.request, ChatRequest) else "embed",
                self.started_at,
                time.monotonic() - self.began,
                None if attempt is None or attempt.first_content is None else attempt.first_content - self.began,
                ended,
                None if failure is None else failure.kind,
                self._spent,
                self.key,
            )
        )

    def _won(self, attempt: Attempt, *, known: bool) -> Won:
        target = attempt.lane.target
        return Won(
            self.road.route.name,
            target.name,
            self._sends,
            self._last_cost if known else None,
            attempt.dropped,
        )

    # Time --------------------------------------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """Called by the engine when `due` is past: an event of a stream only notes its time."""
        attempt = self._attempt
        if now >= self.deadline:
            if attempt is not None and attempt.done_at is not None and not attempt.over:
                attempt.finish_now()
            else:
                self._feed(machine.Deadline(Failure(FailureKind.TOTAL_TIMEOUT, "the request's total time is over")))
            return
        self.due = self.deadline
        if attempt is None or attempt.over:
            return
        due, failure = self._due(attempt)
        if now < due:
            # Content may come, or the client catch up, at any time: from then on `idle` runs.
            self.look_at(min(due, now + attempt.lane.target.timeouts.idle))
        elif failure is None:
            attempt.finish_now()
        else:
            attempt.time_out(failure)

    def _due(self, attempt: Attempt) -> tuple[float, Failure | None]:
        """When the attempt has had its time, and what that means; no failure: it may be taken for finished."""
        if attempt.done_at is not None:
            return attempt.done_at + GRACE, None
        times = attempt.lane.target.timeouts
        total = attempt.began + times.total
        if attempt.first_content is None and (self.stream or attempt.first_byte is None):
            due, kind, words = (
                attempt.began + times.first,
                FailureKind.FIRST_TIMEOUT,
                "no answer within the time for it",
            )
        elif self._paused:
            due, kind, words = self.deadline, FailureKind.TOTAL_TIMEOUT, ""
        else:
            due, kind, words = attempt.last + times.idle, FailureKind.IDLE_TIMEOUT, "the upstream went silent"
        if total < due:
            due, kind, words = total, FailureKind.TOTAL_TIMEOUT, "no whole answer within the target's total time"
        return due, Failure(kind, words, attempt.status)
