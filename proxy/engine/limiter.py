"""Limits as requests meet them, and the queue before them. See docs/limits.md."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from functools import partial
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from proxy.core.call import Headers
from proxy.core.choice.ranking import Closed
from proxy.core.failure import Failure, FailureKind
from proxy.core.health import Health
from proxy.core.limiting.adaptive import Sample
from proxy.core.limiting.meter import Meter
from proxy.core.limiting.said import said_of
from proxy.core.limiting.values import NONE, Limits, Rate
from proxy.core.limiting.window import Window
from proxy.core.outcome import Ended, Outcome
from proxy.engine.lane import Lane
from proxy.engine.queue import DRAINING, Door, Waiting
from proxy.engine.scopes import USUAL, Bounds, Held, Opened, Scope, at_limit, meter_of, on_clock, takes
from proxy.engine.tally import Tally, Together

if TYPE_CHECKING:
    from proxy.engine.admission import Admission
    from proxy.engine.exchange import Exchange

MOST_FOUND = 50_000
"""Combinations of key and route of which it is kept which limits hold for them."""
BY_LIMITS = frozenset(
    {
        *(FailureKind.BUSY, FailureKind.RATE_LIMITED, FailureKind.OVERLOADED),
        *(FailureKind.NOT_AVAILABLE, FailureKind.UNSUPPORTED),
    }
)
"""Refusals that can come of limits: no place at one target, and others that could not be asked."""
REFUSED = frozenset({FailureKind.RATE_LIMITED, FailureKind.OVERLOADED, FailureKind.BUSY})
"""By an upstream, because it has too much to do."""
TAKES_LIKE = 50.0
"""Tokens of an answer that take as long as what comes before the first of them, to compare whole answers."""
LEARNS = 0.02
"""Weight of an answer in how many tokens they usually have."""
_TAKEN = Failure(FailureKind.BUSY, "others wait for this target already", retry_after=1.0)
_SERVED = Ended.SERVED


class Terms(NamedTuple):
    """What a configuration limits, besides its routes, which carry their own."""

    all: Limits = NONE
    backends: Mapping[str, tuple[Rate, ...]] = {}  # of a NamedTuple: nobody can change it
    targets: Mapping[str, tuple[Rate, ...]] = {}
    adapts: bool = False
    """The places of some backend or target are found, not given."""


class Limiter:
    """One for each process, over all configurations."""

    def __init__(
        self,
        admission: Admission,
        of_key: Callable[[str], tuple[Limits, float]] = lambda _: (NONE, 1.0),
        closed: MutableMapping[str, Closed] | None = None,
        trouble: Mapping[str, Health] | None = None,
        tally: Tally | None = None,
        opened: Opened | None = None,
    ) -> None:
        """`of_key`: a caller's limits, and its share of the turns in the queue. `closed`, `trouble`: see `Engine`.
        `tally`: the windows that it shares with other workers; `opened`: those of this process, in its place."""
        self._admission = admission
        self._of_key = of_key
        self._closed: MutableMapping[str, Closed] = {} if closed is None else closed
        self._terms = Terms()
        self._adapts = False
        self._opened: Opened = opened or on_clock() if tally is None else tally.window
        self._holding: Callable[..., Held] = Held if tally is None else partial(Together, tally)
        self._all = Scope("this gateway", NONE)
        self._keys: dict[str, Scope] = {}
        self._routes: dict[str, Scope] = {}
        self._found: dict[tuple[str, str], Bounds] = {}
        """By key and route."""
        self._meters: dict[str, Meter | None] = {}
        """By target, and by backend with a slash behind it."""
        self._of_lane: dict[str, tuple[Meter, ...]] = {}
        self.usual = USUAL
        """Tokens of an answer for which the request names no bound, as answers lately had."""
        self.limits_upstream = False
        """Some backend or target has limits."""
        self.waiting = Waiting(self.meters, {} if trouble is None else trouble)

    # What the configuration and the keys say -------------------------------------------------------------------------

    def adopt(self, terms: Terms) -> None:
        """The limits in force from now on. What is counted stays."""
        self._terms = terms
        self._adapts = terms.adapts
        self._all.change(terms.all, self._opened)
        named = {**terms.targets, **{f"{name}/": rates for name, rates in terms.backends.items()}}
        before = self._meters
        self._meters = {name: meter_of(name, rates, self._opened, before.get(name)) for name, rates in named.items()}
        self._of_lane.clear()
        self.limits_upstream = self._admission.hears = bool(self._meters)
        self.changed()

    def changed(self) -> None:
        """Other limits hold, of routes or keys: they are asked for again."""
        self._found.clear()
        self.waiting.wake()

    def scope_of_key(self, key: str) -> Scope | None:
        """The limits of a caller's key, where it has any."""
        return self._keys.get(key)

    def _bounds(self, exchange: Exchange) -> Bounds:
        route = exchange.road.route
        if len(self._found) >= MOST_FOUND:
            self._found.clear()
        found = []
        if self._terms.all:
            found.append(self._all)
        of_key = self._of_key(exchange.key)[0]
        if of_key:
            words = f"key '{exchange.key}'"
            found.append(self._keep(self._keys, exchange.key, words, of_key, told=True))
        if route.limits:
            found.append(self._keep(self._routes, route.name, f"route '{route.name}'", route.limits))
        bounds = self._found[exchange.key, route.name] = Bounds(found)
        return bounds

    def _keep(self, known: dict[str, Scope], name: str, words: str, limits: Limits, *, told: bool = False) -> Scope:
        scope = known.get(name)
        if scope is None:
            scope = known[name] = Scope(words, limits, self._opened, told=told)
        elif scope.limits != limits:
            scope.change(limits, self._opened)
        return scope

    def meters(self, lane: Lane) -> tuple[Meter, ...]:
        """The rate limits of a lane's target and backend."""
        target = lane.target
        found = self._of_lane.get(target.name)
        if found is None:
            both = (self._meters.get(target.name), self._meters.get(f"{target.backend}/"))
            if len(self._of_lane) >= MOST_FOUND:
                self._of_lane.clear()
            found = self._of_lane[target.name] = tuple(meter for meter in both if meter is not None)
        return found

    def scopes(self) -> Iterator[Scope]:
        """Those for requests that come in and were met since the start."""
        if self._terms.all:
            yield self._all
        yield from self._keys.values()
        yield from self._routes.values()

    def windows(self) -> Iterator[tuple[str, Window]]:
        """All, with the word by which they were opened."""
        known = [(scope.words, scope.meter) for scope in self.scopes()]
        for whose, meter in (*known, *self._meters.items()):
            for window in () if meter is None else meter.windows:
                yield whose, window

    def upstream(self) -> Iterator[tuple[str, Meter]]:
        """Targets and backends that have limits."""
        for name, meter in self._meters.items():
            if meter is not None:
                yield name.removesuffix("/"), meter

    def used(self, now: float) -> Iterator[tuple[str, float]]:
        """Of each target and backend that has limits, the share of that one of which most is used."""
        for name, meter in self.upstream():
            yield name, meter.used(now)

    def near(self, now: float) -> Iterator[tuple[str, float]]:
        """The same of everything that has limits, in words."""
        for scope in self.scopes():
            if scope.meter is not None:
                yield scope.words, scope.meter.used(now)
        yield from self.used(now)

    # What exchanges do -----------------------------------------------------------------------------------------------

    def admit(self, exchange: Exchange) -> bool:
        """It came in: by the limits of all, its key and its route."""
        bounds = self._found.get((exchange.key, exchange.road.route.name)) or self._bounds(exchange)
        if not bounds.scopes:
            return True
        held = exchange.held = self._holding(bounds, takes(exchange, self.usual) if bounds.tokens else 0)
        now = exchange.began
        if self.waiting.doors and any(scope.waiting for scope in bounds.scopes):
            return self._holds(exchange, held, now)
        return held.attempt(now) or self._holds(exchange, held, now)

    def _holds(self, exchange: Exchange, held: Held, now: float) -> bool:
        """Some limit is reached: it waits for it, or is refused."""
        scopes, tokens = held.bounds.scopes, held.tokens
        opens = max(0.0 if scope.full else scope.wait(tokens, now) for scope in scopes)
        queue = exchange.road.route.queue
        worst = max(scopes, key=lambda scope: (scope.wait(tokens, now), scope.full))
        failure = worst.refusal(tokens, now)
        if queue is not None and opens < inf:
            line = ("in", exchange.key, *scopes)
            weight = self._of_key(exchange.key)[1]
            door = Door(scopes, ())
            told = self.waiting.join(exchange, held, queue, weight, line, door, opens=opens, otherwise=failure)
            if told is None:
                return False
            wait = max(told.retry_after or 0.0, failure.retry_after or 0.0)
            failure = told if told is DRAINING else failure._replace(retry_after=wait or None)
        exchange.refuse(failure)
        return False

    def reserve(self, exchange: Exchange, lane: Lane, number: int, now: float) -> Failure | None:
        """Attempt `number` is about to be sent: by the limits of its target and backend."""
        waiting = self.waiting
        if waiting.doors and lane.gates[0].waiting and exchange is not waiting.called and exchange.tries <= 1:
            return _TAKEN
        if not self._meters:
            return None
        meters = self._of_lane.get(lane.target.name)
        if meters is None:
            meters = self.meters(lane)
        if not meters:
            return None
        held = exchange.held
        if held is None:
            held = exchange.held = self._holding()
        tokens = held.tokens
        if not tokens and any(meter.counts_tokens for meter in meters):
            tokens = held.tokens = takes(exchange, self.usual)
        name = lane.target.name
        short = held.reserve(meters, number, now)
        if short is not None:
            self._close(name, short, now)
            return at_limit(name, short, tokens, now)
        if name in self._closed:
            del self._closed[name]
        for meter in meters:
            if meter.used_up:
                self._close(name, meter, now)
        return None

    def _close(self, name: str, meter: Meter, now: float) -> None:
        """Where not even the shortest request fits, choices leave the target out until one does."""
        wait = meter.wait(1.0, now)
        if 0 < wait < inf:
            rate = meter.why(1.0, now).rate
            told = "at the limit that it tells" if rate is None else f"at its limit of {rate.words()}"
            self._closed[name] = Closed(told, now + wait)

    def release(self, exchange: Exchange, number: int) -> None:
        """What was reserved for the attempt is not needed: it is not sent."""
        if exchange.held is not None:
            exchange.held.release(number)

    def settle(self, exchange: Exchange, number: int, outcome: Outcome) -> None:
        """That attempt has ended."""
        if self._adapts:
            self._learn(exchange.road.lanes[outcome.target], outcome, exchange.began)
        held = exchange.held
        if held is not None:
            usage = outcome.usage
            if usage is not None:
                output = usage.output
                tokens: float = usage.input + output
                if held.tokens:
                    self.usual += (output - self.usual) * LEARNS
            else:
                tokens = held.tokens if outcome.maybe_billed else 0
            held.spent = tokens if held.spent is None else held.spent + tokens
            if held.attempts is not None:
                held.settle(number, tokens)
        if self.waiting.doors:
            self.waiting.departed(time.monotonic())

    @staticmethod
    def _learn(lane: Lane, outcome: Outcome, began: float) -> None:
        """How long it took, made comparable: of a stream to its first content, of others for each token."""
        if lane.gates[0].adaptive is None and lane.gates[1].adaptive is None:
            return
        refused = outcome.failure in REFUSED
        first, usage = outcome.first_content, outcome.usage
        if refused:
            seconds, kind = 0.0, 0
        elif outcome.ended is not _SERVED or first is None:
            return
        elif outcome.stream:
            seconds, kind = first - outcome.sent, 0
        else:
            seconds, kind = (first - outcome.sent) / (TAKES_LIKE + (0 if usage is None else usage.output)), 1
        for gate in lane.gates:
            gate.learn(Sample(seconds, kind, gate.busy + 1, began + outcome.sent, refused), began + outcome.last)

    def full(self, exchange: Exchange, failure: Failure) -> Failure | None:
        """Nothing was sent, and nothing can be now. `None`: it waits for a target to have a place."""
        queue = exchange.road.route.queue
        if queue is None or failure.kind not in BY_LIMITS:
            return failure
        now = time.monotonic()
        held = exchange.held
        tokens = 0.0 if held is None else held.tokens
        lanes = exchange.road.lanes
        names = [target.name for target in exchange.road.route.targets]
        names += [name for name in exchange.closed_to if name not in names]
        waits = {name: self._blocked(exchange, lanes[name], tokens, now) for name in names}
        names = [name for name in names if waits[name] > 0]
        if not names:
            return failure
        if held is None:
            held = exchange.held = self._holding()
        soonest = min(waits[name] for name in names)
        opens = 0.0 if any(waits[name] == inf for name in names) else soonest
        weight = self._of_key(exchange.key)[1]
        door = Door((), tuple(lanes[name] for name in names))
        line = ("out", *(lane.gates[0] for lane in door.lanes))
        return self.waiting.join(exchange, held, queue, weight, line, door, opens=opens, otherwise=failure)

    def _blocked(self, exchange: Exchange, lane: Lane, tokens: float, now: float) -> float:
        """Seconds until a target has room, as far as our limits go; infinite: when somebody leaves."""
        if lane.gates[0].waiting and exchange is not self.waiting.called:
            return inf
        return self.waiting.opens(lane, tokens, now)

    def late(self, exchange: Exchange) -> None:
        """It has waited for as long as it may."""
        held = exchange.held
        if held is not None and held.ticket is not None:
            exchange.refuse(self.waiting.late(exchange, held))

    def leave(self, exchange: Exchange) -> None:
        """It is over."""
        held = exchange.held
        if held is None:
            return
        if held.ticket is not None:
            self.waiting.leave(held, "left")
        held.leave()
        if self.waiting.doors and held.bounds.scopes:
            self.waiting.wake()

    def heard(self, lane: Lane, headers: Headers) -> None:
        """An upstream answers: what its headers say of its own limits corrects ours."""
        meters = self._of_lane.get(lane.target.name)
        if meters and lane.ring is None:  # else it holds for one of several keys
            said = said_of(headers, time.time())
            if said:
                meters[0].hear(said, time.monotonic())
