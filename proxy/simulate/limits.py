"""The draft's limits and its queue, on the simulation's clock: the meters are those of live traffic."""

from __future__ import annotations

from collections import deque
from collections.abc import MutableMapping
from math import inf
from typing import TYPE_CHECKING

from proxy.app.limiting import limits_anything, terms_of
from proxy.config.values import Config
from proxy.core.choice.ranking import Closed
from proxy.core.failure import Failure
from proxy.core.limiting.meter import Meter
from proxy.core.route import Route, Target
from proxy.core.usage import Usage
from proxy.engine.scopes import USUAL, Bounds, Held, Scope, at_limit, meter_of
from proxy.simulate.record import Asking

if TYPE_CHECKING:
    from proxy.simulate.entering import Entering

LEARNS = 0.02
"""Weight of a new answer's length in the usual one."""


class Limits:
    """Of all, keys, routes, backends and targets. Unix time is its clock."""

    def __init__(self, config: Config, closed: MutableMapping[str, Closed]) -> None:
        """`closed`: targets at a limit, for choices."""
        terms = terms_of(config)
        self._config = config
        self._closed = closed
        self._all = Scope("this gateway", terms.all)
        self._keys = {key.name: Scope(f"key '{key.name}'", key.limits) for key in config.keys if key.limits}
        self._routes = {
            name: Scope(f"route '{name}'", route.limits) for name, route in config.routes.items() if route.limits
        }
        self._backends = {name: meter_of(name, rates) for name, rates in terms.backends.items()}
        self._targets = {name: meter_of(name, rates) for name, rates in terms.targets.items()}
        self._usual = USUAL
        self._waiting: deque[Entering] = deque()

    # In ---------------------------------------------------------------------------------------------------------------

    def hold(self, one: Asking) -> Held:
        """What a request may take, by estimate."""
        known = (self._all if self._all.limits else None, self._keys.get(one.key), self._routes.get(one.route))
        bounds = Bounds([scope for scope in known if scope is not None])
        return Held(bounds, one.input + int(self._usual) * one.chat)

    def opens(self, held: Held, now: float) -> float:
        """Seconds until it may be let in; infinite: when somebody leaves."""
        return max((inf if scope.full else scope.wait(held.tokens, now) for scope in held.bounds.scopes), default=0.0)

    # Out --------------------------------------------------------------------------------------------------------------

    def _meters(self, target: Target) -> tuple[Meter, ...]:
        both = (self._targets.get(target.name), self._backends.get(target.backend))
        return tuple(meter for meter in both if meter is not None)

    def reserve(self, held: Held, target: Target, number: int, now: float) -> Failure | None:
        """An attempt is about to be sent there."""
        meters = self._meters(target)
        short = held.reserve(meters, number, now)
        if short is not None:
            self._close(target.name, short, now)
            return at_limit(target.name, short, held.tokens, now)
        self._closed.pop(target.name, None)
        for meter in meters:
            self._close(target.name, meter, now)
        return None

    def _close(self, name: str, meter: Meter, now: float) -> None:
        wait = meter.wait(1.0, now)
        if 0 < wait < inf:
            rate = meter.why(1.0, now).rate
            self._closed[name] = Closed("" if rate is None else f"at its limit of {rate.words()}", now + wait)

    def room(self, held: Held, target: Target, now: float) -> float:
        """Seconds until its windows have room for it."""
        return max((meter.wait(held.tokens, now) for meter in self._meters(target)), default=0.0)

    def settle(self, held: Held, number: int, usage: Usage | None) -> None:
        """That attempt has ended."""
        tokens = 0.0
        if usage is not None:
            tokens = float(usage.input + usage.output)
            self._usual += (usage.output - self._usual) * LEARNS
        held.spent = tokens if held.spent is None else held.spent + tokens
        held.settle(number, tokens)

    def leave(self, held: Held) -> None:
        """The request is over."""
        held.leave()

    # Waiting ----------------------------------------------------------------------------------------------------------

    def wait(self, journey: Entering, route: Route) -> float | None:
        """Seconds that it may wait at most, in order of coming; `None`: it may not."""
        queue = route.queue
        if queue is None or len(self._waiting) >= queue.size:
            return None
        self._waiting.append(journey)
        return queue.of(journey.priority).wait

    def drop(self, journey: Entering) -> None:
        """It waits no more."""
        if journey in self._waiting:
            self._waiting.remove(journey)

    @property
    def waited_for(self) -> bool:
        """Somebody waits."""
        return bool(self._waiting)

    def wake(self) -> None:
        """Something became free: those who wait try again, the first one first."""
        for journey in list(self._waiting):
            journey.again()


def limits_of(config: Config, closed: MutableMapping[str, Closed]) -> Limits | None:
    """`None`: it limits nothing."""
    limited = limits_anything(config) or any(key.limits for key in config.keys)
    return Limits(config, closed) if limited else None
