"""Who is let in, and who is sent where: limits, queue and budgets, as an exchange meets them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from proxy.core.call import Headers
from proxy.core.failure import Failure
from proxy.core.outcome import Outcome

if TYPE_CHECKING:
    from proxy.engine.exchange import Exchange
    from proxy.engine.lane import Lane
    from proxy.engine.limiter import Limiter


class Purses(Protocol):
    """Budgets. What it holds for an exchange is gone after `leave`, and what for an attempt after its `settle`."""

    def admit(self, exchange: Exchange) -> bool:
        """It came in (or comes out of the queue). False: it was refused, by `exchange.refuse`."""
        ...

    def reserve(self, exchange: Exchange, lane: Lane, number: int, now: float) -> Failure | None:
        """Attempt `number` is about to be sent. A failure: not there; nothing is held for it then."""
        ...

    def settle(self, exchange: Exchange, number: int, outcome: Outcome) -> None:
        """That attempt has ended."""

    def leave(self, exchange: Exchange) -> None:
        """The exchange is over, also where it was never let in."""


class Admission:
    """One for each process. What is `None` is not configured."""

    def __init__(self, limiter: Limiter | None = None, purses: Purses | None = None) -> None:
        self.limiter = limiter
        self.purses = purses

    def admit(self, exchange: Exchange) -> bool:
        """It may set out now. False: it was refused, or it waits and `enter` lets it in later."""
        if self.limiter is not None and not self.limiter.admit(exchange):
            return False
        return self.purses is None or self.purses.admit(exchange)

    def enter(self, exchange: Exchange) -> None:
        """One that waited for our limits: it has its place in them now."""
        if self.purses is None or self.purses.admit(exchange):
            exchange.set_out()

    def reserve(self, exchange: Exchange, lane: Lane, number: int, now: float) -> Failure | None:
        """What attempt `number` takes of limits and budgets. A failure: it is not sent there."""
        limiter, purses = self.limiter, self.purses
        if limiter is not None:
            failure = limiter.reserve(exchange, lane, number, now)
            if failure is not None:
                return failure
        if purses is not None:
            failure = purses.reserve(exchange, lane, number, now)
            if failure is not None:
                if limiter is not None:
                    limiter.release(exchange, number)
                return failure
        return None

    def settle(self, exchange: Exchange, number: int, outcome: Outcome) -> None:
        """Attempt `number` has ended: what it really took."""
        if self.purses is not None:
            self.purses.settle(exchange, number, outcome)
        if self.limiter is not None:
            self.limiter.settle(exchange, number, outcome)

    def full(self, exchange: Exchange, failure: Failure) -> Failure | None:
        """No target had a place for it, or none could be asked. `None`: it waits for one; else what it is told."""
        return failure if self.limiter is None else self.limiter.full(exchange, failure)

    def late(self, exchange: Exchange) -> None:
        """It has waited for as long as it may."""
        if self.limiter is not None:
            self.limiter.late(exchange)

    def heard(self, lane: Lane, headers: Headers) -> None:
        """An upstream's answer begins: what it says of its limits."""
        if self.limiter is not None:
            self.limiter.heard(lane, headers)

    def leave(self, exchange: Exchange) -> None:
        """It is over; also where it was never let in."""
        if self.purses is not None:
            self.purses.leave(exchange)
        if self.limiter is not None:
            self.limiter.leave(exchange)
