"""The ASGI app around one model: llama-server's endpoints, as far as Wayline uses them."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from typing import Any

import orjson

from proxy.local.llama import shapes
from proxy.local.llama.model import Cancelled, Model
from proxy.local.llama.request import ChatAsk, Refused, read_chat, read_embed
from proxy.local.llama.shapes import Done, Piece, Shapes
from proxy.local.llama.turns import Job, Turns
from proxy.local.spec import WorkerSpec

log = logging.getLogger("wayline.local")

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

MAX_BODY = 32 * 1024 * 1024


class App:
    """Answers 503 until `load` is through."""

    def __init__(self, spec: WorkerSpec) -> None:
        self._spec = spec
        self._model: Model | None = None
        self._turns = Turns(spec.queue)
        self._jobs: set[Job[Any]] = set()

    async def load(self) -> None:
        """Load the model on its thread. Raises `ModelRefused`, `EngineRefused`."""
        model = await self._turns.call(lambda: Model(self._spec))
        model.cancelled = self._current_cancelled
        self._model = model

    async def close(self) -> None:
        """Stop what runs and free the model."""
        for job in self._jobs:
            job.cancel()
        if self._model is not None:
            await self._turns.call(self._model.close)
        self._turns.close()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """One HTTP request."""
        route = (scope["method"], scope["path"])
        try:
            if route == ("GET", "/health"):
                self._loaded()
                await reply(send, 200, b'{"status":"ok"}')
            elif route == ("GET", "/slots"):
                await reply(send, 200, orjson.dumps([self._slot()]))
            elif route == ("POST", "/v1/chat/completions"):
                await self._chat(await read_body(receive), receive, send)
            elif route == ("POST", "/v1/embeddings"):
                await self._embed(await read_body(receive), receive, send)
            else:
                raise Refused(404, "not_found_error", "File Not Found")
        except Refused as refused:
            await reply(send, refused.status, orjson.dumps({"error": refused.error}))
        except Gone:
            return

    async def _chat(self, raw: bytes, receive: Receive, send: Send) -> None:
        model = self._loaded()
        if self._spec.embedding:
            raise Refused(501, "not_supported_error", "this model serves embeddings, not chat")
        ask = read_chat(raw)
        # Rendering and counting need no turn: a prompt that is too long is told at once.
        prompt, grammar = await asyncio.to_thread(lambda: (model.prompt(ask), model.grammar(ask)))
        job: Job[Piece | Done] = Job()
        self._turns.take(job, lambda: model.answer(ask, prompt, grammar))
        out = Shapes(f"chatcmpl-{secrets.token_urlsafe(24)}", int(time.time()), self._spec.name)
        await self._while_there(job, receive, self._answer(ask, out, job, send))

    async def _answer(self, ask: ChatAsk, out: Shapes, job: Job[Piece | Done], send: Send) -> None:
        if ask.stream:
            await self._stream(ask, out, job, send)
            return
        pieces: list[Piece] = []
        async for item in _told(job):
            if isinstance(item, Done):
                await reply(send, 200, out.whole(pieces, item, logprobs=ask.logprobs is not None))
                return
            pieces.append(item)

    async def _stream(self, ask: ChatAsk, out: Shapes, job: Job[Piece | Done], send: Send) -> None:
        """The head goes out with the first token: until then a failure can be a true status."""
        begun = False
        try:
            async for item in _told(job):
                events = b"" if begun else out.first()
                if not begun:
                    begun = True
                    await send(start(200, b"text/event-stream"))
                last = isinstance(item, Done)
                events += out.last(item, usage=ask.wants_usage) if isinstance(item, Done) else out.piece(item)
                await send({"type": "http.response.body", "body": events, "more_body": not last})
        except Refused as refused:
            if not begun:
                raise
            body = shapes.event({"error": refused.error})
            await send({"type": "http.response.body", "body": body, "more_body": False})

    async def _embed(self, raw: bytes, receive: Receive, send: Send) -> None:
        model = self._loaded()
        if not self._spec.embedding:
            message = "This server does not support embeddings: `embedding: true` in its configuration makes it one"
            raise Refused(501, "not_supported_error", message)
        ask = read_embed(raw)
        inputs = await asyncio.to_thread(lambda: [model.embed_tokens(item) for item in ask.inputs])
        job: Job[list[float]] = Job()

        def work() -> Iterator[list[float]]:
            yield from map(model.embed, inputs)

        async def answer() -> None:
            vectors = [vector async for vector in _told(job)]
            if len(vectors) == len(inputs):
                tokens = sum(map(len, inputs))
                await reply(send, 200, shapes.embeddings(self._spec.name, vectors, tokens, as_base64=ask.base64))

        self._turns.take(job, work)
        await self._while_there(job, receive, answer())

    async def _while_there(self, job: Job[Any], receive: Receive, work: Awaitable[None]) -> None:
        """Do it while the client is there; when it leaves, its turn ends."""

        async def watch() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            job.cancel()

        watching = asyncio.ensure_future(watch())
        self._jobs.add(job)
        try:
            await work
        finally:
            job.cancelled = True  # also when the answer could not be sent
            self._jobs.discard(job)
            watching.cancel()
            await asyncio.wait({watching})

    def _loaded(self) -> Model:
        if self._model is None:
            raise Refused(503, "unavailable_error", "Loading model")
        return self._model

    def _current_cancelled(self) -> bool:
        job = self._turns.current
        return job is not None and job.cancelled

    def _slot(self) -> dict[str, Any]:
        n_ctx = self._model.n_ctx if self._model is not None else 0
        return {"id": 0, "n_ctx": n_ctx, "is_processing": self._turns.current is not None}


class Gone(Exception):
    """The client left while it sent its request."""


async def _told(job: Job[Any]) -> Any:
    """A job's items; what ended it otherwise, in words for the caller."""
    try:
        async for item in job.items():
            yield item
    except (Refused, Cancelled):
        raise
    except Exception as error:
        # Anything that llama.cpp's binding raises: the cause goes to the log, since it may hold paths.
        log.error("the model's thread failed: %r", error)
        raise Refused(500, "server_error", "the model failed while it evaluated this request") from error


async def read_body(receive: Receive) -> bytes:
    """The request's body, bounded. Raises `Gone`, `Refused`."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        body += message.get("body", b"")
        if len(body) > MAX_BODY:
            raise Refused(413, "invalid_request_error", "the body is too large")
        if not message.get("more_body", False):
            return bytes(body)


def start(status: int, content_type: bytes, *more: tuple[bytes, bytes]) -> Message:
    """The head of a response."""
    return {"type": "http.response.start", "status": status, "headers": [(b"content-type", content_type), *more]}


async def reply(send: Send, status: int, body: bytes) -> None:
    """A whole JSON response."""
    await send(start(status, b"application/json; charset=utf-8", (b"content-length", str(len(body)).encode())))
    await send({"type": "http.response.body", "body": body, "more_body": False})
