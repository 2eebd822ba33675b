"""What is not hot: health, readiness, metrics, the list of models. A Starlette application."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Protocol

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as Path
from starlette.types import ExceptionHandler, Lifespan

from proxy.core.ability import CAPABILITIES
from proxy.core.health import Health
from proxy.core.key import Key
from proxy.core.route import Route
from proxy.engine.lane import Road
from proxy.ops.ready import readiness


class View(Protocol):
    """What the operators' pages look at."""

    @property
    def roads(self) -> Mapping[str, Road]: ...

    @property
    def trouble(self) -> Mapping[str, Health]: ...

    @property
    def draining(self) -> bool: ...

    @property
    def loaded_at(self) -> int:
        """Unix time, in seconds, at which the configuration in force was loaded."""
        ...

    @property
    def reload_error(self) -> str:
        """Why the last reload changed nothing; empty when it did not fail."""
        ...

    def metrics(self, accept: str) -> tuple[bytes, str]:
        """(text, content type)."""
        ...

    def key(self, headers: list[tuple[bytes, bytes]]) -> Key | Response:
        """The caller's key, or the answer to one whose key is not good."""
        ...

    def unknown_model(self, model: str, key: Key) -> Response: ...


def offered(route: Route) -> dict[str, Any]:
    """What a route offers, beyond OpenAI's own fields: its targets in order, and of the first of them what is known."""
    targets = [target.name for target in route.targets]
    if not targets:
        return {"targets": []}
    ability, price = route.targets[0].ability, route.targets[0].price
    told: dict[str, Any] = {
        "context_window": ability.context,
        "max_output_tokens": ability.output,
        "capabilities": {name: ability.can(name) for name in CAPABILITIES},
        "pricing": None if price is None else {"input": str(price.input), "output": str(price.output)},
    }
    return {**told, "targets": targets}


def _json(value: object, status: int = 200) -> Response:
    return Response(orjson.dumps(value), status, media_type="application/json")


class Site:
    """The endpoints over a `View`."""

    def __init__(self, view: View) -> None:
        self._view = view

    async def healthz(self, request: Request) -> Response:
        """The process answers."""
        return _json({"status": "ok"})

    async def readyz(self, request: Request) -> Response:
        """200 when some target can serve; each route's state."""
        view = self._view
        ready, routes = readiness(view.roads, view.trouble, time.monotonic())
        status = "draining" if view.draining else "ready" if ready else "not ready"
        told: dict[str, Any] = {"status": status, "routes": routes, "config": {"loaded_at": view.loaded_at}}
        if view.reload_error:
            told["config"]["error"] = view.reload_error
        return _json(told, 200 if status == "ready" else 503)

    async def metrics(self, request: Request) -> Response:
        """Prometheus."""
        body, media_type = self._view.metrics(request.headers.get("accept", ""))
        return Response(body, headers={"content-type": media_type})

    async def models(self, request: Request) -> Response:
        """`GET /v1/models`: the routes that the caller's key may use."""
        view = self._view
        key = view.key(request.scope["headers"])
        if isinstance(key, Response):
            return key
        return _json({"object": "list", "data": [self._model(name) for name in view.roads if key.may(name)]})

    async def model(self, request: Request) -> Response:
        """`GET /v1/models/{id}`."""
        view = self._view
        key = view.key(request.scope["headers"])
        if isinstance(key, Response):
            return key
        name = request.path_params["id"]
        return _json(self._model(name)) if name in view.roads and key.may(name) else view.unknown_model(name, key)

    def _model(self, name: str) -> dict[str, Any]:
        plain = {"id": name, "object": "model", "created": self._view.loaded_at, "owned_by": "wayline"}
        return {**plain, **offered(self._view.roads[name].route)}

    def app(
        self,
        lifespan: Lifespan[Starlette] | None = None,
        exception_handlers: Mapping[Any, ExceptionHandler] | None = None,
    ) -> Starlette:
        """The ASGI application."""
        routes = [
            Path("/healthz", self.healthz),
            Path("/readyz", self.readyz),
            Path("/metrics", self.metrics),
        ]
        for prefix in ("/v1", ""):
            routes.append(Path(prefix + "/models", self.models))
            routes.append(Path(prefix + "/models/{id:path}", self.model))
        return Starlette(routes=routes, lifespan=lifespan, exception_handlers=exception_handlers)
