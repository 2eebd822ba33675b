"""The hot endpoints as an ASGI application, for other servers than ours.

What our own server does before a request gets here (bounds on time and on headers, slow readers) is that server's
business; bounds on bodies, and what is no JSON, are looked at here.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping

from starlette.types import ASGIApp, Receive, Scope, Send

from proxy.core.call import Headers
from proxy.wire.door import Door, HotPath
from proxy.wire.errors import Refusal
from proxy.wire.head import FAILED, LEAVING, content_flaw, form_flaw, method_not_allowed, too_large
from proxy.wire.outbox import BrokenOff, Outbox, pairs
from proxy.wire.reply import Endpoint, Inbound, Reply

log = logging.getLogger("wayline.wire")


class Mounted:
    """`app` answers what is not hot. It may stand below any path (`root_path` of the ASGI scope)."""

    def __init__(self, door: Door, app: ASGIApp) -> None:
        self._door = door
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        hot = self._door.hot.get(below(scope).encode()) if scope["type"] == "http" else None
        if hot is None:
            await self._app(scope, receive, send)
        else:
            await self._answer(hot, scope, receive, send)

    async def _answer(self, hot: HotPath, scope: Scope, receive: Receive, send: Send) -> None:
        headers: Headers = list(scope["headers"])
        fields = dict(headers)
        method: bytes = scope["method"].encode()
        outbox = Outbox()
        endpoint = hot.methods.get(method)
        wrong = self._flaw(hot, endpoint, fields)
        body = b"" if wrong is not None else await _body(receive, self._door.listen.max_body)
        if body is None:
            return  # it left before its request was whole
        if isinstance(body, Refusal):
            wrong = body
        if wrong is not None or endpoint is None:
            told = wrong or FAILED
            _say(outbox, told if hot.words is None else hot.words(told))
        else:
            peer = scope.get("client") or ("",)
            assert isinstance(body, bytes)
            _begin(endpoint, Inbound(method.decode(), hot.path, headers, fields, body, peer[0]), outbox)
        await _send(outbox, receive, send)

    def _flaw(self, hot: HotPath, endpoint: Endpoint | None, fields: Mapping[bytes, bytes]) -> Refusal | None:
        if self._door.draining.active:
            return LEAVING
        length = fields.get(b"content-length", b"0")
        if length.isdigit() and int(length) > self._door.listen.max_body:
            return too_large(self._door.listen.max_body)
        if endpoint is None:
            return method_not_allowed(hot.allow)
        return form_flaw(fields, b"") if hot.forms else content_flaw(fields)


def below(scope: Scope) -> str:
    """The path of a request within the application, wherever that is mounted."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    return path.removeprefix(root) if path.startswith(root + "/") else path


async def _body(receive: Receive, most: int) -> bytes | Refusal | None:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        part = message.get("body", b"")
        parts.append(part)
        size += len(part)
        if size > most:
            return too_large(most)
        if not message.get("more_body", False):
            return b"".join(parts)


def _begin(endpoint: Endpoint, inbound: Inbound, reply: Reply) -> None:
    try:
        endpoint(inbound, reply)
    except Exception:  # an endpoint's bug must not take the server along
        log.exception("an endpoint raised")
        _say(reply, FAILED)
        reply.abandon()


def _say(reply: Reply, told: Refusal) -> None:
    reply.whole(told.status, told.headers, told.body)


async def _send(outbox: Outbox, receive: Receive, send: Send) -> None:
    leaving = asyncio.get_running_loop().create_task(_until_gone(receive, outbox))
    try:
        await outbox.begun()
        headers = pairs(outbox.headers)
        if outbox.length is not None:
            headers.append((b"content-length", b"%d" % outbox.length))
        await send({"type": "http.response.start", "status": outbox.status, "headers": headers})
        while piece := await outbox.piece():
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    except BrokenOff:
        if not outbox.gone:
            raise  # so that the server breaks the connection off: what came is not whole
    finally:
        outbox.leave()
        leaving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await leaving


async def _until_gone(receive: Receive, outbox: Outbox) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    outbox.leave()
