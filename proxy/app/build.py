"""Config -> Roads: every target bound to its dialect, its place and its gates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from proxy.app.custom import function_of
from proxy.app.free import FreeLists
from proxy.app.pull import Pulls
from proxy.app.tokenizers import ByModel
from proxy.backends.registry import bind, origin
from proxy.config.values import Backend, Config
from proxy.core.call import Origin
from proxy.core.limiting.values import Adaptive
from proxy.core.place import Place, State
from proxy.core.plan import vectors_of
from proxy.core.route import Route, Target
from proxy.core.tokens import Counter, of_text
from proxy.credentials.build import credential_of
from proxy.engine.gate import Gates
from proxy.engine.keys import Rings
from proxy.engine.lane import Lane, Road
from proxy.engine.roads import Roads

READY = State("ready")


class Fixed:
    """The place of a network backend: an address that is always there to be tried."""

    __slots__ = ("_origin",)

    def __init__(self, at: Origin) -> None:
        self._origin = at

    def origin(self) -> Origin:
        return self._origin

    def lost(self) -> None:
        return None

    def state(self) -> State:
        return READY


class Builder:
    """Binds targets once each, so that routes which share a target share its gates too."""

    def __init__(
        self,
        config: Config,
        local: Mapping[tuple[str, str], Place],
        gates: Gates,
        counter: Callable[[str], Counter] = lambda _: of_text,
        rings: Rings | None = None,
        pulls: Pulls | None = None,
        free: FreeLists | None = None,
    ) -> None:
        """`gates`, `rings`, `pulls`, `free`: those of the process, so that what is in flight, what is known of keys,
        models that are being pulled and lists hold over all configurations. `counter`: how a model's tokens count.
        """
        self._counter = counter
        self._pulls = pulls or Pulls()
        self._free = free or FreeLists()
        self._config = config
        self._local = local
        self._gates = gates
        self._credentials = {name: credential_of(one) for name, one in config.backends.items() if not one.missing}
        """One for each backend, whose targets share its tokens."""
        self._named: dict[str, Target] = {}
        """Of a target that several routes name, the first one says its limit."""
        for route in config.routes.values():
            for target in route.targets:
                self._named.setdefault(target.name, target)
        rings = Rings() if rings is None else rings
        self._rings = {
            one.name: rings.of(one.name, one.api_keys, (t.name for t in self._named.values() if t.backend == one.name))
            for one in config.backends.values()
            if len(one.api_keys) > 1
        }

    def roads(self) -> Roads:
        """All routes; and, where the configuration allows it, single targets by name. Raises `ValueError` for a
        backend that makes no sense, with nothing changed: limits come into force when all is built."""
        by_name = {name: self.road(route) for name, route in self._config.routes.items()}
        for backend in self._config.backends.values():
            gate = self._gates.of(backend.name)
            gate.limit = backend.concurrency
            gate.adapt(backend.adaptive)
        for target in self._named.values():
            gate = self._gates.of(target.name)
            gate.limit = limit_of(self._config.backends[target.backend], target)
            gate.adapt(adaptive_of(self._config.backends[target.backend], target))
        inner = {name: road for name in self._config.moderations if (road := self.direct(name)) is not None}
        return Roads(by_name, self.direct if self._config.direct else None, inner)

    def road(self, route: Route) -> Road:
        """One route, ready."""
        lanes = {target.name: self._lane(target) for target in route.targets}
        total = max((target.timeouts.total for target in route.targets), default=1.0)
        policy = route.policy
        custom = function_of(policy.custom) if policy is not None and policy.custom else None
        return Road(route, vectors_of(route), lanes, total, custom)

    def direct(self, model: str) -> Road | None:
        """The road for `backend/model`; `None` when there is no such backend in use."""
        name, slash, rest = model.partition("/")
        base = self._config.direct_targets.get(name)
        if base is None or not slash or not rest:
            return None
        backend = self._config.backends[name]
        if backend.models and rest not in backend.models:
            return None
        target = replace(base, name=model, model=rest)
        known = self._named.get(model)
        if known is None:
            road = self.road(Route(model, (target,), screen=self._config.screen))
            self._gates.of(model).limit = limit_of(backend, target)
            return road
        if target.price is None and known.price is not None and known.price.origin == "genai-prices":
            target = replace(target, price=known.price)  # what it costs does not depend on the route
        return self.road(Route(model, (target,), screen=self._config.screen))

    def _lane(self, target: Target) -> Lane:
        backend = self._config.backends[target.backend]
        gates = (self._gates.of(target.name), self._gates.of(backend.name))
        signs = self._credentials[backend.name]
        count = self._counter(target.model)
        own = count if isinstance(count, ByModel) else None
        lane = Lane(target, bind(backend, target), self._place(backend, target), gates, signs, count, tokenizer=own)
        ring = self._rings.get(backend.name)
        if ring is None:
            return lane
        each = (replace(backend, api_key=secret, api_keys=()) for secret in backend.api_keys)
        keyed = zip(each, ring.keys, strict=True)
        return replace(
            lane,
            ring=ring,
            keyed=tuple(replace(lane, dialect=bind(one, target), ring=ring, key=key) for one, key in keyed),
        )

    def _place(self, backend: Backend, target: Target) -> Place:
        if backend.models:
            return self._local[backend.name, target.model]
        # A model that only a request names is not pulled: anybody could fill the disk.
        named = target.name in self._named
        pulled = self._pulls.place(backend, target.model, target.timeouts.first) if named else None
        return pulled or self._free.place(backend, target.model) or Fixed(origin(backend))


def adaptive_of(backend: Backend, target: Target) -> Adaptive | None:
    """The bounds of an adaptive limit: a local model takes no more than it works on and fits its queue."""
    model, spec = backend.models.get(target.model), target.adaptive
    if model is None or spec is None:
        return spec
    most = min(spec.max, model.parallel + model.queue)
    return Adaptive(min(spec.min, most), most, min(spec.start, most))


def limit_of(backend: Backend, target: Target) -> int | None:
    """Requests in flight at this target. A local model takes those it works on and those that fit its queue."""
    model = backend.models.get(target.model)
    if model is None:
        return target.concurrency
    bound = model.parallel + model.queue
    return bound if target.concurrency is None else min(bound, target.concurrency)
