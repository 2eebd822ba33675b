"""Python's floor: a raw ASGI app that reads the request and gives a constant answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from bench import traffic

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


def _start(body: bytes) -> dict[str, Any]:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    return {"type": "http.response.start", "status": 200, "headers": headers}


SMALL = (_start(traffic.SMALL), {"type": "http.response.body", "body": traffic.SMALL})
LARGE = (_start(traffic.LARGE), {"type": "http.response.body", "body": traffic.LARGE})


async def app(_scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """The small answer to a small request, the large one to a large one."""
    size = 0
    while True:
        message = await receive()
        size += len(message["body"])
        if not message["more_body"]:
            break
    start, body = LARGE if size > 10_000 else SMALL
    await send(start)
    await send(body)
