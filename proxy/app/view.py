"""The operators' pages' view of a runtime."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from starlette.responses import Response

from proxy.app.runtime import Runtime
from proxy.core.health import Health
from proxy.engine.lane import Road
from proxy.wire.door import Draining
from proxy.wire.errors import Refusal, model_not_found

Render = Callable[[str], tuple[bytes, str]]


class RuntimeView:
    """Implements `proxy.ops.site.View`."""

    def __init__(self, runtime: Runtime, draining: Draining, render: Render) -> None:
        self._runtime = runtime
        self._draining = draining
        self._render = render

    @property
    def roads(self) -> Mapping[str, Road]:
        return self._runtime.desk.roads.by_name

    @property
    def trouble(self) -> Mapping[str, Health]:
        return self._runtime.engine.trouble

    @property
    def draining(self) -> bool:
        return self._draining.active

    @property
    def loaded_at(self) -> int:
        return self._runtime.desk.loaded_at

    @property
    def reload_error(self) -> str:
        return self._runtime.reload_error

    def metrics(self, accept: str) -> tuple[bytes, str]:
        return self._render(accept)

    def refusal(self, headers: list[tuple[bytes, bytes]]) -> Response | None:
        caller = self._runtime.desk.auth.check(headers)
        return None if isinstance(caller, str) else as_response(caller)

    def unknown_model(self, model: str) -> Response:
        return as_response(model_not_found(model, self._runtime.desk.roads.nearest(model)))


def as_response(refusal: Refusal) -> Response:
    """An error of ours through Starlette."""
    headers = dict(line.split(": ", 1) for line in refusal.headers.decode().split("\r\n") if line)
    return Response(refusal.body, refusal.status, headers)
