"""A target made ready to be sent to: its dialect, its place, and how much is under way there."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from proxy.core.attempt import Usual, usual
from proxy.core.chat import ChatRequest, EmbedRequest
from proxy.core.choice.counting import Edges, edges_of
from proxy.core.choice.facts import Look, look
from proxy.core.choice.ranking import WEIGH, Custom
from proxy.core.credential import Credential
from proxy.core.dialect import Dialect, Prepared
from proxy.core.failure import Failure, FailureKind
from proxy.core.place import Place
from proxy.core.plan import Plan
from proxy.core.relay import Relays, Request
from proxy.core.route import Route, Target
from proxy.core.tokens import Counter, Tokenizer, of_text
from proxy.engine.gate import Gate

if TYPE_CHECKING:
    from proxy.engine.keys import BackendKey, Ring


NO_RELAYS = Failure(FailureKind.UNSUPPORTED, "No target of this model has this endpoint.", code="unsupported_endpoint")


MOST_FEWER = 64
"""Roads with fewer targets that are kept ready, for each road."""


@dataclass(frozen=True, slots=True)
class Lane:
    """One target, bound. The gates are those of the target and of its backend."""

    target: Target
    dialect: Dialect
    place: Place
    gates: tuple[Gate, ...]
    credential: Credential | None = None
    """What makes each call acceptable to the backend; `None`: the key, if any, stands in the dialect's head."""
    count: Counter = of_text
    """Tokens in a text, as the target's model counts or near enough."""
    ring: Ring | None = None
    """The keys of its backend, where there are several: then it is sent by one of `keyed`."""
    keyed: tuple[Lane, ...] = ()
    """The same target by each of the keys, in their order."""
    key: BackendKey | None = None
    """The key that this one of `keyed` sends."""
    tokenizer: Tokenizer | None = None
    """`count`, where it is the model's own tokenizer, or may become it."""
    soonest: float = field(init=False)
    """Seconds after which the first of the target's times can be over."""

    def __post_init__(self) -> None:
        times = self.target.timeouts
        object.__setattr__(self, "soonest", min(times.first, times.idle, times.total))

    def prepare(self, request: Request) -> Prepared | Failure:
        """The call that asks the target, or why it cannot be asked this."""
        if not isinstance(request, ChatRequest):
            if isinstance(request, EmbedRequest):
                return self.dialect.embed(request)
            return self.dialect.relay(request) if isinstance(self.dialect, Relays) else NO_RELAYS
        prepared = self.dialect.chat(request)
        native = request.native
        if native is None or native.api in self.dialect.speaks or isinstance(prepared, Failure):
            return prepared
        if native.only:
            return Failure(FailureKind.UNSUPPORTED, native.only, code="unsupported_parameter")
        call, dropped, unsupported = prepared
        return Prepared(call, (*dropped, *native.lost, *native.minor), (*unsupported, *native.lost))

    def enter(self) -> bool:
        """Take a place in every gate, or in none."""
        for gate in self.gates:
            if gate.limit is not None and gate.busy >= gate.limit:
                return False
        for gate in self.gates:
            gate.busy += 1
        return True

    def leave(self) -> None:
        """Give the places back."""
        for gate in self.gates:
            gate.busy -= 1


@dataclass(frozen=True, slots=True)
class Road:
    """A route made ready: its lanes by target name, and the longest time (seconds) any of its targets allows."""

    route: Route
    vectors: Route
    """The route as embeddings may use it."""
    lanes: Mapping[str, Lane]
    total: float
    custom: Custom | None = None
    """The function of strategy `custom`."""
    fewer: dict[tuple[object, ...], Road] = field(init=False, default_factory=dict, repr=False, compare=False)
    """Itself with some of its targets only, as requests needed it."""
    usual: Usual = field(init=False)
    usual_vectors: Usual = field(init=False)
    look: Look | None = field(init=False)
    """What of a chat request could matter to some target; `None`: nothing."""
    simple: bool = field(init=False)
    """No request needs a choice unless it asks for one."""
    embeds: bool = field(init=False)
    """Every target makes vectors, as far as is known."""
    headers: frozenset[bytes] = field(init=False)
    """Headers of a request that the rules look at."""
    tags: bool = field(init=False)
    """Some rule looks at tags."""
    ranks: bool = field(init=False)
    """Some rule says the priority of requests."""
    learns: bool = field(init=False)
    """Some group of it goes by `ucb`."""
    remembers: bool = field(init=False)
    """What became of each attempt matters: to `ucb`, or since conversations stay where they are."""
    weighs: bool = field(init=False)
    """The tokens of a request matter to some strategy or rule."""
    quick: bool = field(init=False)
    """What most requests ask of it is found by a look at them."""
    settles: bool = field(init=False)
    """What most requests get is known by their tokens alone."""
    times: bool = field(init=False)
    """The length of an answer matters to some strategy."""
    exact: bool = field(init=False)
    """The tokens matter in full, not about."""
    tokenizers: Mapping[str, Tokenizer] = field(init=False)
    """Of targets that have one."""
    edges: Edges | None = field(init=False)
    """What the tokens of a request may be so near to that those are asked; `None`: there are none."""
    lasts: bool = field(init=False)
    """Nothing that is measured matters to a request which asks for nothing of its own."""

    def __post_init__(self) -> None:
        policy = self.route.policy
        sight = look(target.ability for target in self.route.targets)
        embeds = not any("embeddings" in target.ability.lacks for target in self.vectors.targets)
        strategies = frozenset() if policy is None else policy.strategies
        rules = () if policy is None else policy.rules
        own = {name: lane.tokenizer for name, lane in self.lanes.items() if lane.tokenizer is not None}
        for name, value in (
            ("usual", usual(self.route)),
            ("usual_vectors", usual(self.vectors)),
            ("look", sight),
            ("simple", policy is None and sight is None and embeds),
            ("embeds", embeds),
            ("headers", frozenset(name.encode() for rule in rules for name, _ in rule.when.header)),
            ("tags", any(rule.when.tag for rule in rules)),
            ("ranks", any(rule.set.priority for rule in rules)),
            ("learns", "ucb" in strategies),
            ("remembers", "ucb" in strategies or (policy is not None and bool(policy.sticky))),
            ("weighs", policy is not None and (policy.exact or bool(rules) or not strategies.isdisjoint(WEIGH))),
            ("quick", not rules and (policy is None or not policy.exact)),
            ("settles", not rules and policy is not None and not policy.exact and not strategies.isdisjoint(WEIGH)),
            ("times", "least_latency" in strategies),
            ("exact", policy is not None and policy.exact),
            ("tokenizers", own),
            ("edges", edges_of(self.route, own) if own else None),
            ("lasts", policy is None or not policy.measures),
        ):
            object.__setattr__(self, name, value)

    def goes_as_written(self, request: Request) -> bool:
        """Nothing is to be chosen for it."""
        wish = request.wish
        return not (wish is not None and wish.for_targets) and self.route.policy is None and self.plain(request)

    def plain(self, request: Request) -> bool:
        """No target's abilities leave it out of this request."""
        if not isinstance(request, ChatRequest):
            return self.embeds or not isinstance(request, EmbedRequest)
        look = self.look
        # What came in another API may be longer than its body: a stored conversation goes before it.
        return look is None or (request.native is None and look.plain(request.body, len(request.raw)))

    def among(self, route: Route, names: Collection[str]) -> Road:
        """With no other targets than these."""
        left = tuple(target for target in route.targets if target.name in names)
        key = (route is self.vectors, *(target.name for target in left))
        road = self.fewer.get(key)
        if road is None:
            fewer = replace(route, targets=left)
            road = Road(fewer, fewer, self.lanes, self.total, self.custom)
            if len(self.fewer) < MOST_FEWER:
                self.fewer[key] = road
        return road


class Planned(NamedTuple):
    """A plan that requests of a route share, until this time on the engine's clock."""

    route: Route
    until: float
    anyway: bool
    usual: Usual
    plan: Plan | None
    """`None`: all targets, in their order."""
