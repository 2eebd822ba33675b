"""What all exchanges of this process share: the outbound engine, the targets' health, the accounts."""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Iterable, Mapping
from math import inf
from typing import Protocol

from proxy.core.chat import ChatRequest, EmbedRequest
from proxy.core.failure import Failure
from proxy.core.health import WELL, on_outcome
from proxy.core.outcome import Finish, Outcome
from proxy.core.relay import RelayRequest
from proxy.core.retry_budget import RetryBudget, allowed, earned, spent
from proxy.core.route import Route
from proxy.engine.admission import Admission
from proxy.engine.assessing import Assessor
from proxy.engine.attention import Attention
from proxy.engine.caller import Caller
from proxy.engine.exchange import Exchange
from proxy.engine.healths import Healths
from proxy.engine.lane import Lane, Road
from proxy.engine.relaying import RelayExchange
from proxy.ledger.contract import Ledger
from proxy.net.flight import Net

TICK = 0.05
"""Seconds between two looks at the times of all exchanges: cheaper than a timer for each, and exact enough."""


RETRY_SHARE, RETRY_LEAST = 0.2, 5.0
"""Tries at the same target: a fifth of the requests of the last 10 s, and always a few."""
LATENCIES, LATENCIES_MIN = 200, 20
"""Times to the first content that are kept of a target, and below which no percentile is taken."""


class Observer(Protocol):
    """Sees each outcome and each request's end (metrics, log). It does not block and does not raise."""

    def observe_outcome(self, outcome: Outcome) -> None: ...

    def observe_finish(self, finish: Finish) -> None: ...


class Engine(Healths):
    """One for each process, over all configurations that it is given in its life."""

    def __init__(self, net: Net, ledger: Ledger, observers: Iterable[Observer] = ()) -> None:
        super().__init__()
        self.net = net
        self.ledger = ledger
        self.live: set[Exchange] = set()
        observers = tuple(observers)
        self._observe_outcome = tuple(one.observe_outcome for one in observers)
        self._observe_finish = tuple(one.observe_finish for one in observers)
        self._ticking = False
        self._retries = RetryBudget(RETRY_SHARE, least=RETRY_LEAST, saved=RETRY_LEAST)
        self._entered = 0
        """Requests since the retry budget was looked at last."""
        self._hedges: dict[str, RetryBudget] = {}
        self._latencies: dict[str, deque[float]] = {}
        self.attention = Attention()
        self.assessor = Assessor()
        self.admission: Admission | None = None
        """Limits, queue and budgets; `None`: none is configured."""
        self.key_tags: Mapping[str, tuple[str, ...]] = {}
        """The tags of callers' keys, in order, by the names of those keys that have any."""

    def exchange(
        self, road: Road, request: ChatRequest | EmbedRequest, caller: Caller, request_id: str, key: str
    ) -> Exchange:
        """A new exchange; `start` sets it on its way."""
        route = road.route
        if route.screen is not None or route.quality is not None:
            if isinstance(request, ChatRequest):
                from proxy.engine.attending import Attended  # most processes never need it

                return Attended(self, road, request, caller, request_id, key)
            if route.screen is not None and route.screen.looks_at(request):
                from proxy.engine.screening import Screened

                return Screened(self, road, request, caller, request_id, key)
        return Exchange(self, road, request, caller, request_id, key)

    def relay(self, road: Road, request: RelayRequest, caller: Caller, request_id: str, key: str) -> Exchange:
        """The same for a request that is handed on as it is."""
        screen = road.route.screen
        if screen is not None and screen.looks_at(request):
            from proxy.engine.screening import ScreenedRelay

            return ScreenedRelay(self, road, request, caller, request_id, key)
        return RelayExchange(self, road, request, caller, request_id, key)

    def enter(self, exchange: Exchange) -> None:
        """It is under way: its times are watched."""
        self.live.add(exchange)
        self._entered += 1
        if not self._ticking:
            self._ticking = True
            asyncio.get_running_loop().call_later(TICK, self._tick)

    def leave(self, exchange: Exchange) -> None:
        """It is over."""
        self.live.discard(exchange)

    def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        self._ticking = bool(self.live)
        if self._ticking:
            loop.call_later(TICK, self._tick)
        now = time.monotonic()
        for exchange in self.live:
            if exchange.due <= now:
                loop.call_soon(exchange.tick, now)  # each by itself: should one raise, the others are still watched

    def may_retry(self, now: float) -> bool:
        """The retry budget allows one more try at the same target."""
        self._retries = earned(self._retries, now, self._entered)
        self._entered = 0
        return allowed(self._retries, now)

    def retried(self, now: float) -> None:
        """One such try."""
        self._retries = spent(self._retries, now)

    def may_hedge(self, route: Route, now: float) -> bool:
        """The route's budget allows one more hedge."""
        return allowed(self._hedges.get(route.name) or _hedges(route), now)

    def may_hedge_later(self, route: Route, now: float) -> None:
        """A request of a route that hedges came in: it earns its share of a hedge."""
        self._hedges[route.name] = earned(self._hedges.get(route.name) or _hedges(route), now)

    def hedged(self, route: Route, now: float) -> None:
        """One such."""
        self._hedges[route.name] = spent(self._hedges.get(route.name) or _hedges(route), now)

    def note_latency(self, outcome: Outcome) -> None:
        """How long a target took to its first content, for hedging by its own 95th percentile."""
        if outcome.first_content is not None:
            self._latencies.setdefault(outcome.target, deque(maxlen=LATENCIES)).append(
                outcome.first_content - outcome.sent
            )

    def p95(self, target: str) -> float:
        """Seconds; infinite while too little is known."""
        known = self._latencies.get(target, ())
        if len(known) < LATENCIES_MIN:
            return inf
        return sorted(known)[int(len(known) * 0.95)]

    def on_outcome(self, outcome: Outcome, failure: Failure | None, lane: Lane, *, sent: float, now: float) -> None:
        """An attempt has ended: on record, into health and metrics, in that order, before the client sees the end."""
        self.ledger.record(outcome)
        target = outcome.target
        before = self.health.get(target)
        if before is None:
            before = WELL
            if outcome.route == target:  # the caller named the target itself
                self._meet(target)
        told = lane.key is None or self._of_key(lane, outcome.ended, failure, sent=sent, now=now)
        after = on_outcome(
            before,
            outcome.ended,
            outcome.failure if told else None,
            sent=sent,
            now=now,
            retry_after=None if failure is None else failure.retry_after,
            jitter=random.random() if failure is not None else 0.5,
        )
        self._put(target, after)
        if not told and lane.ring is not None:
            self._rest(lane.ring, target, now)
        if after.opened != before.opened and self.on_circuit is not None:
            self.on_circuit(target, before, after)
        for observe in self._observe_outcome:
            observe(outcome)

    def forget(self, targets: Iterable[str]) -> None:
        """What was learnt of these targets no longer holds (their configuration changed)."""
        targets = tuple(targets)
        super().forget(targets)
        self.choices.forget(targets)
        self.assessor.forget(targets)

    def on_finish(self, finish: Finish) -> None:
        """A request has ended."""
        for observe in self._observe_finish:
            observe(finish)


def _hedges(route: Route) -> RetryBudget:
    return RetryBudget(0.0 if route.hedge is None else route.hedge.budget)
