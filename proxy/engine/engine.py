"""What all exchanges of this process share: the outbound engine, the targets' health, the accounts."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterable
from typing import Protocol

from proxy.core.chat import ChatRequest, EmbedRequest
from proxy.core.failure import Failure
from proxy.core.health import WELL, Health, on_outcome, on_send
from proxy.core.outcome import Finish, Outcome
from proxy.engine.caller import Caller
from proxy.engine.exchange import Exchange
from proxy.engine.lane import Road
from proxy.ledger.contract import Ledger
from proxy.net.flight import Net

TICK = 0.05
"""Seconds between two looks at the times of all exchanges: cheaper than a timer for each, and exact enough."""


class Observer(Protocol):
    """Sees each outcome and each request's end (metrics, log). It does not block and does not raise."""

    def observe_outcome(self, outcome: Outcome) -> None: ...

    def observe_finish(self, finish: Finish) -> None: ...


class Engine:
    """One for each process, over all configurations that it is given in its life."""

    def __init__(self, net: Net, ledger: Ledger, observers: Iterable[Observer] = ()) -> None:
        self.net = net
        self.ledger = ledger
        self.health: dict[str, Health] = {}
        self.trouble: dict[str, Health] = {}
        """The part of `health` that is not simply well: usually empty, so that planning costs nothing."""
        self.live: set[Exchange] = set()
        self.on_circuit: Callable[[str, Health, Health], None] | None = None
        """Told when a target's circuit opens or closes: (target, before, after)."""
        self._observers = tuple(observers)
        self._ticking = False

    def exchange(
        self, road: Road, request: ChatRequest | EmbedRequest, caller: Caller, request_id: str, key: str
    ) -> Exchange:
        """A new exchange; `start` sets it on its way."""
        return Exchange(self, road, request, caller, request_id, key)

    def enter(self, exchange: Exchange) -> None:
        """It is under way: its times are watched."""
        self.live.add(exchange)
        if not self._ticking:
            self._ticking = True
            asyncio.get_running_loop().call_later(TICK, self._tick)

    def leave(self, exchange: Exchange) -> None:
        """It is over."""
        self.live.discard(exchange)

    def _tick(self) -> None:
        # First of all the next look: should one exchange raise, the others' times are still watched.
        self._ticking = bool(self.live)
        if self._ticking:
            asyncio.get_running_loop().call_later(TICK, self._tick)
        now = time.monotonic()
        for exchange in [one for one in self.live if one.due <= now]:
            exchange.tick(now)

    def on_send(self, target: str, now: float) -> None:
        """An attempt goes to this target."""
        state = self.trouble.get(target)
        if state is not None:
            self._put(target, on_send(state, now))

    def on_outcome(self, outcome: Outcome, failure: Failure | None, *, sent: float, now: float) -> None:
        """An attempt has ended: on record, into health and metrics, in that order, before the client sees the end."""
        self.ledger.record(outcome)
        before = self.health.get(outcome.target, WELL)
        after = on_outcome(
            before,
            outcome.ended,
            outcome.failure,
            sent=sent,
            now=now,
            retry_after=None if failure is None else failure.retry_after,
            jitter=random.random() if failure is not None else 0.5,
        )
        self._put(outcome.target, after)
        if after.opened != before.opened and self.on_circuit is not None:
            self.on_circuit(outcome.target, before, after)
        for observer in self._observers:
            observer.observe_outcome(outcome)

    def on_finish(self, finish: Finish) -> None:
        """A request has ended."""
        for observer in self._observers:
            observer.observe_finish(finish)

    def forget(self, targets: Iterable[str]) -> None:
        """What was learnt of these targets no longer holds (their configuration changed)."""
        for target in targets:
            self.health.pop(target, None)
            self.trouble.pop(target, None)

    def _put(self, target: str, state: Health) -> None:
        self.health[target] = state
        if state.opened or state.cool_until:
            self.trouble[target] = state
        else:
            self.trouble.pop(target, None)
