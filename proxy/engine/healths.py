"""What is known of all targets and keys, by their attempts and by what upstreams say of their limits."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from proxy.core.choice.ranking import Closed
from proxy.core.failure import Failure, FailureKind
from proxy.core.health import WELL, Health, cooled, found_down, found_up, on_outcome, on_send
from proxy.core.outcome import Ended
from proxy.engine.choices import Choices
from proxy.engine.keys import OF_THE_KEY, BackendKey, Ring
from proxy.engine.lane import Lane, Planned
from proxy.engine.roads import MAX_DIRECT


class Healths:
    """The part of the `Engine` that plans are made from."""

    def __init__(self) -> None:
        self.health: dict[str, Health] = {}
        self.trouble: dict[str, Health] = {}
        """The part of `health` that is not simply well: usually empty, so that planning costs nothing."""
        self.plans: dict[str, Planned] = {}
        """By route, while somebody is in trouble and nothing changes in that: a dead target costs no planning."""
        self.on_circuit: Callable[[str, Health, Health], None] | None = None
        """Told when a target's circuit opens or closes: (target, before, after)."""
        self.on_key: Callable[[str, BackendKey, float], None] | None = None
        """Told when one of a backend's several keys begins to rest: (backend, key, seconds)."""
        self.closed: dict[str, Closed] = {}
        """Targets at a limit of ours, which choices leave out. Whoever keeps the limits changes it in place."""
        self.choices = Choices(self.closed)
        self._direct: deque[str] = deque()

    def on_send(self, target: str, now: float) -> None:
        """An attempt goes to this target."""
        state = self.trouble.get(target)
        if state is not None:
            self._put(target, on_send(state, now))

    def foresee(self, lane: Lane, route: str, wait: float, now: float) -> None:
        """Its upstream says that it will refuse what comes in the next `wait` seconds: that holds for the key, where
        there are several, else for the target."""
        if lane.key is not None and lane.ring is not None:
            lane.key.health = cooled(lane.key.health, FailureKind.RATE_LIMITED, now + wait, now, foretold=True)
            self._rest(lane.ring, lane.target.name, now)
            return
        target = lane.target.name
        before = self.health.get(target)
        if before is None:
            before = WELL
            if route == target:
                self._meet(target)
        self._put(target, cooled(before, FailureKind.RATE_LIMITED, now + wait, now, foretold=True))

    def cool(self, target: str, until: float, now: float) -> None:
        """An operator wants it left alone until then."""
        self._put(target, cooled(self.health.get(target, WELL), FailureKind.OVERLOADED, until, now))

    def restore(self, lane: Lane) -> Health:
        """An operator says that it is well, and that its backend's keys are: what they were thought to be."""
        target = lane.target.name
        before = self.health.get(target, WELL)
        if lane.ring is not None:
            for key in lane.ring.keys:
                key.health = WELL
            self._wake(lane.ring)
        self._put(target, WELL)
        if before.opened and self.on_circuit is not None:
            self.on_circuit(target, before, WELL)
        return before

    def all_rest(self, lane: Lane, now: float) -> Failure:
        """No key of the target's backend is good: why."""
        assert lane.ring is not None
        self._rest(lane.ring, lane.target.name, now)
        return lane.ring.none_left(now)

    def found(self, target: str, down: FailureKind | None, now: float, jitter: float = 0.5) -> None:
        """Probes found that a target is out of order, by this failure; or that it answers (`None`)."""
        before = self.health.get(target, WELL)
        after = found_up(before, now) if down is None else found_down(before, down, now, jitter)
        if after is not before:
            self._put(target, after)
            # Once, not at each probe of a server that is simply not there.
            if bool(after.opened) is not bool(before.opened) and self.on_circuit is not None:
                self.on_circuit(target, before, after)

    def forget(self, targets: Iterable[str]) -> None:
        """What was learnt of these targets no longer holds (their configuration changed)."""
        for target in targets:
            self.health.pop(target, None)
            self.trouble.pop(target, None)
        self._replan()

    def _of_key(self, lane: Lane, ended: Ended, failure: Failure | None, *, sent: float, now: float) -> bool:
        """Note what an attempt's end says of the key that it used. False: it says nothing of the target."""
        key, ring = lane.key, lane.ring
        assert key is not None and ring is not None
        rested = key.rests(now)
        if ended is Ended.SERVED:
            key.health = on_outcome(key.health, ended, None, sent=sent, now=now)
            if rested and not key.rests(now):
                self._wake(ring)
            return True
        if failure is None or ended is Ended.CANCELLED or failure.kind not in OF_THE_KEY:
            return True
        rested = rested and not key.health.foretold
        key.health = on_outcome(key.health, ended, failure.kind, sent=sent, now=now, retry_after=failure.retry_after)
        if self.on_key is not None and key.rests(now) and not rested:
            self.on_key(ring.backend, key, key.health.cool_until - now)
        return False

    def _rest(self, ring: Ring, target: str, now: float) -> None:
        """Where all keys of a backend rest, its targets do, until the first of the keys is due."""
        rest = ring.rest(now)
        if rest is None or rest.cause is None:
            return
        for name in ring.targets | {target}:
            before = self.health.get(name, WELL)
            if name in ring.targets or name in self.health:
                self._put(name, cooled(before, rest.cause, rest.cool_until, now, foretold=rest.foretold))

    def _wake(self, ring: Ring) -> None:
        """One of its keys is good sooner than was thought: the targets that rest because of the keys rest no more."""
        for name in ring.targets:
            state = self.trouble.get(name)
            if state is not None and state.cause in OF_THE_KEY and not state.opened:
                self._put(name, state._replace(cool_until=0.0, foretold=False))

    def _meet(self, target: str) -> None:
        """Callers may name any number of targets directly: what is remembered of those is bounded."""
        self._direct.append(target)
        if len(self._direct) > MAX_DIRECT:
            self.forget([self._direct.popleft()])

    def _replan(self) -> None:
        self.plans.clear()
        self.choices.renew()

    def _put(self, target: str, state: Health) -> None:
        self.health[target] = state
        if state.opened or state.cool_until:
            self.trouble[target] = state
            self._replan()
        elif self.trouble and self.trouble.pop(target, None) is not None:
            self._replan()
