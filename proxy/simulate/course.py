"""The draft's routes, made ready to be chosen among: no dialect, no key and no socket is needed for that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from proxy.app.build import adaptive_of, limit_of
from proxy.app.custom import function_of
from proxy.backends.registry import bind
from proxy.config.values import Config
from proxy.core.attempt import Usual, usual
from proxy.core.choice.facts import Facts
from proxy.core.choice.ranking import Custom
from proxy.core.choice.rules import Asked
from proxy.core.dialect import Dialect
from proxy.core.limiting.adaptive import Sample
from proxy.core.plan import vectors_of
from proxy.core.relay import Relays
from proxy.core.route import Route, Target
from proxy.engine.gate import Gate
from proxy.simulate.inject import Supposed
from proxy.simulate.record import Asking

_VECTORS = frozenset({"embeddings"})
_NO_NEEDS: frozenset[str] = frozenset()


class Spot:
    """A target with its places and those of its backend."""

    __slots__ = ("gates", "more_keys", "prefills", "relays", "target")

    def __init__(self, target: Target, gates: tuple[Gate, Gate], dialect: Dialect, keys: int) -> None:
        self.target = target
        self.gates = gates
        self.more_keys = max(keys - 1, 0)
        """Keys of its backend beside the first."""
        self.prefills = dialect.prefill is not None
        """It goes on with an answer that is given to it."""
        self.relays = isinstance(dialect, Relays)
        """Requests may be handed on to it as they are."""

    @property
    def full(self) -> bool:
        """One of them has no place left."""
        own, backend = self.gates
        return own.full or backend.full

    def enter(self) -> None:
        """Take a place in both."""
        own, backend = self.gates
        own.busy += 1
        backend.busy += 1

    def leave(self) -> None:
        """Give them back."""
        own, backend = self.gates
        own.busy -= 1
        backend.busy -= 1

    @property
    def adapts(self) -> bool:
        """How many places there are is found by trying."""
        return any(gate.adaptive is not None for gate in self.gates)

    def learn(self, seconds: float, sent: float, now: float, *, stream: bool, refused: bool) -> None:
        """An attempt has ended here; `seconds` as `Limiter` compares them."""
        for gate in self.gates:
            gate.learn(Sample(seconds, 0 if stream or refused else 1, gate.busy + 1, sent, refused), now)


@dataclass(frozen=True, slots=True)
class Course:
    """A route, for chat or for vectors."""

    route: Route
    custom: Custom | None
    total: float
    """Seconds that a request may take."""
    usual: Usual
    short: int
    """Tokens of input that fit every target."""
    fit: bool
    """No target is known to make only what is not asked for."""
    learns: bool
    """Some group of it goes by `ucb`."""
    fewer: dict[tuple[str, ...], Route] = field(default_factory=dict)

    def asked(self, one: Asking) -> Asked:
        """A recorded request as preflight and rules see it: what of it stands on record."""
        needs = _VECTORS if one.vectors else _NO_NEEDS
        wish = one.wish
        if one.agent or one.tags:
            wish = wish._replace(agent=one.agent, tags=one.tags)
        facts = Facts(one.input if one.chat or one.vectors else 0, None, needs, one.chat, self.route.name)
        return Asked(facts, wish, one.key, {}, self.fit and one.input <= self.short)

    def among(self, targets: tuple[Target, ...]) -> Route:
        """The route with no others than these."""
        names = tuple(target.name for target in targets)
        route = self.fewer.get(names)
        if route is None:
            route = self.fewer[names] = replace(self.route, targets=targets)
        return route


class Courses:
    """All routes of a configuration, with supposed prices in the place of its own. Raises `ValueError` where the
    function of a `custom` strategy cannot be had."""

    def __init__(self, config: Config, supposed: Supposed) -> None:
        self.config = config
        self.spots: dict[str, Spot] = {}
        self._supposed = supposed
        self._gates: dict[str, Gate] = {}
        self._chat: dict[str, Course] = {}
        self._vectors: dict[str, Course] = {}
        self._relays: dict[str, Course] = {}
        """For what is handed on as it is: in the route's order, whatever its policy."""
        for name, route in config.routes.items():
            self._add(name, replace(route, targets=tuple(map(self._priced, route.targets))))

    def of(self, one: Asking) -> Course | None:
        """The way of a recorded request; `None`: its route is gone."""
        if one.route not in self._chat and not self._add_direct(one.route):
            return None
        return (self._chat if one.chat else self._vectors if one.vectors else self._relays)[one.route]

    @property
    def targets(self) -> list[Target]:
        """Each once."""
        return [spot.target for spot in self.spots.values()]

    def _add(self, name: str, route: Route) -> None:
        policy = route.policy
        custom = function_of(policy.custom) if policy is not None and policy.custom else None
        for target in route.targets:
            self._spot(target)
        self._chat[name] = _course(route, custom, chat=True)
        self._vectors[name] = _course(vectors_of(route), custom, chat=False)
        relays = tuple(target for target in route.targets if self.spots[target.name].relays)
        self._relays[name] = _course(replace(route, targets=relays, policy=None), None, chat=True)

    def _add_direct(self, name: str) -> bool:
        """A request may have named the target itself."""
        backend, slash, model = name.partition("/")
        base = self.config.direct_targets.get(backend) if self.config.direct else None
        models: Mapping[str, object] = self.config.backends[backend].models if base is not None else {}
        if base is None or not slash or not model or (models and model not in models):
            return False
        known = self.spots.get(name)
        target = replace(base, name=name, model=model)
        if target.price is None and known is not None:
            target = replace(target, price=known.target.price)
        self._add(name, Route(name, (self._priced(target),)))
        return True

    def _priced(self, target: Target) -> Target:
        price = self._supposed.price(target)
        return target if price is None else replace(target, price=price)

    def _spot(self, target: Target) -> None:
        if target.name in self.spots:
            return  # of a target that several routes name, the first one says its limit
        backend = self.config.backends[target.backend]
        own, shared = Gate(limit_of(backend, target)), self._gates.get(backend.name)
        own.adapt(adaptive_of(backend, target))
        if shared is None:
            shared = self._gates[backend.name] = Gate(backend.concurrency)
            shared.adapt(backend.adaptive)
        self.spots[target.name] = Spot(target, (own, shared), bind(backend, target), len(backend.api_keys))


def _course(route: Route, custom: Custom | None, *, chat: bool) -> Course:
    abilities = [target.ability for target in route.targets]
    contexts = [one.context for one in abilities if one.context is not None]
    fit = not any(one.can("embeddings") if chat else one.can("embeddings") is False for one in abilities)
    total = max((target.timeouts.total for target in route.targets), default=1.0)
    short = min(contexts, default=1 << 62) if chat else 1 << 62
    learns = route.policy is not None and "ucb" in route.policy.strategies
    return Course(route, custom, total, usual(route), short, fit, learns)
