"""An embedded Wayline as an ASGI application, however it is mounted.

- As the application of a server: it is opened and closed with the server's lifespan.
- Below another application that opens it itself (`async with wayline` in its lifespan): it is just there.
- Below one that does not: it is opened by the first request, and closed with the event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Protocol

from starlette.types import ASGIApp, Receive, Scope, Send


class Opened(Protocol):
    """What is opened and closed."""

    @property
    def mounted(self) -> ASGIApp | None:
        """`None` while it is not open."""
        ...

    async def open(self) -> None: ...

    async def close(self) -> None: ...


class Application:
    """Of one `Wayline`."""

    def __init__(self, inner: Opened) -> None:
        self._inner = inner
        self._opening: asyncio.Task[None] | None = None
        self._held: AsyncGenerator[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        mounted = self._inner.mounted or await self._by_request()
        await mounted(scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        ours = self._inner.mounted is None
        await receive()
        if ours:
            try:
                await self._inner.open()
            except Exception as error:  # noqa: BLE001  # whatever it is, the server is to say it and stop
                await send({"type": "lifespan.startup.failed", "message": str(error)})
                return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        if ours:
            await self._inner.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _by_request(self) -> ASGIApp:
        if self._opening is None:
            self._opening = asyncio.get_running_loop().create_task(self._hold())
        await asyncio.shield(self._opening)  # others wait for it too
        assert self._inner.mounted is not None
        return self._inner.mounted

    async def _hold(self) -> None:
        # The loop closes generators that have begun when it ends (`shutdown_asyncgens`): nobody else tells us.
        self._held = self._open_while_the_loop_runs()
        try:
            await anext(self._held)
        finally:
            self._opening = None

    async def _open_while_the_loop_runs(self) -> AsyncGenerator[None]:
        await self._inner.open()
        try:
            yield
        finally:
            await self._inner.close()
