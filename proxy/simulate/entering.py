"""How a simulated request comes in: by the draft's limits, and through its queue."""

from __future__ import annotations

from abc import abstractmethod
from math import inf

from proxy.core import attempt as machine
from proxy.core.choice.rules import priority_of
from proxy.core.failure import Failure
from proxy.core.outcome import How
from proxy.core.route import Route
from proxy.engine.limiter import BY_LIMITS
from proxy.engine.scopes import Held
from proxy.simulate.course import Course
from proxy.simulate.limits import Limits
from proxy.simulate.record import Asking
from proxy.simulate.world import World

ENDS, CONTENT, AGAIN, HEDGE, LATE, LEAVES, OPENS, TIRED = range(8)
"""What happens at a time."""
_OUTSIDE = machine.State(Route("", ()), ())


class Entering:
    """The part of a `Journey` that comes before its first attempt."""

    __slots__ = ("_course", "_deadline", "_held", "_one", "_sent", "_state", "_until", "_waits", "_world")

    def __init__(self, world: World, course: Course, one: Asking) -> None:
        self._world = world
        self._course = course
        self._one = one
        self._deadline = one.at + course.total
        self._state = _OUTSIDE
        self._sent: list[tuple[str, How]] = []
        """Where it went, in order."""
        self._held: Held | None = None
        self._waits = False
        self._until = 0.0
        """Unix time until which it waits at most; 0: it never did."""

    def start(self) -> None:
        """It comes in."""
        self._world.entered(self._course.route)
        limits = self._world.limits
        if limits is None:
            self._set_out()
            return
        self._held = limits.hold(self._one)
        if not self._try(limits, self._held) and not self._wait(limits):
            self._world.tally.unanswered(left=False, refused=True)

    @property
    def priority(self) -> str:
        """Empty: normal."""
        policy = self._course.route.policy
        if policy is None:
            return self._one.wish.priority
        hour = int(self._world.days.second(self._world.now) // 3600)
        return priority_of(policy.rules, self._course.asked(self._one), hour)

    @abstractmethod
    def happens(self, what: int, number: int) -> None:
        """It is time."""

    @abstractmethod
    def _set_out(self) -> None:
        """Chosen for, and sent."""

    def _try(self, limits: Limits, held: Held) -> bool:
        if limits.opens(held, self._world.now) > 0:
            return False
        held.enter(self._world.now)
        self._set_out()
        return True

    def again(self) -> bool:
        """Something became free. True: it waits no more where it did."""
        world, held = self._world, self._held
        limits = world.limits
        if limits is None or held is None or not self._waits or self._opens(limits, held) > 0:
            return False
        self._waits = False
        limits.drop(self)
        if held.inside:
            self._set_out()
        else:
            self._try(limits, held)
        return True

    def _opens(self, limits: Limits, held: Held) -> float:
        """Seconds until there can be room; infinite: when somebody leaves."""
        if not held.inside:
            return limits.opens(held, self._world.now)
        return min((self._room(limits, held, name) for name in self._names), default=inf)

    @property
    def _names(self) -> list[str]:
        return [target.name for target in self._course.route.targets]

    def _room(self, limits: Limits, held: Held, name: str) -> float:
        spot = self._world.spots[name]
        if any(gate.full for gate in spot.gates):
            return inf
        return limits.room(held, spot.target, self._world.now)

    def _wait(self, limits: Limits) -> bool:
        """For its turn, if it may."""
        world, held = self._world, self._held
        assert held is not None
        seconds = limits.wait(self, self._course.route)
        if seconds is None:
            return False
        if not self._until:
            self._until = min(world.now + seconds, self._deadline)
            world.at(self._until, self, TIRED)
            if self._one.leaves < self._until:
                world.at(self._one.leaves, self, LEAVES)
        opens = self._opens(limits, held)
        if world.now >= self._until or world.now + (0.0 if opens == inf else opens) > self._until:
            limits.drop(self)
            return False
        if opens < inf:
            world.at(world.now + max(opens, 1e-6), self, OPENS)
        self._waits = True
        return True

    def _waits_for_place(self, failure: Failure) -> bool:
        """No target could be asked for now: it waits for one."""
        limits = self._world.limits
        if limits is None or self._sent or failure.kind not in BY_LIMITS:
            return False
        self._state = _OUTSIDE
        return self._wait(limits)

    def _gives_up(self, what: int) -> None:
        """It waited in vain, or its client left."""
        limits = self._world.limits
        assert limits is not None
        limits.drop(self)
        self._waits = False
        self._over(limits)
        self._world.tally.unanswered(left=what == LEAVES, refused=what != LEAVES)

    def _over(self, limits: Limits) -> None:
        if self._held is not None:
            limits.leave(self._held)
            self._stir(limits)

    def _stir(self, limits: Limits) -> None:
        """Something became free."""
        if limits.waited_for:
            self._world.at(self._world.now, self, OPENS)
