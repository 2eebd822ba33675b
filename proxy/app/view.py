"""The operators' pages' view of a runtime."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ExceptionHandler

from proxy.app.runtime import Runtime
from proxy.core.health import Health
from proxy.core.key import Key
from proxy.engine.lane import Road
from proxy.wire.door import Draining
from proxy.wire.errors import Refusal, model_not_found, refusal

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

    def key(self, headers: list[tuple[bytes, bytes]]) -> Key | Response:
        found = self._runtime.desk.auth.check(dict(headers))
        return as_response(found) if isinstance(found, Refusal) else found

    def caller(self, headers: list[tuple[bytes, bytes]]) -> str | Response:
        """The name of the caller's key, or the answer for one whose key is not good."""
        key = self.key(headers)
        return key if isinstance(key, Response) else key.name

    def unknown_model(self, model: str, key: Key) -> Response:
        near = self._runtime.desk.roads.nearest(model)
        return as_response(model_not_found(model, [name for name in near if key.may(name)]))


async def _said(request: Request, error: Exception) -> Response:
    """What Starlette refuses, in OpenAI's shape."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    if status == 404:
        told = refusal(404, f"There is nothing at {request.scope['path'][:200]!r}.", "not_found")
    elif status == 405:
        told = refusal(405, "This path does not take that method.", "method_not_allowed", more=_allow(error))
    else:
        told = refusal(status, "The gateway failed.", "internal_error", type_="server_error")
    return as_response(told)


def _allow(error: Exception) -> bytes:
    headers = getattr(error, "headers", None) or {}
    allowed = headers.get("Allow", "")
    return f"allow: {allowed}\r\n".encode() if allowed else b""


ERRORS: dict[Any, ExceptionHandler] = {HTTPException: _said, Exception: _said}
"""Starlette's exception handlers."""


def as_response(told: Refusal) -> Response:
    """An error of ours through Starlette."""
    headers = dict(line.split(": ", 1) for line in told.headers.decode().split("\r\n") if line)
    return Response(told.body, told.status, headers)
