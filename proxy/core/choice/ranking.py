"""The strategies: in which order the members of a group are tried. A group stands where its first target would."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from operator import itemgetter
from typing import NamedTuple, Protocol

from proxy.core.choice.bandit import Trials, by_bound
from proxy.core.choice.facts import Facts
from proxy.core.choice.fitting import expected_dollars, expected_output
from proxy.core.choice.lines import Lines, part_of
from proxy.core.choice.measured import FRESH, Measured
from proxy.core.choice.policy import Group, Policy, Ucb
from proxy.core.choice.ranked import Draw, Entry, Ranked, Shared
from proxy.core.choice.rotation import Ring, Turn, ring
from proxy.core.choice.score import Part, scores
from proxy.core.route import Target

__all__ = ["WEIGH", "Candidate", "Closed", "Custom", "Draw", "Load", "Loaded", "Ranker", "Seen"]

WEIGH = frozenset({"cheapest", "score", "custom"})
"""Strategies to which the tokens of a request matter."""


class Loaded(Protocol):
    """Requests in flight somewhere: read when it is needed, so that it is always what is there now."""

    @property
    def busy(self) -> int: ...

    @property
    def limit(self) -> int | None: ...


class Load(NamedTuple):
    """The same as a value."""

    busy: int = 0
    limit: int | None = None


def _nobody(_target: str) -> Loaded:
    return Load()


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
    turns: Mapping[Ring, Turn] = field(default_factory=dict)
    """Where the turns of `weighted` stand; the first one where nothing is said."""
    busy: Callable[[str], Loaded] = _nobody
    """Requests in flight at a target, and its limit."""
    last: str = ""
    """The target that served this conversation last."""
    hour: int = 0
    """Of the machine's local day."""
    closed: Mapping[str, Closed] = field(default_factory=dict)
    """Targets at a limit of ours; usually none."""
    cold: Mapping[str, str] = field(default_factory=dict)
    """Targets that would have to be loaded first, and how they stand. Looked at for routes with `warm: only`."""

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


@dataclass(slots=True)
class Ranker:
    """Of requests of one shape. `turns`: of nested groups whose turn has moved on; `trouble`: what a `custom` function
    raised; `once`: what was found holds for one request only."""

    policy: Policy
    targets: Mapping[str, Target]
    """Those that may be tried."""
    facts: Facts
    seen: Seen
    draw: Draw
    priority: str = ""
    task: str = ""
    custom: Custom | None = None
    turns: dict[Ring, Turn] = field(default_factory=dict)
    trouble: str = ""
    once: bool = False
    shared: Shared = field(default_factory=Shared)
    whole: bool = False
    """No target is left out: what others have found out of groups counts for this one too."""

    def rank(self, group: Group, strategy: str = "") -> Ranked:
        """The targets of a group that may be tried."""
        entries = self.shared.entries.get(group.name) if self.whole else None
        if entries is None:
            entries = self._entries(group)
            if self.whole and _flat(group):
                self.shared.entries[group.name] = entries
        if len(entries) < 2:
            return Ranked(entries)
        return self._ranked(group, strategy or group.strategy, entries)

    def _entries(self, group: Group) -> list[Entry]:
        targets = self.targets
        entries = []
        for name, weight, inner in group.members:
            if inner is None:
                if name in targets:
                    entries.append(Entry(name, weight, (name,)))
            elif inside := self._inside(inner):
                entries.append(Entry(name, weight, inside))
        return entries

    def _inside(self, group: Group) -> tuple[str, ...]:
        """The targets of a group in another one."""
        found = self.rank(group)
        if found.ring is not None:
            turn = self.seen.turns.get(found.ring) or found.ring.first
            self.turns[found.ring] = turn.next
            self.once = True
            return tuple(found.turned(turn))
        if found.pick is not None:
            self.once = True
            return tuple(found.order(found.pick(self.draw)))
        return tuple(found.order())

    def _ranked(self, group: Group, strategy: str, entries: list[Entry]) -> Ranked:
        match strategy:
            case "weighted":
                return Ranked(entries, ring=ring(group.name, tuple((name, weight) for name, weight, _ in entries)))
            case "least_latency":
                return self._quickest(entries)
            case "least_busy":
                return self._idlest(entries)
            case "cheapest":
                return self._cheapest(group, entries)
            case "score":
                return self._best(group, entries)
            case "ucb":
                return Ranked(self._bounded(entries, self.policy.ucb))
            case "fallback_by_task":
                return self._by_task(group, entries)
            case "custom":
                return Ranked(self._as_custom_says(entries))
            case _:
                return Ranked(entries)

    def _by_task(self, group: Group, entries: list[Entry]) -> Ranked:
        """Those first that take turns by weight, then the others that are named, then the rest as written."""
        first = self.policy.tasks.get(self.task, ())
        entries = sorted(entries, key=lambda entry: _place(first, entry))
        weights = dict(self.policy.task_weights.get(self.task, ()))
        turns = tuple((one.name, weights[one.name]) for one in entries if one.name in weights)
        return Ranked(entries, ring=ring(f"{group.name} {self.task}", turns)) if turns else Ranked(entries)

    def _quickest(self, entries: list[Entry]) -> Ranked:
        """The better of two that are drawn comes first (Mitzenmacher 2001: nearly as good as the best of all, and no
        herd runs for it); then the others from the best on. Those that fail come last."""
        seen, facts, now = self.seen, self.facts, self.seen.now
        rows = []
        for place, entry in enumerate(entries):
            name = entry.targets[0]
            known, load = seen.of(name), seen.busy(name)
            takes = known.takes(expected_output(facts, known))
            rows.append((known.failing(now), _wait(takes, load.busy), place, entry, takes, load))
        rows.sort(key=itemgetter(0, 1, 2))
        well = [(takes, load) for failing, _, _, _, takes, load in rows if not failing]
        ordered = [row[3] for row in rows]
        count = len(well)
        if count < 2:
            return Ranked(ordered)

        def pick(draw: Draw) -> int:
            one, other = 0, 1
            if count > 2:
                one, other = int(draw() * count), int(draw() * (count - 1))
                other += other >= one
            (takes, load), (others, its) = well[one], well[other]
            return other if _wait(others, its.busy) < _wait(takes, load.busy) else one

        return Ranked(ordered, pick)

    def _idlest(self, entries: list[Entry]) -> Ranked:
        """In flight against what a target can carry; one of which that is not known, as much as the best that is."""
        seen, now = self.seen, self.seen.now
        rows = []
        for place, entry in enumerate(entries):
            name = entry.targets[0]
            known, load = seen.of(name), seen.busy(name)
            limit, shown = load.limit, known.capacity(now)
            can = shown if limit is None else limit if shown is None else min(limit, shown)
            rows.append((known.failing(now), can, place, entry, load))
        most = max((row[1] for row in rows if row[1] is not None), default=1.0)
        each = [1.0 / max(most if can is None else can, 1.0) for _, can, _, _, _ in rows]
        rows.sort(key=lambda row: (row[0], (row[4].busy + 1) * each[row[2]]))
        well = [(load, each[place]) for failing, _, place, _, load in rows if not failing]
        shares = well or [(load, each[place]) for _, _, place, _, load in rows]

        def pick(_draw: Draw) -> int:
            found, least = 0, inf
            for place, (load, share) in enumerate(shares):
                filled = (load.busy + 1) * share
                if filled < least:
                    found, least = place, filled
            return found

        return Ranked([row[3] for row in rows], pick)

    def _lines(self, group: Group, entries: list[Entry]) -> Lines | None:
        """What the entries cost and are worth; `None`: that is no straight line for a request as long as this one."""
        facts, seen = self.facts, self.seen
        key = (group.name, facts.output, facts.needs, facts.chat, facts.answers)
        shares = self.whole and group.name in self.shared.entries
        found = self.shared.lines.get(key) if shares else None
        if found is None:
            firsts = [entry.targets[0] for entry in entries]
            found = Lines([(self.targets[name], seen.of(name)) for name in firsts], facts, seen.now)
            if shares:
                self.shared.lines[key] = found
        return found if facts.input <= found.holds else None

    def _cheapest(self, group: Group, entries: list[Entry]) -> Ranked:
        lines = self._lines(group, entries)
        costs = [self._dollars(entry) for entry in entries] if lines is None else lines.costs(self.facts.input)
        return Ranked(_by(entries, [inf if cost is None else cost for cost in costs]))

    def _best(self, group: Group, entries: list[Entry]) -> Ranked:
        lines, weights = self._lines(group, entries), self.policy.weights
        if lines is None:
            found = scores([self._part(entry) for entry in entries], weights, self.priority)
        else:
            found = lines.scores(self.facts.input, weights, self.priority)
        return Ranked(_by(entries, [-one for one in found]))

    def _dollars(self, entry: Entry) -> float | None:
        name = entry.targets[0]
        return expected_dollars(self.targets[name], self.facts, self.seen.of(name))

    def _part(self, entry: Entry) -> Part:
        name = entry.targets[0]
        part = part_of(self.targets[name], self.seen.of(name), self.facts, self.seen.now)
        return part._replace(cost=self._dollars(entry))

    def _bounded(self, entries: list[Entry], ucb: Ucb) -> list[Entry]:
        by_name = {entry.targets[0]: entry for entry in entries}
        return [by_name[name] for name in by_bound(list(by_name), self.seen.trials, ucb, self.seen.now)]

    def _as_custom_says(self, entries: list[Entry]) -> list[Entry]:
        self.once = True
        if self.custom is None:
            return entries
        candidates = [self._candidate(entry) for entry in entries]
        try:
            said = self.custom(candidates, self.facts)
            if isinstance(said, str):
                raise TypeError("it gave a text, where names in their order are expected")
            first = [str(name) for name in said]
        except Exception as error:  # noqa: BLE001  # the operator's own code: whatever it does, requests are answered
            self.trouble = f"{type(error).__name__}: {error}"
            return entries
        return sorted(entries, key=lambda entry: _place(first, entry))

    def _candidate(self, entry: Entry) -> Candidate:
        name = entry.targets[0]
        known = self.seen.of(name)
        failing = known.failing(self.seen.now)
        return Candidate(self.targets[name], known, self.seen.busy(name).busy, failing, self._dollars(entry))


def _flat(group: Group) -> bool:
    """No group stands in it, whose order may be another one for another request."""
    return all(member.group is None for member in group.members)


def _wait(takes: float | None, busy: int) -> float:
    """Seconds times those that wait for them. A target of which nothing is known is tried, by one at a time."""
    if takes is None:
        return inf if busy else 0.0
    return takes * (busy + 1)


def _by(entries: list[Entry], values: list[float]) -> list[Entry]:
    """Those with the least value first; equals stay in their order."""
    return [entries[place] for place in sorted(range(len(entries)), key=values.__getitem__)]


def _place(first: Sequence[str], entry: Entry) -> int:
    """Where it stands among those named; those that are not come after them."""
    if entry.name in first:
        return first.index(entry.name)
    return first.index(entry.targets[0]) if entry.targets[0] in first else len(first)
