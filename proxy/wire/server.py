"""The server around the guarded connections: start, drain, stop.

SIGTERM or SIGINT: draining at once. The listener stays open, so that a new request gets a clean 503 instead of a
refused connection; requests under way go on to their end, for `listen.drain` seconds at most. A second SIGINT or
SIGTERM stops at once. SIGHUP calls `on_reload`.

The exit status is 0 when every request under way went to its end, 1 when some were cut off.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import threading
from collections.abc import Callable, Generator, Mapping, Sequence

import uvicorn
from starlette.types import ASGIApp

from proxy.config.values import Cors, Listen
from proxy.wire.connection import Connection, GuardedConfig
from proxy.wire.door import Door, Draining
from proxy.wire.guard import GuardedProtocol
from proxy.wire.listening import bind
from proxy.wire.reply import Endpoint
from proxy.wire.workers import Tether

log = logging.getLogger("wayline.server")

Address = tuple[str, int]
BACKLOG = 2048
LOOK_AGAIN = 0.05
"""Seconds between two looks at whether requests are still under way."""


class GuardedServer(uvicorn.Server):
    """One process's server. `draining` is shared with the app, whose `/readyz` reads it."""

    def __init__(
        self,
        config: GuardedConfig,
        *,
        on_reload: Callable[[], None] | None = None,
        ready: Callable[[Address], None] | None = None,
        tether: Tether | None = None,
    ) -> None:
        super().__init__(config)
        self.door = config.door
        self.clean = True
        """No request was cut off."""
        self._on_reload = on_reload
        self._ready = ready
        self._tether = tether
        self._stop: asyncio.Event = asyncio.Event()

    def drain(self) -> None:
        """Stop soon: take no new requests, let those under way end. A second call stops at once."""
        if self.door.draining.active:
            self.force_exit = True
        else:
            self.door.draining.begin()
        self._stop.set()

    def under_way(self) -> int:
        """Requests that are being answered, or whose answer is not yet taken by the client."""
        return sum(1 for line in self.server_state.connections if isinstance(line, Connection) and line.busy)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._tick()
        await super().startup(sockets)
        if self._ready is not None and sockets:
            self._ready(sockets[0].getsockname()[:2])

    async def main_loop(self) -> None:
        with contextlib.ExitStack() as held:
            if self._tether is not None:
                held.enter_context(self._tether.hold(asyncio.get_running_loop(), self.drain))
                self._tether.ready()
            await self._serve_until_told()
            await self._wait_for_requests()

    async def _serve_until_told(self) -> None:
        while not self._stop.is_set():
            self._tick()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), 1.0)

    async def _wait_for_requests(self) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.door.listen.drain
        log.info("draining: %d requests under way", self.under_way())
        while (left := self.under_way()) and not self.force_exit and loop.time() < deadline:
            self._tick()
            await asyncio.sleep(LOOK_AGAIN)
        if left:
            self.clean = False
            log.warning("%d requests were cut off", left)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for sock in sockets or []:
            sock.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        for task in self.server_state.tasks:
            task.cancel()
        await asyncio.sleep(0)
        await self.lifespan.shutdown()

    def _tick(self) -> None:
        self.server_state.default_headers = [(b"date", self.door.tick())]

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """By the loop, and without raising them again at the end as uvicorn does: stopping when asked is no failure."""
        if threading.current_thread() is not threading.main_thread():  # only there can signals be taken
            yield
            return
        loop = asyncio.get_running_loop()
        handled: list[tuple[int, Callable[[], None]]] = [(signal.SIGINT, self.drain), (signal.SIGTERM, self.drain)]
        if self._on_reload is not None:
            handled.append((signal.SIGHUP, self._on_reload))
        for number, action in handled:
            loop.add_signal_handler(number, action)
        try:
            yield
        finally:
            for number, _ in handled:
                loop.remove_signal_handler(number)


def configure(
    listen: Listen,
    app: ASGIApp,
    endpoints: Mapping[tuple[str, str], Endpoint],
    *,
    cors: Cors | None = None,
    draining: Draining | None = None,
) -> GuardedConfig:
    """uvicorn's configuration for a guarded server."""
    config = GuardedConfig(
        app,
        loop="uvloop",
        http=GuardedProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        backlog=BACKLOG,
    )
    config.door = Door(listen, endpoints, draining=draining, cors=cors)
    return config


def run(
    listen: Listen,
    app: ASGIApp,
    endpoints: Mapping[tuple[str, str], Endpoint],
    *,
    cors: Cors | None = None,
    draining: Draining | None = None,
    sockets: Sequence[socket.socket] | None = None,
    reuse_port: bool = False,
    on_reload: Callable[[], None] | None = None,
    ready: Callable[[Address], None] | None = None,
    tether: Tether | None = None,
) -> int:
    """Serves until told to stop; gives the exit status. `ready` gets the bound address when requests are taken.
    A worker of a supervisor gives its `tether`, and stops when the parent dies.

    Raises OSError when the address cannot be bound, SystemExit when the app's start fails.
    """
    config = configure(listen, app, endpoints, cors=cors, draining=draining)
    bound = list(sockets) if sockets is not None else bind(listen.host, listen.port, reuse_port=reuse_port)

    async def serve() -> int:
        server = GuardedServer(config, on_reload=on_reload, ready=ready, tether=tether)
        await server.serve(bound)
        return 0 if server.clean else 1

    try:
        with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
            return runner.run(serve())
    finally:
        for sock in bound:
            sock.close()
