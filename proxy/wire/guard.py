"""The guarded HTTP/1.1 connection: bounds on everything a client sends, and the short way for the hot endpoints.

    bytes -> parser -> Turn, whole -> queue -> endpoint (hot) or ASGI task -> bytes
                                        |
                      one at a time; what comes meanwhile waits as bytes, bounded

uvicorn's `HttpToolsProtocol` gives the parser and the ASGI cycle. Other than there, an ASGI request too is started only
when its body is whole: bounds and deadlines hold for it before any code of the app runs.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from enum import IntEnum
from typing import Any

import httptools
from uvicorn.server import ServerState

from proxy.wire.asgi import begin
from proxy.wire.connection import Connection, GuardedConfig
from proxy.wire.door import OPEN_WHILE_DRAINING
from proxy.wire.errors import Refusal
from proxy.wire.head import (
    BAD_REQUEST,
    FAILED,
    FULL,
    LEAVING,
    LONG_HEAD,
    SLOW_BODY,
    SLOW_HEAD,
    flaw,
    too_large,
)
from proxy.wire.reply import Inbound
from proxy.wire.routing import direct, worded
from proxy.wire.turn import STATUS_LINE, Turn

log = logging.getLogger("wayline.wire")

MAX_QUEUED = 64
"""Pipelined requests that wait on one connection; those beyond are dropped and the connection closed after them."""
MAX_HELD = 64 * 1024
"""Bytes that wait unparsed while a request is answered; with more, likewise."""
SPARE = 64
"""Connections beyond the limit that are told so; those beyond are cut."""


class Stage(IntEnum):
    """What the parser waits for."""

    IDLE = 0
    HEAD = 1
    BODY = 2


_new = tuple.__new__  # a third of what the class's own `__new__` costs, which is a Python function
IDLE, HEAD, BODY = Stage  # reading a member off its class costs 40 ns in Python 3.11, and each request needs it often


class GuardedProtocol(Connection):
    """One connection."""

    def __init__(
        self,
        config: GuardedConfig,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.peer = ""
        self.url = b""
        self.stage: Stage = IDLE
        self.timed: Stage = HEAD
        """The stage that the deadline is for."""
        self.coming: Turn | None = None
        """The request whose body is being read."""
        self.body: bytes | bytearray = b""
        self.queue: deque[Turn | Refusal] = deque()
        self.held: list[bytes] = []
        self.held_bytes = 0
        self.piece = 0
        """Size of the piece that is being parsed; 0 when a request ended in it."""
        self.raw = 0
        """Bytes of this head, or of this body with its framing, in the pieces before."""
        self.offered = b""
        """The request line of a request that offers to change the protocol."""
        self.deaf = False
        """No further request is taken from this connection."""
        self.bodiless = False
        """The refusal answers a HEAD request."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        if self.client:
            self.peer = self.client[0]
        self._until(self.limits.header_timeout)
        over = len(self.connections) - self.limits.max_connections
        if over > SPARE:
            transport.abort()
        elif over > 0:
            self._refuse(FULL)
            self._pump()

    def _forget(self) -> None:
        self.deaf = True
        self.queue.clear()
        self.held.clear()
        self.coming = None
        self.body = b""

    def _late(self) -> None:
        if self.stage is HEAD:
            self._refuse(SLOW_HEAD)
        elif self.stage is BODY:
            self._refuse(SLOW_BODY, self.coming)
        else:
            self._close()
        if not self.pumping:
            self._pump()

    # Bytes in

    def data_received(self, data: bytes) -> None:
        if self.deaf:
            return
        if self.turn is None:
            self._feed(data)
            self._pump()
            return
        # Reading goes on while a request is answered, so that the client's leaving is seen.
        self.held.append(data)
        self.held_bytes += len(data)
        if self.held_bytes > MAX_HELD:
            self.held.clear()
            self._take_no_more()

    def _take_no_more(self) -> None:
        self.deaf = True
        last = self.queue[-1] if self.queue else self.turn
        if isinstance(last, Turn):
            last.keep_alive = False

    def _feed(self, data: bytes) -> None:
        self.piece = len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._without_upgrade(data[upgrade.args[0] :])
            return
        except httptools.HttpParserCallbackError:
            log.exception("reading a request failed by a fault of ours")
            self._refuse(FAILED)
        except httptools.HttpParserError:
            self._refuse(BAD_REQUEST)
        if self.stage is not IDLE and not self.deaf:
            self._bound()

    def _bound(self) -> None:
        """Called after each piece that left a request incomplete."""
        self.raw += self.piece
        most = self.limits.max_header
        if self.stage is HEAD:
            if self.raw > most:
                self._refuse(LONG_HEAD)
        elif self.raw > 8 * len(self.body) + 2 * most:
            # Chunks of one byte take 6. More than 8 are extensions and trailers, which nobody reads: they could
            # go on for ever.
            self._refuse(BAD_REQUEST, self.coming)

    def _pump(self) -> None:
        """Answers what is whole, one at a time, until there is nothing more to do now."""
        self.pumping = True
        while self.turn is None and not self.closing:
            if self.queue:
                self._take(self.queue.popleft())
            elif self.held and not self.deaf:
                data = b"".join(self.held)
                self.held.clear()
                self.held_bytes = 0
                self._feed(data)
            else:
                break
        self.pumping = False
        if self.stage is not self.timed and self.turn is None and not self.closing:
            self._await_rest()

    def _await_rest(self) -> None:
        """The parser has a new part of a request before it, and nothing else is to be done."""
        self.timed = self.stage
        if self.stage is HEAD:
            self._until(self.limits.header_timeout)
        elif self.coming is not None:
            self._until(self.limits.body_timeout)
            if b"expect" in self.coming.fields and self.coming.version == "1.1":
                self.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    # The parser's callbacks

    def on_message_begin(self) -> None:
        self.stage = HEAD
        self.raw = 0
        self.url = b""
        self.headers = []

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        if self.deaf:
            return
        parser = self.parser
        method = parser.get_method()
        version = parser.get_http_version()
        if parser.should_upgrade() and method != b"CONNECT":
            self.offered = b"%b %b HTTP/%b\r\n" % (method, self.url, version.encode())
            return
        headers = self.headers
        self.headers = []  # trailers go to a list that nobody reads
        turn = Turn(self, method, self.url, headers, dict(headers), version)
        self.stage = BODY
        most = self.limits.max_header
        if (self.raw or not 0 < self.piece <= most) and turn.head_size() > most:
            self._refuse(LONG_HEAD)
            return
        self.raw = 0
        wrong = flaw(turn) or direct(turn, self.door)
        if wrong is not None:
            self._refuse(wrong, turn)
            return
        turn.keep_alive = version == "1.1" and parser.should_keep_alive()
        self.coming = turn

    def on_body(self, body: bytes) -> None:
        if self.deaf:
            return
        if not self.body:
            self.body = body
        else:
            if type(self.body) is bytes:
                self.body = bytearray(self.body)
            self.body += body
        if len(self.body) > self.limits.max_body:
            self._refuse(too_large(self.limits.max_body), self.coming)

    def on_message_complete(self) -> None:
        if self.offered:
            return
        self.stage = self.timed = IDLE
        self.piece = 0
        turn = self.coming
        if turn is None or self.deaf:
            return
        turn.body = self.body if type(self.body) is bytes else bytes(self.body)
        self.body = b""
        self.coming = None
        self.queue.append(turn)
        if not turn.keep_alive:
            self.deaf = True
        elif len(self.queue) >= MAX_QUEUED:
            self._take_no_more()

    def _without_upgrade(self, rest: bytes) -> None:
        """No protocol is changed to here: the request is read as if it had not offered to (RFC 9110 section 7.8).

        The parser takes what follows the head for the new protocol, so a new one reads head and body once more.
        Java's HttpClient offers h2c with its requests.
        """
        if not self.offered or self.deaf:
            return
        head = [self.offered]
        head += [b"%b: %b\r\n" % (name, value) for name, value in self.headers if name != b"upgrade"]
        self.offered = b""
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn sets it
        self._feed(b"".join(head) + b"\r\n" + rest)

    # Answers

    def _refuse(self, refusal: Refusal, turn: Turn | None = None) -> None:
        """Refuses what comes, and with it the rest of the connection; in turn, when requests wait before it."""
        if self.deaf:
            return
        self.deaf = True
        self.coming = None
        self.body = b""
        if turn is not None:
            refusal = worded(refusal, turn.target, self.door).with_lines(turn.more)
            self.bodiless = turn.method == b"HEAD"
        self.queue.append(refusal)

    def _take(self, turn: Turn | Refusal) -> None:
        if isinstance(turn, Refusal):
            self._say(turn)
            return
        self.turn = turn
        if self.door.draining.active and turn.target.partition(b"?")[0] not in OPEN_WHILE_DRAINING:
            self._answer(turn, LEAVING)
        elif turn.endpoint is None:
            begin(self, turn)
        else:
            parts = (turn.method.decode(), turn.path, turn.headers, turn.fields, turn.body, self.peer)
            inbound = _new(Inbound, parts)
            turn.body = b""
            try:
                turn.endpoint(inbound, turn)
            except Exception:  # an endpoint's bug must not take the connection's state along
                log.exception("an endpoint raised")
                if turn.unsent:
                    turn.keep_alive = False
                    self._answer(turn, FAILED)
                turn.abandon()

    def _answer(self, turn: Turn, refusal: Refusal) -> None:
        told = worded(refusal, turn.target, self.door)
        turn.whole(told.status, told.headers, told.body)

    def _say(self, refusal: Refusal) -> None:
        status, body = STATUS_LINE[refusal.status], refusal.body
        head = b"%b%b%bcontent-length: %d\r\nconnection: close\r\n\r\n"
        head %= (status, self.door.date, refusal.headers, len(body))
        self.write(head if self.bodiless else head + body)
        self._close_gently()
