"""An exchange of a route that looks at what is asked and answered: `screen`, `quality`. Others never come here."""

from __future__ import annotations

import asyncio
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
from proxy.core.screen.rule import Finding
from proxy.core.told import Note
from proxy.engine.assessing import Assessed
from proxy.engine.attempt import Attempt
from proxy.engine.exchange import DRAIN
from proxy.engine.overheard import Heard, Overheard
from proxy.engine.screening import Screened
from proxy.engine.sieve import Sieve, Steps
from proxy.inbound.chunks import completion_in

_FREE = (None, {"type": "text"})
POOR = Failure(FailureKind.DIVERGED, "the answer is worth less than min_quality")
"""Never told and never on record: the machine goes on to the next target by it, and nobody is to blame."""
WITHHELD = Failure(FailureKind.FILTERED, "The answer was withheld by the screen of this route.", ours=True)


class _Kept(NamedTuple):
    """The best answer so far, of those that were not good enough."""

    value: float
    attempt: Attempt
    cost: Decimal | None


class Attended(Screened):
    """See `Exchange`."""

    _sieve: Sieve | None = None
    _settling = False
    """The answer is complete, and waits for what a moderation says of it."""
    _kept: _Kept | None = None
    _poor = 0
    """The number of the attempt that served an answer which is not good enough."""

    # What is asked -----------------------------------------------------------------------------------------------

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
        super()._let_in(())

    def _in_chats_words(self) -> None:
        """What is looked through comes in one API's words, whatever the client speaks."""
        request = self.request
        assert isinstance(request, ChatRequest)
        if request.native is not None:
            self.endpoint = request.native.api
            self.request = request._replace(native=request.native._replace(api=""))

    # What is answered --------------------------------------------------------------------------------------------

    def gone(self) -> None:
        """Also while its answer is judged."""
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
