"""What a target did on record, to be drawn from: its latencies as they were around that time, and its failures while it
was failing."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from decimal import Decimal
from random import Random

from proxy.core.failure import FailureKind
from proxy.core.outcome import Ended, How
from proxy.core.route import Target
from proxy.simulate.record import Asking, Tried

REACH = 60.0
"""Seconds for which one attempt speaks, before and after."""
OUTAGE = 330.0
"""Seconds between two failures in which the target is taken to have been failing all the time: as long as its circuit
may keep others away."""
RUN = 3
"""So many failures in a row are an outage; fewer are how it usually is."""
NEAR, LOOKS = 16, 3
"""Answers around a time of which some are drawn, and how many; of those the one that is most alike counts."""


class History:
    """Of one target. `answers`: served, by stream or not."""

    __slots__ = ("answers", "bad", "cached", "cents", "times", "tokens", "tried", "usual")

    def __init__(self, tried: Sequence[Tried]) -> None:
        """`tried`: in the order of time."""
        told = [one for one in tried if one.ended is Ended.SERVED or _its_own(one)]
        self.tried = told
        self.times = [one.at for one in told]
        self.bad = [one.ended is not Ended.SERVED for one in told]
        self.usual = _usual(told, self.bad)
        served = [one for one in told if one.ended is Ended.SERVED and one.how is How.FRESH] or [
            one for one in told if one.ended is Ended.SERVED
        ]
        self.answers = {kind: Answers([one for one in served if (one.stream, one.chat) == kind]) for kind in _KINDS}
        used = [one.usage for one in served if one.usage is not None]
        inputs = sum(usage.input for usage in used)
        self.cached = sum(usage.cached_input for usage in used) / inputs if inputs else 0.0
        paid = [one for one in told if one.cost is not None and one.usage is not None]
        self.cents = sum((one.cost for one in paid if one.cost is not None), Decimal(0))
        self.tokens = sum(one.usage.input + one.usage.output for one in paid if one.usage is not None)

    @property
    def served(self) -> bool:
        """It answered at least once."""
        return any(answers.tried for answers in self.answers.values())

    def failing(self, at: float, random: Random) -> Tried | None:
        """The failure that an attempt at this time would meet; `None`: it would be served."""
        times, bad = self.times, self.bad
        after = bisect_left(times, at)
        if after < len(times) and times[after] == at:
            return self.tried[after] if bad[after] else None
        before = after - 1
        if before < 0 or after >= len(times):
            near = [place for place in (before, after) if 0 <= place < len(times) and abs(times[place] - at) <= REACH]
        elif bad[before] and bad[after] and times[after] - times[before] <= OUTAGE:
            near = [before if random.random() < 0.5 else after]
        else:
            near = [place for place in (before, after) if abs(times[place] - at) <= REACH]
            if len(near) == 2:  # the nearer, the likelier
                near = [before if random.random() * (times[after] - times[before]) < times[after] - at else after]
        if near:
            return self.tried[near[0]] if bad[near[0]] else None
        if not self.usual:
            return None
        found = self.usual[int(random.random() * len(self.usual))]
        return None if found.ended is Ended.SERVED else found

    def answer(self, asking: Asking, at: float, random: Random) -> Tried | None:
        """An answer as it gave around this time; `None`: it never gave one."""
        kind = (asking.stream, asking.chat)
        for other in (kind, (not asking.stream, asking.chat), *_KINDS):
            if self.answers[other].tried:
                return self.answers[other].draw(asking.output, at, random)
        return None


_KINDS = ((True, True), (False, True), (False, False), (True, False))


class Answers:
    """Those of one kind, in the order of time."""

    __slots__ = ("times", "tried")

    def __init__(self, tried: Sequence[Tried]) -> None:
        self.tried = tried
        self.times = [one.at for one in tried]

    def draw(self, output: int, at: float, random: Random) -> Tried:
        """Of some that were near in time the one that was most alike in length."""
        count = len(self.tried)
        low = max(min(bisect_left(self.times, at) - NEAR // 2, count - NEAR), 0)
        width = min(NEAR, count)
        best = self.tried[low + int(random.random() * width)]
        for _ in range(min(LOOKS, width) - 1):
            other = self.tried[low + int(random.random() * width)]
            if abs(other.output - output) < abs(best.output - output):
                best = other
        return best


_OF_REQUESTS = frozenset(
    {
        FailureKind.CONTEXT_LENGTH,
        FailureKind.UNSUPPORTED,
        FailureKind.BAD_REQUEST,
        FailureKind.FILTERED,
        FailureKind.TOOL_USE,
        FailureKind.CLIENT_GONE,
        FailureKind.TOTAL_TIMEOUT,
        FailureKind.DIVERGED,
        FailureKind.INTERNAL,
    }
)


def _its_own(one: Tried) -> bool:
    """A failure that says something of the target, not of the request or of us."""
    if one.ended is Ended.CANCELLED or one.failure is None:
        return False
    return one.failure not in _OF_REQUESTS


def _usual(tried: Sequence[Tried], bad: Sequence[bool]) -> list[Tried]:
    """Without its outages."""
    found: list[Tried] = []
    run: list[Tried] = []
    for one, failed in zip(tried, bad, strict=True):
        if failed:
            run.append(one)
            continue
        if len(run) < RUN:
            found += run
        run = []
        found.append(one)
    return found + (run if len(run) < RUN else [])


class Histories:
    """Of all targets on record. `strange`: of those that are not, whose times they were given, in words."""

    def __init__(self, requests: Iterable[Asking]) -> None:
        by_target: dict[str, list[Tried]] = {}
        self._routes: dict[str, dict[str, None]] = {}
        for request in requests:
            for one in request.tried:
                by_target.setdefault(one.target, []).append(one)
                self._routes.setdefault(request.route, {})[one.target] = None
        self._known = {name: History(sorted(tried, key=lambda one: one.at)) for name, tried in by_target.items()}
        self._found: dict[str, tuple[History, History | None]] = {}
        self.strange: dict[str, str] = {}

    def of(self, target: Target, route: str) -> tuple[History, History | None]:
        """Whose failures it has, and whose answers; the latter `None` where nobody ever answered."""
        found = self._found.get(target.name)
        if found is None:
            found = self._found[target.name] = self._find(target, route)
        return found

    def own(self, target: str) -> History | None:
        """Its own, if it is on record."""
        return self._known.get(target)

    def _find(self, target: Target, route: str) -> tuple[History, History | None]:
        own = self._known.get(target.name)
        if own is not None and own.served:
            return own, own
        peers = [name for name in self._known if _model(name) == _model(target.name) and self._known[name].served]
        why = f"the times of {', '.join(peers)} (same model)"
        if not peers:
            peers = [name for name in self._routes.get(route, ()) if self._known[name].served]
            why = f"the times of the others of route {route}"
        if not peers:
            peers = [name for name, history in self._known.items() if history.served]
            why = "the times of all others"
        if not peers:
            why = f"{FIRST:g} s to the first content and {SPEED:g} tokens a second"
        self.strange[target.name] = why
        tried = sorted((one for name in peers for one in self._known[name].tried), key=lambda one: one.at)
        return own or _NOTHING, History(tried) if peers else None


FIRST, SPEED = 1.0, 50.0
"""Seconds, tokens a second: of a target of which nobody knows anything."""
_NOTHING = History(())


def _model(name: str) -> str:
    """Without its backend and whose it is: `openrouter/openai/gpt-4o` is `gpt-4o`."""
    return name.rpartition("/")[2].lower()
