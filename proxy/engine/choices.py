"""The choice that a request gets, by what was learnt from attempts."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterable, Mapping
from math import inf

from proxy.core.chat import ChatRequest, EmbedRequest
from proxy.core.choice.bandit import Trials, counted
from proxy.core.choice.choose import Choice, shortlist
from proxy.core.choice.facts import Text, text_of
from proxy.core.choice.ranking import Closed, Draw, Loaded, Seen
from proxy.core.choice.rotation import Ring, Turn
from proxy.core.choice.rules import Asked, first_that_holds
from proxy.core.health import Health
from proxy.core.relay import Request
from proxy.engine.lane import Road
from proxy.engine.lessons import MOST, UCB, Lessons, conversation, of
from proxy.engine.shelf import (
    Plain,
    Ready,
    Shape,
    Shaped,
    Shelf,
    asked,
    cold_of,
    fresh_for,
    lasts,
    plain_shape,
    shape_of,
    shape_of_text,
)

LESSONS = 100
"""`ucb` looks again after one more attempt for every so many that it knows of, however soon that is."""
TOLD_EVERY = 60.0
"""Seconds between two lines in the log about a `custom` function that raises."""
_LOG = logging.getLogger("wayline.choice")
_NO_TURNS: dict[Ring, Turn] = {}
_NONE_COLD: dict[str, str] = {}
_NO_TRIALS: dict[str, Trials] = {}


class Choices(Lessons):
    """One for each process."""

    def __init__(self, closed: Mapping[str, Closed] | None = None) -> None:
        """`closed`: targets at a limit of ours, see `Healths.closed`."""
        super().__init__()
        self.closed: Mapping[str, Closed] = {} if closed is None else closed
        self.turns: dict[str, dict[Ring, Turn]] = {}
        """By route."""
        self.hour: Callable[[], int] = local_hour
        self._lasting: dict[str, Shelf] = {}
        """What requests share and depends on nothing that is measured, by route."""
        self._told: dict[str, float] = {}

    def settled(self, road: Road, request: Request, text: Text, now: float) -> Ready | None:
        """What most requests get that are nothing but this text and ask nothing of targets, while all of these are
        well: nothing is left to be decided with each. `None`: `ready` says what they get."""
        look = road.look
        if look is not None and not look.plain(request.body, len(request.raw)):
            return None
        shelf = (self._lasting if road.lasts else self._brief).get(road.route.name)
        if shelf is None or shelf.road is not road or now >= shelf.until or not shelf.clean:
            return None
        shaped = shelf.shapes.get(shape_of_text(text))
        return None if shaped is None else shaped.settled

    def ready(
        self, road: Road, request: Request, key: str, health: Mapping[str, Health], now: float, text: Text | None
    ) -> Ready:
        """For a request that is sent now: turns move on. `health`: of all that are not simply well; where that
        changes, `renew` must be called. `text`: as `text_of` sees the request, where the road weighs it."""
        name, shape = road.route.name, plain_shape(road, request, text)
        shaped = None
        if shape is not None:
            shelf = (self._lasting if road.lasts else self._brief).get(name)
            alike = shelf is not None and shelf.clean and not health and not self.closed
            if shelf is not None and alike and shelf.road is road and now < shelf.until:
                shaped = shelf.shapes.get(shape)
        if shaped is None:
            shaped = self._shaped(road, request, key, shape, health, now, random.random)
        if shaped.settled is not None:
            return shaped.settled
        choice = shaped.shortlist.choice(random.random, self.turns.get(name, _NO_TURNS), self._last(road, request))
        if choice.turns:
            of(self.turns, name).update(choice.turns)
        if choice.trouble:
            self._tell(name, choice.trouble, now)
        return shaped.ready(choice, road, request)

    def explain(
        self, road: Road, request: Request, key: str, health: Mapping[str, Health], now: float, draw: Draw
    ) -> Choice:
        """What would be done with this request now. Nothing changes by it."""
        shaped = self._shaped(road, request, key, plain_shape(road, request, text_of(request)), health, now, draw)
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
        shape: Shape | Plain | None,
        health: Mapping[str, Health],
        now: float,
        draw: Draw,
    ) -> Shaped:
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
            or shelf.health != health
            or shelf.closed != self.closed
        ):
            if len(shelves) >= MOST:
                shelves.clear()
            until = inf if shelves is self._lasting else now + fresh_for(road)
            before = shelf
            shelf = shelves[name] = self._shelf(road, health, now, until)
            if before is not None and before.road is road:
                shelf.orders = before.orders
        shaped = shelf.shapes.get(shape)
        if shaped is None:
            if type(shape) is int:
                what, rule = asked(road, request, key), None
            shaped = self._shape(shelf, request, what, rule, now, draw)
            if not shaped.shortlist.once:
                shelf.put(shape, shaped)
        return shaped

    def _shelf(self, road: Road, health: Mapping[str, Health], now: float, until: float) -> Shelf:
        trials = self.trials.get(road.route.name, _NO_TRIALS)
        policy = road.route.policy
        window = (UCB if policy is None else policy.ucb).window
        known = sum(counted(one, now, window)[0] for one in trials.values())
        opens = (one.until for one in self.closed.values() if one.until > now)
        return Shelf(road, health, self.closed, min((until, *opens)), known // LESSONS)

    def _shape(self, shelf: Shelf, request: Request, what: Asked, rule: int | None, now: float, draw: Draw) -> Shaped:
        road = shelf.road
        vectors = isinstance(request, EmbedRequest)
        route, shared = (road.vectors, None) if vectors else (road.route, shelf.shared)
        seen = self.seen(road, now)
        return Shaped(shortlist(route, what, rule, shelf.health, seen, draw, road.custom, shared), shelf.orders)

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

    def forget(self, targets: Iterable[str]) -> None:
        """What was learnt of these targets no longer holds."""
        super().forget(targets)
        self.renew()


def local_hour() -> int:
    """Of the machine's local day."""
    return time.localtime().tm_hour
