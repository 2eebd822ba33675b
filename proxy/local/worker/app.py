"""The ASGI app around one model: llama-server's endpoints, as far as Wayline uses them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import orjson

from proxy.local.spec import WorkerSpec
from proxy.local.worker.engine import Cancelled, Engine, Turn
from proxy.local.worker.request import Refused
from proxy.local.worker.shapes import event
from proxy.local.worker.turns import Job, Turns

log = logging.getLogger("wayline.local")

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

MAX_BODY = 32 * 1024 * 1024


class App:
    """Answers 503 until `load` is through."""

    def __init__(self, spec: WorkerSpec) -> None:
        self._spec = spec
        self._engine: Engine | None = None
        self._turns = Turns(1, 0)
        self._jobs: set[Job] = set()

    async def load(self, load: Callable[[WorkerSpec], Engine]) -> None:
        """Load the model on a thread. Raises `ModelRefused`, `EngineRefused`."""
        engine = await asyncio.to_thread(load, self._spec)
        self._turns = Turns(engine.slots, self._spec.queue)
        self._engine = engine

    async def close(self) -> None:
        """Stop what runs and free the model."""
        engine, self._engine = self._engine, None
        for job in self._jobs:
            job.cancel()
        await self._turns.close()
        if engine is not None:
            await asyncio.to_thread(engine.close)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """One HTTP request."""
        try:
            await self._route((scope["method"], scope["path"]), receive, send)
        except Refused as refused:
            await reply(send, refused.status, orjson.dumps({"error": refused.error}))
        except Cancelled:
            return

    async def _route(self, route: tuple[str, str], receive: Receive, send: Send) -> None:
        if route == ("POST", "/v1/chat/completions"):
            raw = await read_body(receive)
            if self._spec.embedding:
                raise Refused(501, "not_supported_error", "This model serves embeddings, not chat")
            await self._work(self._loaded().chat, raw, receive, send)
        elif route == ("POST", "/v1/completions"):
            raw = await read_body(receive)
            if self._spec.embedding:
                raise Refused(501, "not_supported_error", "This model serves embeddings, not text")
            await self._work(self._loaded().complete, raw, receive, send)
        elif route == ("POST", "/v1/embeddings"):
            raw = await read_body(receive)
            if not self._spec.embedding:
                message = "This server does not support embeddings: `embedding: true` in its configuration makes it one"
                raise Refused(501, "not_supported_error", message)
            await self._work(self._loaded().embed, raw, receive, send)
        elif route == ("GET", "/health"):
            self._loaded()
            await reply(send, 200, b'{"status":"ok"}')
        elif route == ("GET", "/slots"):
            slots, running = self._loaded().slots, self._turns.running
            await reply(send, 200, orjson.dumps([{"id": i, "is_processing": i < running} for i in range(slots)]))
        else:
            raise Refused(404, "not_found_error", "File Not Found")

    async def _work(self, read: Callable[[bytes], Turn], raw: bytes, receive: Receive, send: Send) -> None:
        """Understand the request, wait for its turn, and send what it gives while the client is there."""
        turn = await asyncio.to_thread(read, raw)
        job = self._turns.take(turn)
        watching = asyncio.ensure_future(_watch(job, receive))
        self._jobs.add(job)
        try:
            await (_send_stream if turn.stream else _send_whole)(job, send)
        finally:
            job.gone = True  # also when the answer could not be sent
            self._jobs.discard(job)
            watching.cancel()
            await asyncio.wait({watching})

    def _loaded(self) -> Engine:
        if self._engine is None:
            raise Refused(503, "unavailable_error", "Loading model")
        return self._engine


async def _watch(job: Job, receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    job.cancel()


async def _send_whole(job: Job, send: Send) -> None:
    try:
        async for piece in job.pieces():
            await reply(send, 200, piece)
    except Exception as error:  # whatever an engine raised on its thread, the client gets an answer
        raise _refusal(error) from error


async def _send_stream(job: Job, send: Send) -> None:
    """The head goes out with the first event: until then a failure can be a true status."""
    begun = False
    try:
        async for piece in job.pieces():
            if not begun:
                begun = True
                await send(_start(200, b"text/event-stream"))
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
    except Exception as error:  # likewise, as long as a status can be sent; then an event says it
        refusal = _refusal(error)
        if not begun or not isinstance(refusal, Refused):
            raise refusal from error
        body = event(orjson.dumps({"error": refusal.error}))
        await send({"type": "http.response.body", "body": body, "more_body": False})


def _refusal(error: Exception) -> Refused | Cancelled:
    """What ended a turn, in words for the caller. What an engine raised otherwise goes to the log only, since it may
    name paths."""
    if isinstance(error, (Refused, Cancelled)):
        return error
    log.error("the model failed: %r", error)
    return Refused(500, "server_error", "the model failed while it evaluated this request")


async def read_body(receive: Receive) -> bytes:
    """The request's body, bounded. Raises `Cancelled`, `Refused`."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Cancelled
        body += message.get("body", b"")
        if len(body) > MAX_BODY:
            raise Refused(413, "invalid_request_error", "the body is too large")
        if not message.get("more_body", False):
            return bytes(body)


def _start(status: int, content_type: bytes, *more: tuple[bytes, bytes]) -> Message:
    return {"type": "http.response.start", "status": status, "headers": [(b"content-type", content_type), *more]}


async def reply(send: Send, status: int, body: bytes) -> None:
    """A whole JSON response."""
    length = (b"content-length", str(len(body)).encode())
    await send(_start(status, b"application/json; charset=utf-8", length))
    await send({"type": "http.response.body", "body": body, "more_body": False})
