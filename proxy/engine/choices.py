"""What strategies learn from attempts, and the choice that a request gets by it. In memory, over all configurations."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from cachetools import LRUCache

from proxy.core.chat import ChatRequest, EmbedRequest
from proxy.core.choice.bandit import Trials, reward, rewarded
from proxy.core.choice.choose import Choice, choose
from proxy.core.choice.facts import Facts, facts_of, output_of
from proxy.core.choice.measured import FRESH, Measured, measure
from proxy.core.choice.policy import Ucb
from proxy.core.choice.ranking import Closed, Draw, Seen
from proxy.core.choice.rotation import Turns
from proxy.core.choice.rules import Asked
from proxy.core.choice.wish import NONE
from proxy.core.health import Health
from proxy.core.outcome import Ended, Outcome
from proxy.core.relay import Request
from proxy.core.route import Route
from proxy.engine.lane import Lane, Road

MOST = 10_000
"""Targets, groups and conversations of which something is remembered."""
TOLD_EVERY = 60.0
"""Seconds between two lines in the log about a `custom` function that raises."""
_LOG = logging.getLogger("wayline.choice")
_UCB = Ucb()


class Choices:
    """One for each process."""

    def __init__(self, closed: Mapping[str, Closed] | None = None) -> None:
        """`closed`: targets at a limit of ours, see `Engine.closed`."""
        self.closed: Mapping[str, Closed] = {} if closed is None else closed
        self.measured: dict[str, Measured] = {}
        self.trials: dict[str, dict[str, Trials]] = {}
        """By route."""
        self.turns: dict[str, dict[str, Turns]] = {}
        """By route."""
        self.last: LRUCache[tuple[str, int], str] = LRUCache(MOST)
        """The target that served a conversation last, by route and conversation."""
        self._told: dict[str, float] = {}

    def explain(
        self, road: Road, request: Request, key: str, health: Mapping[str, Health], now: float, draw: Draw
    ) -> Choice:
        """What would be done with this request now. Nothing changes by it."""
        route = road.vectors if isinstance(request, EmbedRequest) else road.route
        return choose(route, asked(road, request, key), health, self.seen(road, request, now), draw, road.custom)

    def choose(self, road: Road, request: Request, key: str, health: Mapping[str, Health], now: float) -> Choice:
        """For a request that is sent now: turns move on."""
        route = road.route
        choice = self.explain(road, request, key, health, now, random.random)
        if choice.turns:
            _of(self.turns, route.name).update(choice.turns)
        if choice.trouble and now >= self._told.get(route.name, 0.0):
            self._told[route.name] = now + TOLD_EVERY
            _LOG.warning("the function of route %s failed, its order holds: %s", route.name, choice.trouble[:500])
        return choice

    def seen(self, road: Road, request: Request, now: float) -> Seen:
        """What is known at this moment."""
        name = road.route.name
        policy = road.route.policy
        lanes = road.lanes

        def busy(target: str) -> tuple[int, int | None]:
            gate = lanes[target].gates[0]
            return gate.busy, gate.limit

        last = hour = None
        if policy is not None:
            sticky = policy.sticky and isinstance(request, ChatRequest)
            last = self.last.get((name, conversation(request.body))) if sticky else None
            hour = time.localtime().tm_hour if policy.rules else 0
        turns = self.turns.get(name, {})
        return Seen(now, self.measured, self.trials.get(name, {}), turns, busy, last or "", hour or 0, self.closed)

    def note(self, road: Road, request: Request, outcome: Outcome, lane: Lane, now: float, strategy: str) -> None:
        """An attempt of a request that was chosen for has ended: those of routes in plain order cost nothing."""
        target = outcome.target
        if len(self.measured) >= MOST:
            self.measured.clear()  # callers may name any number of targets directly
        self.measured[target] = measure(self.measured.get(target, FRESH), outcome, now, lane.gates[0].busy)
        policy = road.route.policy
        served = outcome.ended is Ended.SERVED
        if policy is not None and policy.sticky and served and isinstance(request, ChatRequest):
            self.last[road.route.name, conversation(request.body)] = target
        if (strategy == "ucb" or road.learns) and outcome.ended is not Ended.CANCELLED:
            self._learn(outcome, _UCB if policy is None else policy.ucb, now)

    def _learn(self, outcome: Outcome, ucb: Ucb, now: float) -> None:
        known = _of(self.trials, outcome.route)
        until = outcome.last if outcome.first_content is None else outcome.first_content
        worth = reward(
            ucb,
            served=outcome.ended is Ended.SERVED,
            seconds=until - outcome.sent,
            cost=None if outcome.cost is None else float(outcome.cost),
        )
        known[outcome.target] = rewarded(known.get(outcome.target, Trials()), worth, now, ucb.window)

    def forget(self, targets: Iterable[str]) -> None:
        """What was learnt of these targets no longer holds."""
        gone = frozenset(targets)
        for target in gone:
            self.measured.pop(target, None)
        for known in self.trials.values():
            for target in gone & known.keys():
                del known[target]


_Value = TypeVar("_Value")


def _of(table: dict[str, dict[str, _Value]], route: str) -> dict[str, _Value]:
    """What is remembered of a route; direct targets are routes too, of which there may be any number."""
    if route not in table and len(table) >= MOST:
        table.clear()
    return table.setdefault(route, {})


def asked(road: Road, request: Request, key: str) -> Asked:
    """The request as preflight and rules see it. Its tokens are counted only where that can matter."""
    wish = NONE if request.wish is None else request.wish
    chat = isinstance(request, ChatRequest)
    plain = road.plain(request)
    if not isinstance(request, ChatRequest | EmbedRequest):
        facts = Facts(0, chat=False, model=request.model)
    elif road.weighs or wish is not NONE or not plain:
        facts = facts_of(request.body, chat=chat, model=request.model)
    else:
        facts = Facts(0, output_of(request.body) if chat else None, chat=chat)
    return Asked(facts, wish, key, dict(wish.headers), plain)


def conversation(body: Mapping[str, Any]) -> int:
    """What the requests of one conversation have in common: the key for the provider's own cache where the caller names
    one, else how the conversation begins, and whose it is."""
    named = body.get("prompt_cache_key")
    if isinstance(named, str):
        return hash(named)
    messages = body.get("messages")
    begin = repr(messages[:2]) if isinstance(messages, list) else ""
    return hash((str(body.get("user")), begin))


def only_those(road: Road, route: Route, choice: Choice) -> Road:
    """The road without the targets that this request leaves out: nothing that follows may go there."""
    names = {target.name for target in choice.plan.targets} | {one.target.name for one in choice.plan.skipped}
    return road.among(route, names)
