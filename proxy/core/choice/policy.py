"""How a route chooses among its targets, as the configuration says it. Values only: what decides is in choose.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from proxy.core.choice.wish import ASKABLE, NONE, Wish

STRATEGIES = (*ASKABLE, "custom")
MEASURED = frozenset({"least_latency", "least_busy", "cheapest", "score", "ucb", "custom"})
"""Those whose order changes with what is measured."""


class Member(NamedTuple):
    """A place in a group: a target's name, or a group within it."""

    name: str
    weight: float = 1.0
    group: Group | None = None


class Group(NamedTuple):
    """Members and the strategy that orders them. The route itself is the outermost one; its name is empty."""

    name: str
    members: tuple[Member, ...]
    strategy: str = "order"


class Weights(NamedTuple):
    """Of the parts of `score`."""

    capability: float = 0.30
    cost: float = 0.25
    performance: float = 0.25
    availability: float = 0.20
    quality: float = 0.20
    """Where answers of some target were rated."""


class Ucb(NamedTuple):
    """`ucb`: how much is tried out, and what is a good answer. `window` in seconds."""

    exploration: float = 2.0
    min_trials: int = 5
    window: float = 3600.0
    success: float = 0.6
    latency: float = 0.25
    cost: float = 0.15
    quality: float = 0.25
    """Where answers of the target were rated."""


class When(NamedTuple):
    """What a rule asks of a request: all that is said must hold."""

    priority: str = ""
    task: str = ""
    agent: str = ""
    tag: str = ""
    key: str = ""
    """The name of the caller's key."""
    tokens: tuple[float, float] | None = None
    """Of input: at least, at most."""
    output: tuple[float, float] | None = None
    has: frozenset[str] = frozenset()
    """Capabilities that the request needs."""
    hour: tuple[int, int] | None = None
    """From the first hour until the second begins, of the machine's local day; past midnight where that is less."""
    header: tuple[tuple[str, str], ...] = ()
    """Headers by their names in lower case; `*` stands for any number of characters."""
    model_matches: str = ""
    """Likewise, for the model as the caller named it."""


class Rule(NamedTuple):
    """The first of a route's rules that holds says what is used. `use`: a group, a strategy or a target."""

    when: When
    use: str = ""
    set: Wish = NONE


@dataclass(frozen=True, slots=True)
class Policy:
    """Of one route. Without any a route is tried in the order in which it is written."""

    top: Group
    groups: Mapping[str, Group] = field(default_factory=dict)
    require: Wish = NONE
    rules: tuple[Rule, ...] = ()
    weights: Weights = Weights()
    ucb: Ucb = Ucb()
    tasks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """For `fallback_by_task`: targets or groups that come first, by task."""
    custom: str = ""
    """`module:name` of a function, for `custom`."""
    prefer_other_backend: bool = False
    exclude_failed: float | None = None
    """Seconds that a target is left out after a failure."""
    sticky: bool = False
    """A conversation stays with the target that served it last."""
    warm: bool = False
    """Only targets that can answer at once: no model that would have to be loaded."""
    extra: bool = False
    """Some targets of the route stand only in groups that rules or tasks name."""
    task_weights: Mapping[str, tuple[tuple[str, float], ...]] = field(default_factory=dict)
    """Those of `tasks` that take turns, before the others."""

    @property
    def strategies(self) -> frozenset[str]:
        """All that may come into play, but for what a request asks for itself."""
        groups = (self.top, *self.groups.values())
        said = {rule.use for rule in self.rules} | {wish.strategy for wish in self._wishes}
        return frozenset({group.strategy for group in groups} | said) & set(STRATEGIES)

    @property
    def measures(self) -> bool:
        """What is measured of targets has a say."""
        return (
            self.sticky
            or self.exclude_failed is not None
            or self.warm
            or not self.strategies.isdisjoint(MEASURED)
            or any(wish.measures for wish in self._wishes)
        )

    @property
    def exact(self) -> bool:
        """Nobody may take the tokens of a request for about as many."""
        return bool(self.custom) or any(wish.max_cost is not None for wish in self._wishes)

    @property
    def _wishes(self) -> list[Wish]:
        return [self.require, *(rule.set for rule in self.rules)]
