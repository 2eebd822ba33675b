"""Who is let in, and who is sent where: limits, queue and budgets, as an exchange meets them."""

from __future__ import annotations

from collections.abc import Callable
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
        self._limiter = limiter
        self._purses = purses
        self.hears = False
        """What upstreams say of their limits matters."""
        self._bind()

    @property
    def limiter(self) -> Limiter | None:
        """Limits and the queue."""
        return self._limiter

    @limiter.setter
    def limiter(self, limiter: Limiter | None) -> None:
        self._limiter = limiter
        self._bind()

    @property
    def purses(self) -> Purses | None:
        """Budgets."""
        return self._purses

    @purses.setter
    def purses(self, purses: Purses | None) -> None:
        self._purses = purses
        self._bind()

    def _bind(self) -> None:
        """Where there is one of the two, it is called itself: each call here is made by every request."""
        limiter, purses = self._limiter, self._purses
        one = (limiter if purses is None else purses if limiter is None else None) or _Both(limiter, purses)
        self.admit: Callable[[Exchange], bool] = one.admit
        """It may set out now. False: it was refused, or it waits and `enter` lets it in later."""
        self.reserve: Callable[[Exchange, Lane, int, float], Failure | None] = one.reserve
        """What attempt `number` takes of limits and budgets. A failure: it is not sent there."""
        self.settle: Callable[[Exchange, int, Outcome], None] = one.settle
        """Attempt `number` has ended: what it really took."""
        self.leave: Callable[[Exchange], None] = one.leave
        """It is over; also where it was never let in."""

    def enter(self, exchange: Exchange) -> None:
        """One that waited for our limits: it has its place in them now."""
        if self._purses is None or self._purses.admit(exchange):
            exchange.set_out()

    def full(self, exchange: Exchange, failure: Failure) -> Failure | None:
        """No target had a place for it, or none could be asked. `None`: it waits for one; else what it is told."""
        return failure if self.limiter is None else self.limiter.full(exchange, failure)

    def late(self, exchange: Exchange) -> None:
        """It has waited for as long as it may."""
        if self.limiter is not None:
            self.limiter.late(exchange)

    def heard(self, lane: Lane, headers: Headers) -> None:
        """An upstream's answer begins: what it says of its limits."""
        if self._limiter is not None:
            self._limiter.heard(lane, headers)


class _Both:
    """Limits before budgets, and given back if these refuse."""

    def __init__(self, limiter: Limiter | None, purses: Purses | None) -> None:
        self._limiter = limiter
        self._purses = purses

    def admit(self, exchange: Exchange) -> bool:
        if self._limiter is not None and not self._limiter.admit(exchange):
            return False
        return self._purses is None or self._purses.admit(exchange)

    def reserve(self, exchange: Exchange, lane: Lane, number: int, now: float) -> Failure | None:
        limiter, purses = self._limiter, self._purses
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
        if self._purses is not None:
            self._purses.settle(exchange, number, outcome)
        if self._limiter is not None:
            self._limiter.settle(exchange, number, outcome)

    def leave(self, exchange: Exchange) -> None:
        if self._purses is not None:
            self._purses.leave(exchange)
        if self._limiter is not None:
            self._limiter.leave(exchange)
