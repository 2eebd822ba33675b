"""Responses that were kept: `GET` and `DELETE /v1/responses/{id}`, for those whose they are."""

from __future__ import annotations

from collections.abc import Callable

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from proxy.core.memory import Memory

Caller = Callable[[list[tuple[bytes, bytes]]], str | Response]
"""Request headers to the name of the caller's key, or to the answer for one whose key is not good."""


class KeptPages:
    """The endpoints over a `Memory`."""

    def __init__(self, memory: Memory, caller: Caller) -> None:
        self._memory = memory
        self._caller = caller

    async def get(self, request: Request) -> Response:
        """The Response object as it was answered."""
        caller = self._caller(request.scope["headers"])
        if isinstance(caller, Response):
            return caller
        id_ = request.path_params["id"]
        kept = self._memory.find(caller, id_)
        return _unknown(id_) if kept is None else _json(kept.response)

    async def delete(self, request: Request) -> Response:
        """Forgets it, and what it answered."""
        caller = self._caller(request.scope["headers"])
        if isinstance(caller, Response):
            return caller
        id_ = request.path_params["id"]
        if not self._memory.forget(caller, id_):
            return _unknown(id_)
        return _json({"id": id_, "object": "response", "deleted": True})

    def routes(self) -> list[Route]:
        """For the application."""
        paths = [prefix + "/responses/{id}" for prefix in ("/v1", "")]
        return [
            Route(path, endpoint, methods=[method])
            for path in paths
            for method, endpoint in (("GET", self.get), ("DELETE", self.delete))
        ]


def _json(value: object, status: int = 200) -> Response:
    return Response(orjson.dumps(value), status, media_type="application/json")


def _unknown(id_: str) -> Response:
    message = f"Response with id {id_[:100]!r} not found."
    return _json({"error": {"message": message, "type": "invalid_request_error", "code": None, "param": "id"}}, 404)
