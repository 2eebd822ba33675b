"""An attempt on its way out: to its place, once that is ready, and with what its backend asks for."""

from __future__ import annotations

import asyncio
import time
from abc import abstractmethod
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

from proxy.core.call import Headers, HttpCall, Origin
from proxy.core.credential import Credential
from proxy.core.failure import Failure, FailureKind
from proxy.core.outcome import How
from proxy.engine.lane import Lane

if TYPE_CHECKING:
    from proxy.engine.exchange import Exchange
    from proxy.net.flight import Flight

PATIENCE = 3.0
"""Seconds until the next start of a local model that half an answer may wait for: two deaths in a row need 1.2."""
_BEHIND = 0.01
"""Seconds, so that what is waited for has happened, whichever timer the loop runs first."""

_FRESH, _EXACT = How.FRESH, How.EXACT  # reading a member off its class costs 0.13 us in Python 3.11


class Outgoing:
    """The part of an `Attempt` that sends it."""

    lane: Lane
    how: How
    began: float
    sent_at: float | None = None
    over = False
    _exchange: Exchange
    _flight: Flight | None = None
    _waiting: asyncio.Future[Any] | None = None
    """For its place, or for what makes its call acceptable."""
    _call: HttpCall | None = None

    def start(self) -> None:
        """Send it, at once or when its place and its credential are ready."""
        origin = self.lane.place.origin()
        if not isinstance(origin, Origin):
            settled = _settled(origin) if self.how is _FRESH else _patient(self.lane, origin)
            self._waiting = asyncio.ensure_future(settled)
            self._waiting.add_done_callback(self._placed)
        elif self.lane.credential is None:
            self._send(origin, self.began)
        else:
            self._sign(self.lane.credential, origin, self.began)

    def _placed(self, waiting: asyncio.Future[Origin | Failure]) -> None:
        self._waiting = None
        if self.over or waiting.cancelled():
            return
        found = waiting.result()
        if isinstance(found, Failure):
            self._fail(found)
        elif self.lane.credential is None:
            self._send(found, time.monotonic())
        else:
            self._sign(self.lane.credential, found, time.monotonic())

    def _sign(self, credential: Credential, origin: Origin, now: float) -> None:
        assert self._call is not None
        signed = credential.sign(self._call)
        if isinstance(signed, HttpCall):
            self._call = signed
            self._send(origin, now)
        else:
            self._waiting = asyncio.ensure_future(_signed(signed, self.lane.target.timeouts.connect))
            self._waiting.add_done_callback(lambda waiting: self._signed(origin, waiting))

    def _signed(self, origin: Origin, waiting: asyncio.Future[HttpCall | Failure]) -> None:
        self._waiting = None
        if self.over or waiting.cancelled():
            return
        found = waiting.result()
        if isinstance(found, Failure):
            self._fail(found)
        else:
            self._call = found
            self._send(origin, time.monotonic())

    def _send(self, origin: Origin, now: float) -> None:
        assert self._call is not None
        self.sent_at = now
        connect = self.lane.target.timeouts.connect
        flight = self._exchange.engine.net.send(origin, self._call, self, connect=connect)
        self._call = None
        self._flight = flight
        if self.how is _EXACT:
            self._exchange.look_at(now + self._exchange.road.route.exact_within)
        if self.over:
            flight.abort()

    def abort(self) -> None:
        """Close its connection now; nothing is told to the exchange any more."""
        self.over = True
        self._give_up_waiting()
        if self._flight is not None:
            self._flight.abort()

    def _give_up_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def pause(self) -> None:
        """The client is slow: read no more for now."""
        if self._flight is not None:
            self._flight.pause()

    def resume(self) -> None:
        """The client has caught up."""
        if self._flight is not None:
            self._flight.resume()

    @abstractmethod
    def _fail(self, failure: Failure) -> None: ...

    @abstractmethod
    def on_head(self, status: int, headers: Headers) -> None: ...

    @abstractmethod
    def on_data(self, data: bytes) -> None: ...

    @abstractmethod
    def on_end(self) -> None: ...

    @abstractmethod
    def on_failure(self, failure: Failure) -> None: ...


async def _settled(origin: Awaitable[Origin | Failure]) -> Origin | Failure:
    return await origin


async def _signed(call: Awaitable[HttpCall | Failure], within: float) -> HttpCall | Failure:
    """Without it there is no connection worth having: it is given the time for that, and goes on for others."""
    try:
        async with asyncio.timeout(within):
            return await call
    except TimeoutError:
        return Failure(FailureKind.CONNECT_TIMEOUT, "no token for the backend within the time to connect")


async def _patient(lane: Lane, origin: Awaitable[Origin | Failure]) -> Origin | Failure:
    """For one whose client has half an answer: a local model that died again is waited for, once."""
    found = await origin
    if isinstance(found, Origin) or found.retry_after is None or found.retry_after > PATIENCE:
        return found
    await asyncio.sleep(found.retry_after + _BEHIND)
    again = lane.place.origin()
    return again if isinstance(again, Origin) else await again
