"""Serving the app with uvicorn on the private socket."""

from __future__ import annotations

import asyncio
import socket
import threading

import uvicorn

from proxy.local.spec import WorkerSpec
from proxy.local.worker.app import App
from proxy.local.worker.engine import Engine

_BACKLOG = 128


def serve(spec: WorkerSpec, stop: threading.Event) -> None:
    """Load and serve until `stop` is set. Raises `ModelRefused`, `EngineRefused`."""
    asyncio.run(_serve(spec, stop))


async def _serve(spec: WorkerSpec, stop: threading.Event) -> None:
    app = App(spec)
    config = uvicorn.Config(
        app,
        interface="asgi3",
        http="httptools",
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(spec.socket)
    listener.listen(_BACKLOG)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    watching = asyncio.create_task(asyncio.to_thread(stop.wait))
    try:
        await app.load(_load)
        await asyncio.wait({serving, watching}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stop.set()
        await app.close()
        server.should_exit = True
        await asyncio.wait({serving, watching})


def _load(spec: WorkerSpec) -> Engine:
    # Each engine is imported only where it is used: the other may not be installed.
    if spec.engine == "xllamacpp":
        from proxy.local.worker.prebuilt import Prebuilt

        return Prebuilt(spec)
    from proxy.local.worker.built import Built

    return Built(spec)
