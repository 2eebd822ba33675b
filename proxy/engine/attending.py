"""An exchange of a route that looks at what is asked and answered: `screen`, `quality`. Others never come here."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import NamedTuple

from proxy.core import attempt as machine
from proxy.core.chat import ChatRequest, Completion
from proxy.core.failure import Failure, FailureKind
from proxy.core.outcome import Ended, How
from proxy.core.quality.answers import of_native, of_whole
from proxy.core.quality.assess import assess
from proxy.core.screen.policy import Side
from proxy.core.screen.rule import Finding, decided
from proxy.core.screen.texts import asked_by, unreadable, where
from proxy.core.screen.window import parts
from proxy.core.told import Note
from proxy.engine.assessing import Assessed
from proxy.engine.attempt import Attempt
from proxy.engine.caller import Won
from proxy.engine.exchange import DRAIN, Exchange
from proxy.engine.moderating import Moderation
from proxy.engine.overheard import Heard, Overheard
from proxy.engine.sieve import Sieve, Steps
from proxy.inbound.chunks import completion_in

LARGE = 256 * 1024
"""Bytes of a request from which it is looked through in a thread."""
_FREE = (None, {"type": "text"})
MOST_FOUND = 1000
"""Kinds of findings that are counted."""
_LOG = logging.getLogger("wayline.screen")
POOR = Failure(FailureKind.DIVERGED, "the answer is worth less than min_quality")
"""Never told and never on record: the machine goes on to the next target by it, and nobody is to blame."""
WITHHELD = Failure(FailureKind.FILTERED, "The answer was withheld by the screen of this route.", ours=True)


class _Kept(NamedTuple):
    """The best answer so far, of those that were not good enough."""

    value: float
    attempt: Attempt
    cost: Decimal | None


class Attended(Exchange):
    """See `Exchange`."""

    _looking: asyncio.Task[None] | None = None
    _sieve: Sieve | None = None
    _screened: tuple[str, ...] = ()
    """What was found, for the response's header."""
    _settling = False
    """The answer is complete, and waits for what a moderation says of it."""
    _kept: _Kept | None = None
    _poor = 0
    """The number of the attempt that served an answer which is not good enough."""

    # What is asked -----------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Its request is looked through first."""
        screen = self.road.route.screen
        assert isinstance(self.request, ChatRequest)
        if screen is None or not screen.asked:
            self._let_in(())
        elif unreadable(self.request):
            told = "This route looks through what is asked, which it cannot do with token ids: send a text."
            self.refuse(Failure(FailureKind.UNSUPPORTED, told, param=where(self.request), ours=True))
        elif screen.asked.asks or len(self.request.raw) > LARGE:
            self.engine.enter(self)  # its times run meanwhile
            self._looking = asyncio.get_running_loop().create_task(self._look(screen.asked))
        else:
            self._follow(screen.asked.found(asked_by(self.request)))

    async def _look(self, side: Side) -> None:
        assert isinstance(self.request, ChatRequest)
        texts = list(asked_by(self.request))
        found = await asyncio.to_thread(side.found, texts) if side.looks else ()
        if side.asks and texts and decided(found) is None:
            found = (*found, *await self._moderation("input", side).found(parts("\n\n".join(texts))))
        if not self.over:
            self._follow(found)

    def _moderation(self, name: str, side: Side) -> Moderation:
        screen = self.road.route.screen
        assert screen is not None
        return Moderation(self.engine, f"{self.request_id}-screen-{name}", side, screen.wait)

    def _follow(self, found: Iterable[Finding]) -> None:
        found = tuple(found)
        hit = decided(found)
        for finding in found:
            self._saw("input", finding)
        if hit is None:
            self._screened = tuple(one.category for one in found)
            self._let_in(one.resources for one in found)
        elif hit.action == "use":
            self._screened = (hit.category,)
            self._go_to(hit.use)
        elif hit.action == "unavailable":
            self.refuse(Failure(FailureKind.NOT_AVAILABLE, "The screen of this route cannot be asked now.", ours=True))
        else:
            message = f"The request was refused by the screen of this route ({hit.category})."
            assert isinstance(self.request, ChatRequest)
            self.refuse(Failure(FailureKind.FILTERED, message, param=where(self.request), ours=True))

    def _go_to(self, route: str) -> None:
        """Another route answers."""
        road = self.engine.attention.find(route)
        if road is None:  # a reload has taken it away
            self.refuse(Failure(FailureKind.NOT_AVAILABLE, "The route for this request is gone.", ours=True))
            return
        self.road = road
        if self.tags and road.tags:
            self._show_tags()
        self.deadline = self.due = self.began + road.total
        if self.stream:
            self._mending = None
            self._for_stream()
        self._let_in(())

    def _let_in(self, resources: Iterable[str]) -> None:
        route, caller = self.road.route, self._caller
        adds = self.request.body.get("response_format") in _FREE  # no text can be added to an answer of a given form
        texts = [one for one in resources if one and adds]
        if texts or (route.screen is not None and route.screen.answered):
            self._in_chats_words()
            answered = None if route.screen is None else route.screen.answered
            ask = self._moderation("output", answered).found if answered is not None and answered.asks else None
            caller = self._sieve = Sieve(
                caller, route.screen, texts, Steps(self._saw_in_answer, self._stop, self.ready, ask, adds)
            )
        quality = route.quality
        if quality is not None and not (quality.retry and not self.stream) and random.random() < quality.share:
            caller = Overheard(caller, self._heard)
        self._caller = caller
        super().start()

    def _in_chats_words(self) -> None:
        """What is looked through comes in one API's words, whatever the client speaks."""
        request = self.request
        assert isinstance(request, ChatRequest)
        if request.native is not None:
            self.endpoint = request.native.api
            self.request = request._replace(native=request.native._replace(api=""))

    def _saw(self, side: str, finding: Finding) -> None:
        rule, category, severity, action, use, _ = finding
        found, key = self.engine.attention.found, (self.road.route.name, side, rule, category, action)
        if key in found or len(found) < MOST_FOUND:  # a moderation may name any category
            found[key] = found.get(key, 0) + 1
        words = f"rule {rule}: {category}, {severity}: {action}{' ' + use if use else ''}"
        self.notes.append(Note("screen", side, words))
        _LOG.info("%s: %s %s, %s", self.request_id, self.road.route.name, side, words)

    # What is answered --------------------------------------------------------------------------------------------

    def gone(self) -> None:
        """Also while it is looked at."""
        if self._looking is not None:
            self._looking.cancel()
        if self._settling:
            self._close(machine.Vanish())
        else:
            super().gone()

    def _deliver(self, number: int) -> None:
        attempt, deliver = self._attempt, super()._deliver
        assert attempt is not None
        answer = attempt.answer
        self._settle(answer.raw if isinstance(answer, Completion) else None, lambda: deliver(number))

    def _settle(self, body: bytes | None, then: Callable[[], None]) -> None:
        """Once it is clear what may go out."""
        if self._sieve is None:
            then()
        else:
            self._settling = True
            self._sieve.settle(body, then)

    def _saw_in_answer(self, finding: Finding) -> None:
        self._saw("output", finding)
        self._screened = (*self._screened, finding.category)

    def _stop(self) -> None:
        """The rest of the answer is withheld: nobody wants it any more."""
        self._feed(machine.Deadline(WITHHELD))

    def _heard(self, heard: Heard) -> None:
        route = self.road.route
        assert route.quality is not None
        self.engine.assessor.heard(heard, self.request_id, route.name, route.quality, self.request.body)

    def served(self, attempt: Attempt, *, draining: bool) -> None:
        """The answer is complete; where it is not good enough another target is asked."""
        quality, answer = self.road.route.quality, attempt.answer
        if self.stream or quality is None or not quality.retry or not isinstance(answer, Completion):
            super().served(attempt, draining=draining)
            return
        reply = completion_in(answer.raw)
        answers = of_native(reply) if attempt.native else of_whole(reply)
        parts = assess(self.request.body, answers)
        target, route = attempt.lane.target.name, self.road.route.name
        self.engine.assessor.assessed(
            Assessed(self.request_id, route, target, quality, self.request.body, answers), parts
        )
        if parts.value >= quality.min_quality:
            super().served(attempt, draining=draining)
            return
        if draining:
            asyncio.get_running_loop().call_later(DRAIN, attempt.abort)
        self._try_elsewhere(attempt, parts.value)

    def _try_elsewhere(self, attempt: Attempt, value: float) -> None:
        self.notes.append(Note("quality", f"target {attempt.lane.target.name}", f"{value:.2f} is below min_quality"))
        self._usual = None
        self._poor = attempt.number
        best = self._kept
        left = self.deadline - time.monotonic()
        self._attempt = attempt
        if best is None or value > best.value:
            self._kept = _Kept(value, attempt, None)
        self._feed(machine.Failed(attempt.number, POOR, left, may_retry=False))

    def _record(self, command: machine.Record) -> None:
        number = command.number
        if number == self._poor:
            command = machine.Record(number, Ended.SERVED, None)
            if self._kept is not None and self._kept.attempt.number != number:
                self._live[number].how = How.SPARE
        super()._record(command)
        if number == self._poor and self._kept is not None and self._kept.attempt.number == number:
            self._kept = self._kept._replace(cost=self._last_cost)

    def _close(self, command: machine.Refuse | machine.Break | machine.Vanish) -> None:
        kept, close = self._kept, super()._close
        if isinstance(command, machine.Refuse) and kept is not None:
            self._attempt, self._last_cost = kept.attempt, kept.cost
            self._deliver(kept.attempt.number)
        elif isinstance(command, machine.Break) and time.monotonic() < self.deadline:
            self._settle(None, lambda: close(command))
        else:
            close(command)

    def _over(self, ended: Ended, failure: Failure | None, status: int) -> None:
        self._kept, self._settling = None, False
        if self._sieve is not None:
            self._sieve.stop()
            self._sieve = None
        super()._over(ended, failure, status)

    def _won(self, attempt: Attempt, *, known: bool) -> Won:
        won = super()._won(attempt, known=known)
        return won._replace(screened=", ".join(dict.fromkeys(self._screened))) if self._screened else won
