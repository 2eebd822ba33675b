"""The hot endpoints: a whole request in, an exchange begun."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from time import time
from typing import Protocol

import orjson

from proxy.core.chat import ChatRequest, EmbedRequest
from proxy.core.key import Key
from proxy.core.outcome import Ended, Finish
from proxy.core.relay import RELAYS, Relay
from proxy.core.told import Told
from proxy.engine.engine import Engine
from proxy.engine.lane import Road
from proxy.engine.roads import Roads
from proxy.inbound.way import Api, Counts, Remembers, Wrong
from proxy.inbound.ways import COUNTS, WAYS
from proxy.wire.answer import Answer
from proxy.wire.auth import Authenticator, not_allowed
from proxy.wire.body import BadBody, chat_request, embed_request, json_object
from proxy.wire.counting import Counting
from proxy.wire.errors import Refusal, model_not_found, refusal
from proxy.wire.relays import Handed, relay_request
from proxy.wire.rendered import Rendered
from proxy.wire.reply import Endpoint, Formed, Inbound, Reply, Worded
from proxy.wire.request_id import request_id
from proxy.wire.wishes import AGENT, HEADER, MEMBER, wish_in, with_wish, without
from proxy.wire.wording import worded

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

    def __init__(self, engine: Engine, desk: Callable[[], Desk], ways: Mapping[str, Api] = WAYS) -> None:
        self._engine = engine
        self._desk = desk
        self._ways = ways

    def endpoints(self) -> dict[tuple[str, str], Endpoint]:
        """By method and path."""
        table: dict[tuple[str, str], Endpoint] = {}
        for prefix in ("/v1", ""):
            table["POST", prefix + "/chat/completions"] = self.chat
            table["POST", prefix + "/embeddings"] = self.embed
            for path, api in self._ways.items():
                table["POST", prefix + path] = Worded(partial(self._enter, api), partial(worded, api))
            for path, counts in COUNTS.items():
                table["POST", prefix + path] = Worded(partial(self._count, counts), partial(worded, counts))
            for relay in RELAYS:
                take = partial(self._relay, relay)
                table["POST", prefix + relay.path] = Formed(take) if relay.form else take
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
        key = desk.auth.check(inbound.fields)
        if isinstance(key, Refusal):
            self._refuse(reply, key, rid, _WORDS[read])
            return
        caller = key.name
        request = read(inbound.body, desk.max_depth)
        if isinstance(request, BadBody):
            self._refuse(reply, request, rid, _WORDS[read], caller)
            return
        road = desk.roads.find(request.model)
        if road is None or (key.routes is not None and not key.may(road.route.name)):
            self._refuse(reply, _no_road(desk, request.model, road, key), rid, _WORDS[read], caller)
            return
        if MEMBER in request.body or HEADER in inbound.fields or AGENT in inbound.fields or road.headers:
            wished = with_wish(request, inbound.fields, road.headers)
            if isinstance(wished, Refusal):
                self._refuse(reply, wished, rid, _WORDS[read], caller)
                return
            request = wished
        exchange = self._engine.exchange(road, request, Answer(reply, rid, road.route.name), rid, caller)
        reply.watch(exchange.gone, exchange.ready)
        exchange.start()

    def _enter(self, api: Api, inbound: Inbound, reply: Reply) -> None:
        """A request in another API's words."""
        desk, rid = self._desk(), request_id(inbound.fields)
        key = self._caller(api, desk, inbound, reply, rid)
        if key is None:
            return
        caller = key.name
        if isinstance(api, Remembers):
            api = api.of(caller)
        asked = self._asked(api, desk, inbound, reply, rid, key)
        if asked is None:
            return
        road, request = asked
        answer = Rendered(reply, rid, road.route.name, api, request)
        exchange = self._engine.exchange(road, request, answer, rid, caller)
        reply.watch(exchange.gone, exchange.ready)
        exchange.start()

    def _count(self, api: Counts, inbound: Inbound, reply: Reply) -> None:
        """A request whose tokens are to be counted."""
        desk, rid = self._desk(), request_id(inbound.fields)
        key = self._caller(api, desk, inbound, reply, rid)
        asked = None if key is None else self._asked(api, desk, inbound, reply, rid, key)
        if key is not None and asked is not None:
            road, request = asked
            Counting(self._engine, api, reply, road, request, rid, key.name).start()

    def _relay(self, relay: Relay, inbound: Inbound, reply: Reply) -> None:
        """A request that is handed on as it is."""
        desk, rid = self._desk(), request_id(inbound.fields)
        key = desk.auth.check(inbound.fields)
        if isinstance(key, Refusal):
            self._refuse(reply, key, rid, relay.name)
            return
        caller = key.name
        request = relay_request(relay, inbound, desk.max_depth)
        if isinstance(request, BadBody):
            self._refuse(reply, request, rid, relay.name, caller)
            return
        road = desk.roads.find(request.model)
        if road is None or not key.may(road.route.name):
            self._refuse(reply, _no_road(desk, request.model, road, key), rid, relay.name, caller)
            return
        body, fields = request.body, inbound.fields
        if HEADER in fields or AGENT in fields or MEMBER in body:
            wish = wish_in(fields, body.get(MEMBER))
            if isinstance(wish, Refusal):
                self._refuse(reply, wish, rid, relay.name, caller)
                return
            request = request._replace(wish=wish)
            if MEMBER in body:
                raw, body = without(body)
                request = request._replace(raw=raw, body=body)
        exchange = self._engine.relay(road, request, Handed(reply, rid, road.route.name), rid, caller)
        reply.watch(exchange.gone, exchange.ready)
        exchange.start()

    def _caller(self, api: Api | Counts, desk: Desk, inbound: Inbound, reply: Reply, rid: str) -> Key | None:
        """The caller's key; `None`: it was refused."""
        key = desk.auth.check(inbound.fields)
        if not isinstance(key, Refusal):
            return key
        self._refuse(reply, worded(api, key, rid), rid, api.name)
        return None

    def _asked(
        self, api: Api | Counts, desk: Desk, inbound: Inbound, reply: Reply, rid: str, key: Key
    ) -> tuple[Road, ChatRequest] | None:
        """What is asked for, and where it goes; `None`: it was refused."""
        found = _read(api, inbound, desk, key)
        if isinstance(found, Refusal):
            self._refuse(reply, worded(api, found, rid), rid, api.name, key.name)
            return None
        return found

    def _refuse(self, reply: Reply, refusal: Refusal, rid: str, endpoint: str, key: str = "") -> None:
        """No target is asked; but the request is counted, logged and on record like any other."""
        now = time()
        if refusal.status != UNAUTHORIZED:
            self._engine.ledger.tell(_told(refusal, rid, endpoint, now, key))
        reply.whole(refusal.status, refusal.headers_for(rid), refusal.body)
        finish = (rid, "", "", 0, refusal.status, False, endpoint, now, 0.0, None, Ended.FAILED, None, None, key)
        self._engine.on_finish(Finish(*finish))


_WORDS: dict[Read, str] = {chat_request: "chat", embed_request: "embed"}
"""What metrics and log call an endpoint."""


UNAUTHORIZED = 401
"""Such requests are not put on record: whoever comes along could make any number of them."""


def _told(refusal: Refusal, rid: str, endpoint: str, now: float, key: str) -> Told:
    """With the error's code only: its message may quote the request."""
    error = orjson.loads(refusal.body)["error"]
    code, status, ended = str(error.get("code") or error.get("type")), refusal.status, Ended.FAILED
    return Told(rid, now, "", endpoint, key, "", (), False, ended, status, None, 0.0, 0.0, 0, None, None, (), code)


def _no_road(desk: Desk, model: str, road: Road | None, key: Key) -> Refusal:
    """The model is no route, or none that the key may use; of others it hears nothing."""
    if road is not None:
        return not_allowed(key, model)
    return model_not_found(model, [name for name in desk.roads.nearest(model) if key.may(name)])


def _read(api: Api | Counts, inbound: Inbound, desk: Desk, key: Key) -> tuple[Road, ChatRequest] | Refusal:
    body = json_object(inbound.body, desk.max_depth)
    if isinstance(body, BadBody):
        return body
    raw, said = inbound.body, body.get(MEMBER)
    if MEMBER in body:
        raw, body = without(body)
    request = api.read(body, raw, inbound.fields)
    if isinstance(request, Wrong):
        return refusal(request.status, request.message, request.code, param=request.param)
    road = desk.roads.find(request.model)
    if road is None or not key.may(road.route.name):
        return _no_road(desk, request.model, road, key)
    wish = wish_in(inbound.fields, said, road.headers)
    if isinstance(wish, Refusal):
        return wish
    return road, request if wish is None else request._replace(wish=wish)
