"""Wayline inside another program: the same engine, without a socket.

async with Wayline("routes.yaml") as wayline:
    answer = await wayline.chat(model="chat", messages=[{"role": "user", "content": "Hello"}])
    print(answer.text, answer.target, answer.cost)
    async for chunk in wayline.stream(model="chat", messages=[…]):
        print(chunk.text, end="")

app.mount("/llm", wayline.asgi)      # in a Starlette or FastAPI application
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Mapping
from functools import partial
from types import TracebackType
from typing import Any, Self
from weakref import WeakSet

import orjson
from starlette.types import ASGIApp

from proxy.app.answers import Answer, Vectors, WaylineError
from proxy.app.application import Application
from proxy.app.asked import Asked, Stream
from proxy.app.inside import KEY, Inside
from proxy.app.notes import Notes
from proxy.app.process import Process
from proxy.app.sources import Source, config_of, loader
from proxy.config.prices import price_targets
from proxy.ops.feedback import Busy, Wrong, opinion_of
from proxy.ops.site import offered
from proxy.wire.door import Door
from proxy.wire.mounted import Mounted
from proxy.wire.reply import Inbound
from proxy.wire.request_id import request_id


class Wayline:
    """One configuration, in force while the `async with` lasts. Several may be open in one process.

    All of it is to be used on the event loop on which it was opened.
    """

    def __init__(self, config: Source, *, key: str = "") -> None:
        """`config`: a file (which is watched, and loaded again when it changes), a mapping as such a file says it, or a
        `Config`. `key`: the name under which requests go on record, and whose limits hold; nobody is asked for a key.

        Nothing is read or opened before the `async with`.
        """
        self._config = config
        self._key = key
        self._process: Process | None = None
        self._inside: Inside | None = None
        self._closing = contextlib.AsyncExitStack()
        self._begun = False
        self._live: WeakSet[Asked] = WeakSet()
        self._mounted: ASGIApp | None = None
        self.asgi = Application(self)
        """For an ASGI server, or to be mounted in another application."""

    # Open and close ----------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """As `async with` does at its beginning. Raises `ValueError` with every problem of the configuration;
        `LedgerError`, `StateError` or `StoreError` where a database cannot be opened."""
        if self._begun:
            raise RuntimeError("this Wayline is open already")
        self._begun = True
        try:
            await self._open()
        except BaseException:
            self._begun = False
            raise

    async def _open(self) -> None:
        config = config_of(self._config, os.environ)
        priced, warning = await asyncio.to_thread(price_targets, config)
        notes = Notes()
        if warning:
            notes.event("warning", "config.prices", reason=warning)
        process = Process(priced, dict(os.environ), notes, loader(self._config, priced))
        await self._closing.enter_async_context(process.running())
        self._process = process
        self._inside = Inside(process, notes)
        door = Door(config.listen, process.endpoints, draining=process.draining)
        self._mounted = Mounted(door, process.app)

    async def close(self) -> None:
        """Requests under way end, with an error for those who wait; ledger and connections are closed."""
        if self._process is None:
            return
        self._process.draining.begin()
        for asked in tuple(self._live):
            asked.outbox.leave()
        self._process = self._inside = self._mounted = None
        try:
            await self._closing.aclose()
        finally:
            self._begun = False

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # Ask ---------------------------------------------------------------------------------------------------------

    async def chat(self, *, model: str, messages: list[Any], **params: Any) -> Answer:
        """A whole answer. `params` as in OpenAI's API, and `wayline={…}` with what is asked of targets.

        Raises `WaylineError`. Cancelling it ends the request.
        """
        body = {"model": model, "messages": messages, **params, "stream": False}
        asked = self._ask("/v1/chat/completions", body)
        return Answer(*await asked.whole())

    def stream(self, *, model: str, messages: list[Any], **params: Any) -> Stream:
        """An answer in pieces: `async for chunk in wayline.stream(…)`. Raises `WaylineError` while it is read.

        The last piece has the usage, where `stream_options` does not say otherwise.
        """
        body = {"stream_options": {"include_usage": True}, **params, "model": model, "messages": messages}
        return Stream(partial(self._ask, "/v1/chat/completions", {**body, "stream": True}))

    async def embed(self, *, model: str, input: str | list[Any], **params: Any) -> Vectors:  # noqa: A002  # OpenAI's
        """Vectors of one or more texts. Raises `WaylineError`."""
        asked = self._ask("/v1/embeddings", {"model": model, "input": input, **params})
        return Vectors(*await asked.whole())

    async def feedback(self, request_id: str, score: float, comment: str = "") -> str:
        """What you think of an answer (its `won.request_id`): from 0, useless, to 1. Gives the target that it was of.

        Raises `WaylineError`: 404 where no such answer is on record, which needs `feedback`, `ledger` and `state`.
        """
        try:
            opinion = opinion_of(orjson.dumps({"request_id": request_id, "score": score, "comment": comment}))
            target = await self._opened().rating.take(self._key, opinion)
        except Wrong as wrong:
            raise WaylineError(400, {"message": str(wrong), "param": wrong.param}) from None
        except Busy:
            error = {"message": "Too many ratings at once.", "code": "feedback_busy"}
            raise WaylineError(503, error, retry_after=1.0) from None
        if target is None:
            message = f"No answered request {request_id!r} is known, or it is too old."
            raise WaylineError(404, {"message": message, "code": "request_not_found", "param": "request_id"})
        return target

    def models(self) -> list[dict[str, Any]]:
        """The routes, with what they offer: as in `GET /v1/models`."""
        desk = self._opened().runtime.desk
        plain = {"object": "model", "created": desk.loaded_at, "owned_by": "wayline"}
        return [{"id": name, **plain, **offered(road.route)} for name, road in desk.roads.by_name.items()]

    def _ask(self, path: str, body: Mapping[str, Any]) -> Asked:
        self._opened()
        assert self._inside is not None
        asked = Asked(request_id({}))
        self._live.add(asked)
        fields = {
            b"x-request-id": asked.request_id.encode(),
            b"content-type": b"application/json",
            KEY: self._key.encode(),
        }
        self._inside.ask(Inbound("POST", path, list(fields.items()), fields, orjson.dumps(body), ""), asked)
        return asked

    @property
    def mounted(self) -> ASGIApp | None:
        """What answers HTTP; `None` while it is not open."""
        return self._mounted

    def _opened(self) -> Process:
        if self._process is None:
            raise RuntimeError("this Wayline is not open: use `async with Wayline(…) as wayline`")
        return self._process
