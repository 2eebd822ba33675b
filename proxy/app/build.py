"""Config -> Roads: every target bound to its dialect, its place and its gates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from proxy.backends.registry import bind, origin
from proxy.config.values import Backend, Config
from proxy.core.call import Origin
from proxy.core.place import Place, State
from proxy.core.plan import vectors_of
from proxy.core.route import Route, Target
from proxy.engine.lane import Gate, Lane, Road
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

    def __init__(self, config: Config, local: Mapping[tuple[str, str], Place]) -> None:
        self._config = config
        self._local = local
        self._gates: dict[str, Gate] = {b.name: Gate(b.concurrency) for b in config.backends.values()}
        self._target_gates: dict[str, Gate] = {}

    def roads(self) -> Roads:
        """All routes; and, where the configuration allows it, single targets by name."""
        by_name = {name: self.road(route) for name, route in self._config.routes.items()}
        return Roads(by_name, self.direct if self._config.direct else None)

    def road(self, route: Route) -> Road:
        """One route, ready."""
        lanes = {target.name: self._lane(target) for target in route.targets}
        total = max((target.timeouts.total for target in route.targets), default=1.0)
        return Road(route, vectors_of(route), lanes, total)

    def direct(self, model: str) -> Road | None:
        """The road for `backend/model`; `None` when there is no such backend in use."""
        name, slash, rest = model.partition("/")
        base = self._config.direct_targets.get(name)
        if base is None or not slash or not rest:
            return None
        backend = self._config.backends[name]
        if backend.models and rest not in backend.models:
            return None
        return self.road(Route(model, (replace(base, name=model, model=rest),)))

    def _lane(self, target: Target) -> Lane:
        backend = self._config.backends[target.backend]
        gate = self._target_gates.get(target.name)
        if gate is None:
            gate = self._target_gates[target.name] = Gate(_limit(backend, target))
        return Lane(target, bind(backend, target), self._place(backend, target), (gate, self._gates[backend.name]))

    def _place(self, backend: Backend, target: Target) -> Place:
        if backend.models:
            return self._local[backend.name, target.model]
        return Fixed(origin(backend))


def _limit(backend: Backend, target: Target) -> int | None:
    """Requests in flight at this target. A local model takes those it works on and those that fit its queue."""
    model = backend.models.get(target.model)
    if model is None:
        return target.concurrency
    bound = model.parallel + model.queue
    return bound if target.concurrency is None else min(bound, target.concurrency)
