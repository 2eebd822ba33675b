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
    """Budgets. Money is asked for where it is known what for: when an attempt is sent. What it holds for an exchange is
    gone after `leave`, and what for an attempt after its `settle`."""

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
        one = limiter or purses
        if limiter is not None and purses is not None:
            one = _Both(limiter, purses)
        self.admit: Callable[[Exchange], bool] = _at_once if limiter is None else limiter.admit
        """It may set out now. False: it was refused, or it waits and sets out later."""
        self.reserve: Callable[[Exchange, Lane, int, float], Failure | None] = _nothing if one is None else one.reserve
        """What attempt `number` takes of limits and budgets. A failure: it is not sent there."""
        self.settle: Callable[[Exchange, int, Outcome], None] = _nothing if one is None else one.settle
        """Attempt `number` has ended: what it really took."""
        self.leave: Callable[[Exchange], None] = _nothing if one is None else one.leave
        """It is over; also where it was never let in."""

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


def _at_once(_: Exchange) -> bool:
    return True


def _nothing(*_: object) -> None:
    return None


class _Both:
    """Limits before budgets, and given back if these refuse. What either has nothing to do with is seen here already:
    a call that finds that out costs as much as the rest."""

    __slots__ = ("_limiter", "_purses")

    def __init__(self, limiter: Limiter, purses: Purses) -> None:
        self._limiter = limiter
        self._purses = purses

    def reserve(self, exchange: Exchange, lane: Lane, number: int, now: float) -> Failure | None:
        limiter = self._limiter
        if not (limiter.limits_upstream or limiter.waiting.doors):
            return self._purses.reserve(exchange, lane, number, now)
        failure = limiter.reserve(exchange, lane, number, now)
        if failure is not None:
            return failure
        failure = self._purses.reserve(exchange, lane, number, now)
        if failure is not None:
            limiter.release(exchange, number)
        return failure

    def settle(self, exchange: Exchange, number: int, outcome: Outcome) -> None:
        if exchange.spending is not None:
            self._purses.settle(exchange, number, outcome)
        self._limiter.settle(exchange, number, outcome)

    def leave(self, exchange: Exchange) -> None:
        spending = exchange.spending
        if spending is not None and (spending.number or spending.others):
            self._purses.leave(exchange)
        held, limiter = exchange.held, self._limiter
        if held is not None:
            if held.ticket is None and not limiter.waiting.doors:
                held.leave()
            else:
                limiter.leave(exchange)
