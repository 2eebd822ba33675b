"""The strategies: in which order the members of a group are tried. A group stands where its first target would."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import NamedTuple

from proxy.core.choice.bandit import Trials, by_bound
from proxy.core.choice.facts import Facts
from proxy.core.choice.fitting import expected_cost, expected_output
from proxy.core.choice.measured import FRESH, Measured
from proxy.core.choice.policy import Group, Policy, Ucb
from proxy.core.choice.rotation import Turns, turn
from proxy.core.choice.score import Part, scores
from proxy.core.route import Target

WEIGH = frozenset({"cheapest", "score", "custom"})
"""Strategies to which the tokens of a request matter."""

Draw = Callable[[], float]
"""A number in [0, 1)."""


def _nobody(_target: str) -> tuple[int, int | None]:
    return 0, None


class Closed(NamedTuple):
    """A target that stands at a limit of ours: it would be refused by ourselves."""

    reason: str
    until: float
    """When it is open again, in seconds on the engine's clock."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known at one moment. Seconds are on the engine's clock."""

    now: float = 0.0
    measured: Mapping[str, Measured] = field(default_factory=dict)
    trials: Mapping[str, Trials] = field(default_factory=dict)
    turns: Mapping[str, Turns] = field(default_factory=dict)
    """By group; of the route itself at the empty name."""
    busy: Callable[[str], tuple[int, int | None]] = _nobody
    """Requests in flight at a target, and its limit."""
    last: str = ""
    """The target that served this conversation last."""
    hour: int = 0
    """Of the machine's local day."""
    closed: Mapping[str, Closed] = field(default_factory=dict)
    """Targets at a limit of ours; usually none."""

    def of(self, target: str) -> Measured:
        return self.measured.get(target, FRESH)


class Candidate(NamedTuple):
    """A target as a `custom` function sees it."""

    target: Target
    measured: Measured
    busy: int
    """Requests in flight there."""
    failing: bool
    cost: float | None
    """US dollars that this request would cost; `None`: nobody knows."""


Custom = Callable[[Sequence[Candidate], Facts], Sequence[str]]
"""Gives the names of targets in the order of trying; those that it does not name come after them, as written. Called
for each request, on the event loop: it must be quick and without side effects."""


class Entry(NamedTuple):
    """A member with the targets that it stands for, in their order."""

    name: str
    weight: float
    targets: tuple[str, ...]


@dataclass(slots=True)
class Ranker:
    """Of one request. `turns`: of the groups whose turn has moved on; `trouble`: what a `custom` function raised."""

    policy: Policy
    targets: Mapping[str, Target]
    """Those that may be tried."""
    facts: Facts
    seen: Seen
    draw: Draw
    priority: str = ""
    task: str = ""
    custom: Custom | None = None
    turns: dict[str, Turns] = field(default_factory=dict)
    trouble: str = ""

    def rank(self, group: Group, strategy: str = "") -> list[str]:
        """The targets of a group that may be tried, the first one first."""
        entries = [
            entry for member in group.members if (entry := self._entry(member.name, member.weight, member.group))
        ]
        if len(entries) > 1:
            entries = self._ordered(group, strategy or group.strategy, entries)
        return [name for entry in entries for name in entry.targets]

    def _entry(self, name: str, weight: float, group: Group | None) -> Entry | None:
        if group is None:
            return Entry(name, weight, (name,)) if name in self.targets else None
        inside = tuple(self.rank(group))
        return Entry(name, weight, inside) if inside else None

    def _ordered(self, group: Group, strategy: str, entries: list[Entry]) -> list[Entry]:
        match strategy:
            case "weighted":
                return self._weighted(group, entries)
            case "least_latency":
                return self._quickest(entries)
            case "least_busy":
                return sorted(entries, key=self._load(entries))
            case "cheapest":
                return sorted(entries, key=self._cost)
            case "score":
                return self._scored(entries)
            case "ucb":
                return self._bounded(entries, self.policy.ucb)
            case "fallback_by_task":
                first = self.policy.tasks.get(self.task, ())
                return sorted(entries, key=lambda entry: _place(first, entry))
            case "custom":
                return self._as_custom_says(entries)
            case _:
                return entries

    def _weighted(self, group: Group, entries: list[Entry]) -> list[Entry]:
        by_name = {entry.name: entry for entry in entries}
        known = self.seen.turns.get(group.name, {})
        order, self.turns[group.name] = turn(known, [(entry.name, entry.weight) for entry in entries])
        return [by_name[name] for name in order]

    def _failing(self, entry: Entry) -> bool:
        return self.seen.of(entry.targets[0]).failing(self.seen.now)

    def _quickest(self, entries: list[Entry]) -> list[Entry]:
        """The better of two that are drawn comes first (Mitzenmacher 2001: nearly as good as the best of all, and no
        herd runs for it); then the others from the best on. Those that fail come last."""
        well = [entry for entry in entries if not self._failing(entry)]
        ill = [entry for entry in entries if self._failing(entry)]
        order = sorted(well, key=self._wait)
        if len(order) > 2:
            one = int(self.draw() * len(well))
            other = int(self.draw() * (len(well) - 1))
            first = min(well[one], well[other + (other >= one)], key=self._wait)
            order.remove(first)
            order.insert(0, first)
        return [*order, *sorted(ill, key=self._wait)]

    def _wait(self, entry: Entry) -> float:
        """Seconds times those that wait for them. A target of which nothing is known is tried, by one at a time."""
        name = entry.targets[0]
        known, busy = self.seen.of(name), self.seen.busy(name)[0]
        takes = known.takes(expected_output(self.facts, known))
        if takes is None:
            return inf if busy else 0.0
        return takes * (busy + 1)

    def _load(self, entries: list[Entry]) -> Callable[[Entry], tuple[bool, float]]:
        """In flight against what a target can carry; one of which that is not known, as much as the best that is."""
        now = self.seen.now
        carries: dict[str, float | None] = {}
        for entry in entries:
            name = entry.targets[0]
            limit, shown = self.seen.busy(name)[1], self.seen.of(name).capacity(now)
            carries[name] = min((one for one in (limit, shown) if one is not None), default=None)
        most = max((one for one in carries.values() if one is not None), default=1.0)

        def load(entry: Entry) -> tuple[bool, float]:
            name = entry.targets[0]
            can = carries[name]
            return self._failing(entry), (self.seen.busy(name)[0] + 1) / max(most if can is None else can, 1.0)

        return load

    def _cost(self, entry: Entry) -> float:
        cost = self._dollars(entry.targets[0])
        return inf if cost is None else cost

    def _dollars(self, name: str) -> float | None:
        cost = expected_cost(self.targets[name], self.facts, self.seen.of(name))
        return None if cost is None else float(cost)

    def _scored(self, entries: list[Entry]) -> list[Entry]:
        found = scores([self._part(entry.targets[0]) for entry in entries], self.policy.weights, self.priority)
        places = sorted(range(len(entries)), key=lambda place: -found[place])
        return [entries[place] for place in places]

    def _part(self, name: str) -> Part:
        known, ability, facts = self.seen.of(name), self.targets[name].ability, self.facts
        can = [ability.can(need) for need in facts.needs]
        room = facts.input + expected_output(facts, known)
        can.append(None if ability.context is None else ability.context >= room)
        good = 0.0 if known.failing(self.seen.now) else known.good
        takes = known.takes(expected_output(facts, known))
        return Part(can.count(True), can.count(None), can.count(False), self._dollars(name), takes, good)

    def _bounded(self, entries: list[Entry], ucb: Ucb) -> list[Entry]:
        by_name = {entry.targets[0]: entry for entry in entries}
        return [by_name[name] for name in by_bound(list(by_name), self.seen.trials, ucb, self.seen.now)]

    def _as_custom_says(self, entries: list[Entry]) -> list[Entry]:
        if self.custom is None:
            return entries
        candidates = [self._candidate(entry.targets[0]) for entry in entries]
        try:
            first = [str(name) for name in self.custom(candidates, self.facts)]
        except Exception as error:  # noqa: BLE001  # the operator's own code: whatever it does, requests are answered
            self.trouble = f"{type(error).__name__}: {error}"
            return entries
        return sorted(entries, key=lambda entry: _place(first, entry))

    def _candidate(self, name: str) -> Candidate:
        known = self.seen.of(name)
        failing = known.failing(self.seen.now)
        return Candidate(self.targets[name], known, self.seen.busy(name)[0], failing, self._dollars(name))


def _place(first: Sequence[str], entry: Entry) -> int:
    """Where it stands among those named; those that are not come after them."""
    if entry.name in first:
        return first.index(entry.name)
    return first.index(entry.targets[0]) if entry.targets[0] in first else len(first)
