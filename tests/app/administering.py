"""The admin API in front of a test, over ASGI: an embedded Wayline with a key for it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import orjson

from proxy import Wayline
from tests.app.embedding import mapping

ADMIN = "adm-0123456789abcdef"
CALLER = "sk-of-a-caller-123"


class Operator:
    """Somebody with the key, and the Wayline that they look at."""

    def __init__(self, wayline: Wayline, http: httpx2.AsyncClient) -> None:
        self.wayline = wayline
        self.http = http

    async def get(self, path: str, **query: Any) -> Any:
        """The answer's JSON; its status is 200."""
        reply = await self.http.get("/admin" + path, params=query)
        assert reply.status_code == 200, reply.text
        return reply.json()

    async def post(self, path: str, body: object = None) -> Any:
        """Likewise."""
        reply = await self.try_to("POST", path, body)
        assert reply.status_code == 200, reply.text
        return reply.json()

    async def try_to(self, method: str, path: str, body: object = None) -> httpx2.Response:
        """Whatever comes of it."""
        if body is None:
            return await self.http.request(method, "/admin" + path)
        headers = {"content-type": "application/json"}
        return await self.http.request(method, "/admin" + path, content=orjson.dumps(body), headers=headers)

    async def refused(self, method: str, path: str, body: object = None) -> tuple[int, str, str | None]:
        """Status, code and param of the error."""
        reply = await self.try_to(method, path, body)
        error = reply.json()["error"]
        assert {"message", "type", "code", "param"} <= error.keys()
        return reply.status_code, error["code"], error["param"]


@contextlib.asynccontextmanager
async def operator(directory: Path, upstream: str, **more: Any) -> AsyncIterator[Operator]:
    """The configuration of `mapping`, with `admin:`."""
    config = mapping(directory, upstream, **{"admin": {"key": ADMIN}, **more})
    headers = {"authorization": f"Bearer {ADMIN}"}
    async with Wayline(config) as wayline:
        transport = httpx2.ASGITransport(wayline.asgi)
        async with httpx2.AsyncClient(transport=transport, base_url="http://inside", headers=headers) as http:
            yield Operator(wayline, http)
