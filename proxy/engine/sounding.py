"""A tiny request straight to one target, whatever is thought of its health: to see whether it answers, and how fast."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from proxy.core import attempt as machine
from proxy.core.chat import ChatRequest, EmbedRequest
from proxy.core.failure import Failure
from proxy.core.outcome import Ended
from proxy.core.route import Retry, Route
from proxy.core.usage import Usage
from proxy.engine.caller import NOBODY
from proxy.engine.exchange import Exchange
from proxy.engine.lane import Lane, Road

if TYPE_CHECKING:
    from proxy.engine.attempt import Attempt
    from proxy.engine.engine import Engine

ENDPOINT = "test"
"""Its word on record."""


class Sounded(NamedTuple):
    """How it ended. Seconds are since it was sent."""

    ended: Ended
    failure: Failure | None
    status: int | None
    """The upstream's HTTP status; `None`: there was none."""
    first_content: float | None
    total: float
    usage: Usage | None
    cost: Decimal | None
    """US dollars; `None`: nobody knows."""
    model: str
    """As the upstream named it."""
    sent: bool


class Sounding(Exchange):
    """No limit on callers holds for it and it waits in no queue; what holds for the target and its backend (places,
    limits, budgets) does. It is on record, and health learns from it as from any other."""

    endpoint = ENDPOINT

    def __init__(self, engine: Engine, road: Road, request: ChatRequest | EmbedRequest, request_id: str) -> None:
        super().__init__(engine, road, request, NOBODY, request_id, "")
        self.done: asyncio.Future[Sounded] = asyncio.get_running_loop().create_future()

    def start(self) -> None:
        self.engine.enter(self)
        self._anyway = True
        self._state = machine.State(self.road.route, self.road.route.targets)
        self._feed(machine.Begin())

    def _waits_again(self, failure: Failure) -> bool:
        return False

    def _over(self, ended: Ended, failure: Failure | None, status: int) -> None:
        attempt, spent = self._attempt, self._spent
        super()._over(ended, failure, status)
        self._sounded(attempt, ended, failure, spent)

    def _sounded(self, attempt: Attempt | None, ended: Ended, failure: Failure | None, spent: Decimal | None) -> None:
        """Those who wait for its end."""
        if self.done.done():
            return
        if attempt is None:
            self.done.set_result(Sounded(ended, failure, None, None, 0.0, None, None, "", False))
            return
        first = None if attempt.first_content is None else attempt.first_content - attempt.began
        total = attempt.last - attempt.began
        said = (attempt.status, first, total, attempt.usage, spent, attempt.model)
        self.done.set_result(Sounded(ended, failure, *said, sent=attempt.sent_at is not None))


def road_to(lane: Lane, route: str) -> Road:
    """Only to this target, once, in the name of a route that has it."""
    target = replace(lane.target, retry=Retry(0, 0.0))
    only = Route(route, (target,), max_attempts=1, max_continuations=0, same_vectors=True)
    return Road(only, only, {target.name: lane}, target.timeouts.total)


async def sound(engine: Engine, road: Road, request: ChatRequest | EmbedRequest, request_id: str) -> Sounded:
    """Sends it, and waits for its end. Cancelling this ends it."""
    sounding = Sounding(engine, road, request, request_id)
    sounding.start()
    try:
        return await sounding.done
    finally:
        if not sounding.over:
            sounding.gone()
