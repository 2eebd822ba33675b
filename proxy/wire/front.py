"""The hot endpoints: a whole request in, an exchange begun."""

from __future__ import annotations

from collections.abc import Callable
from time import time
from typing import Protocol

from proxy.core.chat import ChatRequest, EmbedRequest
from proxy.core.outcome import Ended, Finish
from proxy.engine.engine import Engine
from proxy.engine.roads import Roads
from proxy.wire.answer import Answer
from proxy.wire.auth import Authenticator
from proxy.wire.body import BadBody, chat_request, embed_request
from proxy.wire.errors import Refusal, model_not_found
from proxy.wire.reply import Endpoint, Inbound, Reply
from proxy.wire.request_id import request_id

Read = Callable[[bytes, int], "ChatRequest | EmbedRequest | BadBody"]
"""Bytes and the deepest nesting to a request, or to what is wrong with it."""


class Desk(Protocol):
    """What is in force now; a reload replaces it as a whole."""

    @property
    def roads(self) -> Roads: ...

    @property
    def auth(self) -> Authenticator: ...

    @property
    def max_depth(self) -> int: ...


class Front:
    """Makes the endpoints. `desk` is asked anew for each request."""

    def __init__(self, engine: Engine, desk: Callable[[], Desk]) -> None:
        self._engine = engine
        self._desk = desk

    def endpoints(self) -> dict[tuple[str, str], Endpoint]:
        """By method and path."""
        table: dict[tuple[str, str], Endpoint] = {}
        for prefix in ("/v1", ""):
            table["POST", prefix + "/chat/completions"] = self.chat
            table["POST", prefix + "/embeddings"] = self.embed
        return table

    def chat(self, inbound: Inbound, reply: Reply) -> None:
        """`POST /v1/chat/completions`."""
        self._take(inbound, reply, chat_request)

    def embed(self, inbound: Inbound, reply: Reply) -> None:
        """`POST /v1/embeddings`."""
        self._take(inbound, reply, embed_request)

    def _take(self, inbound: Inbound, reply: Reply, read: Read) -> None:
        desk = self._desk()
        rid = request_id(inbound.fields)
        caller = desk.auth.check(inbound.headers)
        if not isinstance(caller, str):
            self._refuse(reply, caller, rid, read)
            return
        request = read(inbound.body, desk.max_depth)
        if isinstance(request, BadBody):
            self._refuse(reply, request, rid, read, caller)
            return
        road = desk.roads.find(request.model)
        if road is None:
            unknown = model_not_found(request.model, desk.roads.nearest(request.model))
            self._refuse(reply, unknown, rid, read, caller)
            return
        answer = Answer(reply, rid, road.route.name)
        exchange = self._engine.exchange(road, request, answer, rid, caller)
        reply.watch(exchange.gone, exchange.ready)
        exchange.start()

    def _refuse(self, reply: Reply, refusal: Refusal, rid: str, read: Read, key: str = "") -> None:
        """No target is asked; but the request is counted and logged like any other."""
        reply.whole(refusal.status, refusal.headers_for(rid), refusal.body)
        self._engine.on_finish(
            Finish(
                rid,
                "",
                "",
                0,
                refusal.status,
                False,
                "embed" if read is embed_request else "chat",
                time(),
                0.0,
                None,
                Ended.FAILED,
                None,
                None,
                key,
            )
        )
