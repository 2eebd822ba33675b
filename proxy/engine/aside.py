"""A small question to one target beside the exchanges: nothing of it touches health, limits or ledger."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial

from proxy.core.call import Headers, HttpCall, Origin
from proxy.core.chat import ChatRequest, Completion
from proxy.core.dialect import Malformed, Stamp
from proxy.core.failure import Failure
from proxy.engine.lane import Lane
from proxy.net.flight import Flight, Net

WITHIN = 10.0
"""Seconds for the answer."""
MAX_BODY = 64 * 1024


class Aside:
    """Asks once, and tells `done` the answer's bytes; `None` where there was none. After `abort` it tells nothing.

    Implements `net.flight.Sink`.
    """

    def __init__(self, done: Callable[[bytes | None], None]) -> None:
        self._done: Callable[[bytes | None], None] | None = done
        self._flight: Flight | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._waiting: asyncio.Future[HttpCall | Failure] | None = None
        self._status = 0
        self._body = b""
        self._lane: Lane | None = None
        self._native = ""

    def ask(self, net: Net, lane: Lane, request: ChatRequest) -> None:
        """Only a target is asked that speaks the API of the request itself."""
        if lane.ring is not None:
            place = lane.ring.take(time.monotonic())
            if place is None:
                self._tell(None)
                return
            lane = lane.keyed[place]
        prepared = lane.prepare(request)
        native = request.native
        origin = lane.place.origin()
        if native is None or isinstance(prepared, Failure) or not isinstance(origin, Origin):
            self._tell(None)
            return
        self._lane, self._native = lane, native.api
        self._timer = asyncio.get_running_loop().call_later(WITHIN, self._late)
        send = partial(self._send, net, origin, lane.target.timeouts.connect)
        signed = prepared.call if lane.credential is None else lane.credential.sign(prepared.call)
        if isinstance(signed, HttpCall):
            send(signed)
        else:
            self._waiting = asyncio.ensure_future(_settled(signed))
            self._waiting.add_done_callback(lambda waiting: None if waiting.cancelled() else send(waiting.result()))

    def _send(self, net: Net, origin: Origin, connect: float, call: HttpCall | Failure) -> None:
        if isinstance(call, Failure):
            self._tell(None)
        elif self._done is not None:
            flight = net.send(origin, call, self, connect=connect)
            if self._done is not None:  # it may have failed at once
                self._flight = flight

    def abort(self) -> None:
        """Nobody wants to know any more."""
        self._done = None
        self._let_go()

    def on_head(self, status: int, headers: Headers) -> None:
        self._status = status

    def on_data(self, data: bytes) -> None:
        self._body += data
        if len(self._body) > MAX_BODY:
            self._late()

    def on_end(self) -> None:
        self._flight = None
        self._tell(self._answer())

    def on_failure(self, failure: Failure) -> None:
        self._flight = None
        self._tell(None)

    def _answer(self) -> bytes | None:
        if self._lane is None or not 200 <= self._status < 300:
            return None
        try:
            found = self._lane.dialect.completion(self._body, stamp=Stamp(native=self._native))
        except Malformed:
            return None
        return found.raw if isinstance(found, Completion) else None

    def _late(self) -> None:
        self._let_go()
        self._tell(None)

    def _let_go(self) -> None:
        flight, self._flight = self._flight, None
        if flight is not None:
            flight.abort()
        if self._waiting is not None:
            self._waiting.cancel()
        if self._timer is not None:
            self._timer.cancel()

    def _tell(self, body: bytes | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        done, self._done = self._done, None
        if done is not None:
            done(body)


async def _settled(call: Awaitable[HttpCall | Failure]) -> HttpCall | Failure:
    return await call
