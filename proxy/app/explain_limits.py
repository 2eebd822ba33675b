"""What limits would say to a request that is explained: at the door, and at each target."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import NamedTuple

from proxy.config.values import Config
from proxy.core.failure import Failure
from proxy.core.key import Key
from proxy.core.limiting.values import Limits
from proxy.core.route import Route, Target
from proxy.engine.lane import Lane
from proxy.engine.limiter import BY_LIMITS, Limiter
from proxy.engine.scopes import Scope, at_limit
from proxy.engine.sending import FULL


def of(config: Config, key: Key, route: Route) -> dict[str, Limits]:
    """What is limited where such a request comes in, in words."""
    known = {"this gateway": config.limits, f"key '{key.name}'": key.limits, f"route '{route.name}'": route.limits}
    return {words: limits for words, limits in known.items() if limits}


class Stop(NamedTuple):
    """It does not set out now."""

    failure: Failure
    waits: bool
    """In the queue, as far as there will be room in time; else that is what it is told."""


class Entrance(NamedTuple):
    """The limits that one request meets at this moment. Nothing changes by asking."""

    limiter: Limiter | None
    """`None`: nothing is counted."""
    limits: Mapping[str, Limits]
    """Of all, of its key and of its route, by what they are in words."""
    route: Route
    lanes: Mapping[str, Lane]
    tokens: float
    """That it may take, by estimate."""
    priority: str
    """Empty: normal."""
    now: float
    """On the engine's clock."""

    def at_the_door(self) -> Stop | None:
        """By the limits of all, its key and its route; `None`: it is let in."""
        tokens, now = self.tokens, self.now
        met = {} if self.limiter is None else {scope.words: scope for scope in self.limiter.scopes()}
        scopes = [met.get(words) or Scope(words, limits) for words, limits in self.limits.items()]
        if not any(scope.waiting or scope.full or scope.wait(tokens, now) > 0 for scope in scopes):
            return None
        opens = max(0.0 if scope.full else scope.wait(tokens, now) for scope in scopes)
        worst = max(scopes, key=lambda scope: (scope.wait(tokens, now), scope.full))
        return Stop(worst.refusal(tokens, now), opens < inf and self._in_time(opens))

    def shut(self, target: Target) -> Failure | None:
        """Why nothing can be sent there now: no place, or no room in a limit of the target or its backend."""
        lane = self.lanes.get(target.name)
        if lane is None:
            return None
        if any(gate.full for gate in lane.gates):
            return FULL
        for meter in () if self.limiter is None else self.limiter.meters(lane):
            if meter.wait(self.tokens, self.now) > 0:
                return at_limit(target.name, meter, self.tokens, self.now)
        return None

    def for_a_place(self, failure: Failure) -> bool:
        """It waits where no target could be sent to, and that is why."""
        if self.limiter is None or failure.kind not in BY_LIMITS:
            return False
        lanes = [self.lanes[target.name] for target in self.route.targets if target.name in self.lanes]
        waits = [self.limiter.waiting.opens(lane, self.tokens, self.now) for lane in lanes]
        waits = [wait for wait in waits if wait > 0]
        return bool(waits) and self._in_time(0.0 if inf in waits else min(waits))

    def _in_time(self, opens: float) -> bool:
        queue = self.route.queue
        return queue is not None and opens <= queue.of(self.priority).wait
