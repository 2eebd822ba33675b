"""What strategies learn from attempts, and the choice that a request gets by it. In memory, over all configurations."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterable, Mapping
from math import inf
from typing import Any, TypeVar

from proxy.core.chat import ChatRequest, EmbedRequest
from proxy.core.choice.bandit import Trials, counted, reward, rewarded
from proxy.core.choice.choose import Choice, shortlist
from proxy.core.choice.facts import plain_facts
from proxy.core.choice.measured import FRESH, Measured, measure
from proxy.core.choice.policy import Ucb
from proxy.core.choice.ranking import Closed, Draw, Loaded, Seen
from proxy.core.choice.rotation import Ring, Turn
from proxy.core.choice.rules import Asked, first_that_holds
from proxy.core.health import Health
from proxy.core.outcome import Ended, How, Outcome
from proxy.core.relay import Request
from proxy.core.tokens import calibrated, of_text
from proxy.core.usage import Source
from proxy.engine.lane import Lane, Road
from proxy.engine.shelf import (
    FRESH_FOR,
    Plain,
    Ready,
    Shape,
    Shaped,
    Shelf,
    asked,
    cold_of,
    lasts,
    plain_shape,
    shape_of,
)

MOST = 10_000
"""Targets, groups and conversations of which something is remembered."""
LESSONS = 100
"""`ucb` looks again after one more attempt for every so many that it knows of, however soon that is."""
CALIBRATES_EVERY = 0.1
"""Seconds between two looks at how many tokens a target makes of a text, however many requests it serves."""
TOLD_EVERY = 60.0
"""Seconds between two lines in the log about a `custom` function that raises."""
_LOG = logging.getLogger("wayline.choice")
_UCB = Ucb()
_SERVED, _CANCELLED = Ended.SERVED, Ended.CANCELLED  # reading a member off its class costs 0.13 us in Python 3.11
_NO_TURNS: dict[Ring, Turn] = {}
_NONE_COLD: dict[str, str] = {}
_NO_TRIALS: dict[str, Trials] = {}


class Choices:
    """One for each process."""

    def __init__(self, closed: Mapping[str, Closed] | None = None) -> None:
        """`closed`: targets at a limit of ours, see `Healths.closed`."""
        self.closed: Mapping[str, Closed] = {} if closed is None else closed
        self.measured: dict[str, Measured] = {}
        self.trials: dict[str, dict[str, Trials]] = {}
        """By route."""
        self.turns: dict[str, dict[Ring, Turn]] = {}
        """By route."""
        self.last: dict[tuple[str, int], str] = {}
        """The target that served a conversation last, by route and conversation, the latest last."""
        self.hour: Callable[[], int] = local_hour
        self._brief: dict[str, Shelf] = {}
        self._lasting: dict[str, Shelf] = {}
        """What depends on nothing that is measured."""
        self._told: dict[str, float] = {}
        self._calibrates: dict[str, float] = {}
        """When a target's tokens are compared with its characters again."""

    # Choosing --------------------------------------------------------------------------------------------------------

    def ready(self, road: Road, request: Request, key: str, health: Mapping[str, Health], now: float) -> Ready:
        """For a request that is sent now: turns move on. `health`: of all that are not simply well; where that
        changes, `renew` must be called."""
        shaped = self._shaped(road, request, key, health, now)
        if shaped.settled is not None:
            return shaped.settled
        name = road.route.name
        choice = shaped.shortlist.choice(random.random, self.turns.get(name, _NO_TURNS), self._last(road, request))
        if choice.turns:
            _of(self.turns, name).update(choice.turns)
        if choice.trouble:
            self._tell(name, choice.trouble, now)
        return shaped.ready(choice, road, request)

    def explain(
        self, road: Road, request: Request, key: str, health: Mapping[str, Health], now: float, draw: Draw
    ) -> Choice:
        """What would be done with this request now. Nothing changes by it."""
        shaped = self._shaped(road, request, key, health, now, draw)
        turns = self.turns.get(road.route.name, _NO_TURNS)
        return shaped.shortlist.choice(draw, turns, self._last(road, request))

    def renew(self) -> None:
        """Some target's standing has changed: what was found out before no longer holds."""
        self._brief.clear()
        self._lasting.clear()

    def _shaped(
        self,
        road: Road,
        request: Request,
        key: str,
        health: Mapping[str, Health],
        now: float,
        draw: Draw = random.random,
    ) -> Shaped:
        shape: Shape | Plain | None = plain_shape(road, request)
        if shape is not None:
            shelves = self._lasting if road.lasts else self._brief
        else:
            what = asked(road, request, key)
            policy = road.route.policy
            rule = first_that_holds(policy.rules, what, self.hour()) if policy is not None and policy.rules else None
            shape = full = shape_of(road, what, rule)
            shelves = self._lasting if lasts(road, full) else self._brief
        name = road.route.name
        shelf = shelves.get(name)
        if (
            shelf is None
            or shelf.road is not road
            or now >= shelf.until
            or ((health or shelf.health or self.closed or shelf.closed) and self._changed(shelf, health))
        ):
            if len(shelves) >= MOST:
                shelves.clear()
            shelf = shelves[name] = self._shelf(road, health, now, inf if shelves is self._lasting else now + FRESH_FOR)
        shaped = shelf.shapes.get(shape)
        if shaped is None:
            if type(shape) is int:
                what, rule = asked(road, request, key), None
            shaped = self._shape(road, request, what, rule, health, now, draw)
            if not shaped.shortlist.once:
                shelf.put(shape, shaped)
        return shaped

    def _changed(self, shelf: Shelf, health: Mapping[str, Health]) -> bool:
        """What it was made from."""
        return shelf.health != health or shelf.closed != self.closed

    def _shelf(self, road: Road, health: Mapping[str, Health], now: float, until: float) -> Shelf:
        trials = self.trials.get(road.route.name, _NO_TRIALS)
        policy = road.route.policy
        window = (_UCB if policy is None else policy.ucb).window
        known = sum(counted(one, now, window)[0] for one in trials.values())
        return Shelf(road, health, self.closed, until, known // LESSONS)

    def _shape(
        self,
        road: Road,
        request: Request,
        what: Asked,
        rule: int | None,
        health: Mapping[str, Health],
        now: float,
        draw: Draw,
    ) -> Shaped:
        route = road.vectors if isinstance(request, EmbedRequest) else road.route
        return Shaped(shortlist(route, what, rule, health, self.seen(road, now), draw, road.custom))

    def seen(self, road: Road, now: float) -> Seen:
        """What is known at this moment, but for what concerns one request only."""
        name = road.route.name
        lanes = road.lanes

        def busy(target: str) -> Loaded:
            return lanes[target].gates[0]

        policy = road.route.policy
        cold = cold_of(road) if policy is not None and policy.warm else _NONE_COLD
        turns, trials = self.turns.get(name, _NO_TURNS), self.trials.get(name, _NO_TRIALS)
        return Seen(now, self.measured, trials, turns, busy, closed=self.closed, cold=cold)

    def _last(self, road: Road, request: Request) -> str:
        policy = road.route.policy
        if policy is None or not policy.sticky or not isinstance(request, ChatRequest):
            return ""
        return self.last.get((road.route.name, conversation(request.body)), "")

    def _tell(self, route: str, trouble: str, now: float) -> None:
        if now >= self._told.get(route, 0.0):
            self._told[route] = now + TOLD_EVERY
            _LOG.warning("the function of route %s failed, its order holds: %s", route, trouble[:500])

    # Learning --------------------------------------------------------------------------------------------------------

    def note(self, road: Road, request: Request, outcome: Outcome, lane: Lane, now: float, strategy: str) -> None:
        """An attempt of a request that was chosen for has ended: those of routes in plain order cost nothing."""
        target, ended = outcome.target, outcome.ended
        known = self.measured.get(target)
        if known is None:
            if len(self.measured) >= MOST:
                self.measured.clear()  # callers may name any number of targets directly
            known = FRESH
        after = self.measured[target] = measure(known, outcome, now, lane.gates[0].busy)
        if ended is _SERVED and now >= self._calibrates.get(target, 0.0):
            self._calibrate(request, outcome, after, lane, now)
        if after.in_a_row or after.in_a_row != known.in_a_row or not known.attempts:
            self._brief.clear()
        policy = road.route.policy
        if policy is not None and policy.sticky and ended is _SERVED and isinstance(request, ChatRequest):
            self._stay(road.route.name, conversation(request.body), target)
        if (road.learns or strategy == "ucb") and ended is not _CANCELLED:
            self._learn(outcome, _UCB if policy is None else policy.ucb, now)

    def _calibrate(self, request: Request, outcome: Outcome, known: Measured, lane: Lane, now: float) -> None:
        """How many tokens the target's model makes of the characters of a plain text: as it reports, or as its own
        tokenizer counts."""
        usage = outcome.usage
        if usage is None or outcome.how is not How.FRESH:
            return
        if usage.source is not Source.REPORTED and lane.count is of_text:
            return
        found = plain_facts(request.body) if isinstance(request, ChatRequest) and request.native is None else None
        if found is None:
            return
        if len(self._calibrates) >= MOST:
            self._calibrates.clear()
        self._calibrates[outcome.target] = now + CALIBRATES_EVERY
        dense = calibrated(known.dense, found[0], usage.input)
        if dense != known.dense:
            self.measured[outcome.target] = known._replace(dense=dense)

    def _stay(self, route: str, of: int, target: str) -> None:
        last = self.last
        last.pop((route, of), None)
        last[route, of] = target
        if len(last) > MOST:
            del last[next(iter(last))]

    def _learn(self, outcome: Outcome, ucb: Ucb, now: float) -> None:
        known = _of(self.trials, outcome.route)
        until = outcome.last if outcome.first_content is None else outcome.first_content
        worth = reward(
            ucb,
            served=outcome.ended is _SERVED,
            seconds=until - outcome.sent,
            cost=None if outcome.cost is None else float(outcome.cost),
        )
        known[outcome.target] = rewarded(known.get(outcome.target, _UNTRIED), worth, now, ucb.window)
        shelf = self._brief.get(outcome.route)
        if shelf is not None:
            shelf.lessons -= 1
            if shelf.lessons < 0:
                del self._brief[outcome.route]

    def forget(self, targets: Iterable[str]) -> None:
        """What was learnt of these targets no longer holds."""
        gone = frozenset(targets)
        for target in gone:
            self.measured.pop(target, None)
        for known in self.trials.values():
            for target in gone & known.keys():
                del known[target]
        self.renew()


_UNTRIED = Trials()
_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


def _of(table: dict[str, dict[_Key, _Value]], route: str) -> dict[_Key, _Value]:
    """What is remembered of a route; direct targets are routes too, of which there may be any number."""
    found = table.get(route)
    if found is None:
        if len(table) >= MOST:
            table.clear()
        found = table[route] = {}
    return found


def local_hour() -> int:
    """Of the machine's local day."""
    return time.localtime().tm_hour


def conversation(body: Mapping[str, Any]) -> int:
    """What the requests of one conversation have in common: the key for the provider's own cache where the caller names
    one, else how the conversation begins, and whose it is."""
    named = body.get("prompt_cache_key")
    if isinstance(named, str):
        return hash(named)
    messages = body.get("messages")
    begin: list[object] = [body.get("user") if isinstance(body.get("user"), str) else None]
    for message in messages[:2] if isinstance(messages, list) else ():
        content = message.get("content") if isinstance(message, dict) else message
        begin.append(content if isinstance(content, str) else repr(message))
    return hash(tuple(begin))
