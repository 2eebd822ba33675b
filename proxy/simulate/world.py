"""What an engine keeps over its requests, on the simulation's clock: health, measures, turns, budgets of retries."""

from __future__ import annotations

import heapq
from collections import deque
from datetime import datetime, tzinfo
from itertools import count
from math import inf
from random import Random
from typing import TYPE_CHECKING

from proxy.config.values import Config
from proxy.core.choice.bandit import Trials, reward, rewarded
from proxy.core.choice.choose import Choice, choose
from proxy.core.choice.measured import FRESH, Measured, measure
from proxy.core.choice.policy import Ucb
from proxy.core.choice.ranking import Closed, Loaded, Seen
from proxy.core.choice.rotation import Ring, Turn
from proxy.core.choice.rules import Asked
from proxy.core.failure import FailureKind
from proxy.core.health import WELL, Health, on_outcome, on_send
from proxy.core.outcome import Ended, Outcome
from proxy.core.retry_budget import RetryBudget, allowed, earned, spent
from proxy.core.route import Route
from proxy.engine.engine import LATENCIES, LATENCIES_MIN, RETRY_LEAST, RETRY_SHARE
from proxy.simulate.course import Course, Spot
from proxy.simulate.fate import Fates
from proxy.simulate.limits import limits_of
from proxy.simulate.money import money_of
from proxy.simulate.tally import Tally

if TYPE_CHECKING:
    from proxy.simulate.entering import Entering

QUARTER = 900.0
"""Seconds. No zone of the world changes its clocks but at the full quarter of an hour."""
_UCB = Ucb()


class Days:
    """The local time of day. `zone`: whose; `None`: this machine's."""

    def __init__(self, zone: tzinfo | None) -> None:
        self._zone = zone
        self._offsets: dict[int, float] = {}

    def second(self, at: float) -> float:
        """Of the local day, at a Unix time."""
        quarter = int(at // QUARTER)
        offset = self._offsets.get(quarter)
        if offset is None:
            here = datetime.fromtimestamp(at, self._zone).astimezone(self._zone)
            offset = (here.utcoffset() or here - here).total_seconds()
            self._offsets[quarter] = offset
        return (at + offset) % 86400.0


class World:
    """`now` is Unix time, moved on by `Run`."""

    def __init__(self, config: Config, spots: dict[str, Spot], fates: Fates, days: Days, random: Random) -> None:
        self.now = 0.0
        self.spots = spots
        self.fates = fates
        self.days = days
        self.random = random
        self.tally = Tally()
        self.closed: dict[str, Closed] = {}
        """Targets that stand at a limit of ours."""
        self.limits = limits_of(config, self.closed)
        self.money = money_of(config)
        self.health: dict[str, Health] = {}
        self.trouble: dict[str, Health] = {}
        """The part of `health` that is not simply well."""
        self.measured: dict[str, Measured] = {}
        self.trials: dict[str, dict[str, Trials]] = {}
        self.turns: dict[str, dict[Ring, Turn]] = {}
        self.trouble_told: dict[str, str] = {}
        """What `custom` functions raised, by route."""
        self.heap: list[tuple[float, int, Entering, int, int]] = []
        """(when, order, whose, what, number of the attempt)"""
        self._order = count()
        self._retries = RetryBudget(RETRY_SHARE, least=RETRY_LEAST, saved=RETRY_LEAST)
        self._entered = 0
        self._hedges: dict[str, RetryBudget] = {}
        self._latencies: dict[str, deque[float]] = {}

    def at(self, when: float, journey: Entering, what: int, number: int = 0) -> None:
        """Something happens then."""
        heapq.heappush(self.heap, (when, next(self._order), journey, what, number))

    # Choosing -----------------------------------------------------------------------------------------------------

    def choose(self, course: Course, asked: Asked) -> Choice:
        """As live traffic does; turns move on."""
        route = course.route
        name = route.name
        hour = 0
        if route.policy is not None and route.policy.rules:
            hour = int(self.days.second(self.now) // 3600)
        seen = Seen(
            now=self.now,
            measured=self.measured,
            trials=self.trials.get(name, _NO_TRIALS),
            turns=self.turns.get(name, _NO_TURNS),
            busy=self._busy,
            hour=hour,
            closed=self.closed,
        )
        choice = choose(route, asked, self.trouble, seen, self.random.random, course.custom)
        if choice.turns:
            self.turns.setdefault(name, {}).update(choice.turns)
        if choice.trouble:
            self.trouble_told[name] = choice.trouble
        return choice

    def _busy(self, target: str) -> Loaded:
        return self.spots[target].gates[0]

    # Learning -----------------------------------------------------------------------------------------------------

    def on_send(self, target: str) -> None:
        """An attempt goes there."""
        state = self.trouble.get(target)
        if state is not None:
            self._put(target, on_send(state, self.now))

    def on_end(self, target: str, ended: Ended, failure: FailureKind | None, sent: float) -> None:
        """An attempt has ended: its target's health moves on."""
        jitter = 0.5 if failure is None else self.random.random()
        before = self.health.get(target, WELL)
        self._put(target, on_outcome(before, ended, failure, sent=sent, now=self.now, jitter=jitter))

    def _put(self, target: str, state: Health) -> None:
        self.health[target] = state
        if state.opened or state.cool_until:
            self.trouble[target] = state
        elif self.trouble:
            self.trouble.pop(target, None)

    def learn(self, course: Course, outcome: Outcome, spot: Spot, strategy: str) -> None:
        """What strategies go by."""
        target = outcome.target
        self.measured[target] = measure(self.measured.get(target, FRESH), outcome, self.now, spot.gates[0].busy)
        policy = course.route.policy
        if outcome.ended is Ended.CANCELLED or not (course.learns or strategy == "ucb"):
            return
        ucb = _UCB if policy is None else policy.ucb
        until = outcome.last if outcome.first_content is None else outcome.first_content
        price = None if outcome.cost is None else float(outcome.cost)
        worth = reward(ucb, served=outcome.ended is Ended.SERVED, seconds=until - outcome.sent, cost=price)
        known = self.trials.setdefault(outcome.route, {})
        known[target] = rewarded(known.get(target, Trials()), worth, self.now, ucb.window)

    # Budgets of tries ---------------------------------------------------------------------------------------------

    def entered(self, route: Route) -> None:
        """A request came in."""
        self._entered += 1
        if route.hedge is not None:
            self._hedges[route.name] = earned(self._hedge(route), self.now)

    def may_retry(self) -> bool:
        """One more try at the same target is allowed."""
        self._retries = earned(self._retries, self.now, self._entered)
        self._entered = 0
        return allowed(self._retries, self.now)

    def retried(self) -> None:
        """One such."""
        self._retries = spent(self._retries, self.now)

    def may_hedge(self, route: Route) -> bool:
        """One more hedge is."""
        return allowed(self._hedge(route), self.now)

    def hedged(self, route: Route) -> None:
        """One such."""
        self._hedges[route.name] = spent(self._hedge(route), self.now)

    def _hedge(self, route: Route) -> RetryBudget:
        return self._hedges.get(route.name) or RetryBudget(0.0 if route.hedge is None else route.hedge.budget)

    def note_latency(self, target: str, first: float) -> None:
        """Seconds to a first content, for hedging."""
        self._latencies.setdefault(target, deque(maxlen=LATENCIES)).append(first)

    def p95(self, target: str) -> float:
        """Seconds; infinite while too little is known."""
        known = self._latencies.get(target, ())
        return sorted(known)[int(len(known) * 0.95)] if len(known) >= LATENCIES_MIN else inf


_NO_TRIALS: dict[str, Trials] = {}
_NO_TURNS: dict[Ring, Turn] = {}
