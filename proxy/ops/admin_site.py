"""The admin API as an ASGI application: keys, reading, answering; what is done stands in its actions."""

from __future__ import annotations

import hmac
import inspect
import logging
import os
import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from functools import cache, partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Match, Mount, Route
from starlette.types import Receive, Scope, Send

from proxy.config.values import Admin
from proxy.ops.admin_api import Action, Ask, Refused, document
from proxy.ops.admin_events import Feed
from proxy.ops.admin_schema import Json, Wrong, fields_of, from_text, read

log = logging.getLogger("wayline.admin")

PAGE = Path(__file__).with_name("admin.html")
MAX_BODY = 4 * 1024 * 1024
"""Bytes: a draft of a configuration, or a long prompt to be explained."""
QUIET = {"cache-control": "no-store", "x-content-type-options": "nosniff", "referrer-policy": "no-referrer"}


class AdminSite:
    """`admin` is asked anew for each request: a reload may change keys and path, or end it."""

    def __init__(self, actions: Iterable[Action], feed: Feed, admin: Callable[[], Admin | None], version: str) -> None:
        self._actions = tuple(actions)
        self._feed = feed
        self._admin = admin
        self._version = version
        self._mount: tuple[str, Mount] | None = None
        self._app = self._application()

    def route(self) -> BaseRoute:
        """For the application that it stands in."""
        return _Door(self._mounted)

    def _mounted(self) -> Mount | None:
        admin = self._admin()
        if admin is None:
            return None
        if self._mount is None or self._mount[0] != admin.path:
            self._mount = admin.path, Mount(admin.path, self._app)
        return self._mount[1]

    def _application(self) -> Starlette:
        routes: list[BaseRoute] = [
            Route("/", self._page),
            Route("/openapi.json", self._guarded(self._document)),
            Route("/events", self._guarded(self._events)),
        ]
        for action in self._actions:
            # A target's name has a slash in it; what follows it in the path is matched all the same.
            path = action.path.replace("}", ":path}") if "{target}" in action.path else action.path
            routes.append(Route(path, self._guarded(partial(self._do, action)), methods=[action.method]))
        return Starlette(
            routes=routes, exception_handlers={Refused: _refused, HTTPException: _said, Exception: _failed}
        )

    # Who may -----------------------------------------------------------------------------------------------------

    def _guarded(self, answer: Callable[[Request], Any]) -> Callable[[Request], Any]:
        async def guarded(request: Request) -> Response:
            self._check(request)
            told: Response = await answer(request)
            return told

        return guarded

    def _check(self, request: Request) -> None:
        admin = self._admin()
        given = _given(request)
        if given is None:
            raise Refused(401, "No admin key was given. Send it as 'Authorization: Bearer <key>'.", "missing_api_key")
        digest = sha256(given.encode("latin-1")).digest()
        good = [hmac.compare_digest(digest, one) for one in (() if admin is None else admin.sha256)]
        if not any(good):
            raise Refused(401, "The admin key is not valid.", "invalid_api_key")

    # Answers -----------------------------------------------------------------------------------------------------

    async def _do(self, action: Action, request: Request) -> Response:
        try:
            ask = Ask(request.path_params, _query(action, request.query_params), await _body(action, request))
        except Wrong as wrong:
            raise Refused(400, str(wrong), "invalid_request", param=wrong.at or None) from None
        told = action.do(ask)
        if inspect.isawaitable(told):
            told = await told
        return _json({**told, "worker": os.getpid()})

    async def _document(self, request: Request) -> Response:
        return _json(document(self._actions, self._version, request.scope["root_path"]))

    async def _page(self, request: Request) -> Response:
        page, policy = _page()
        headers = {**QUIET, "content-security-policy": policy, "x-frame-options": "DENY"}
        return Response(page, media_type="text/html; charset=utf-8", headers=headers)

    async def _events(self, request: Request) -> Response:
        if self._feed.full:
            raise Refused(429, "Too many listen already.", "too_many_listeners", type_="rate_limit_error")
        headers = {**QUIET, "x-accel-buffering": "no"}
        last = request.headers.get("last-event-id", "")
        lines = self._feed.lines(int(last) if last.isdecimal() and len(last) < 16 else None)
        return StreamingResponse(lines, media_type="text/event-stream", headers=headers)


class _Door(BaseRoute):
    """Stands where the configuration says at that moment, or nowhere."""

    def __init__(self, mount: Callable[[], Mount | None]) -> None:
        self._mount = mount

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        mount = self._mount()
        return (Match.NONE, {}) if mount is None else mount.matches(scope)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await scope["endpoint"](scope, receive, send)


@cache
def _page() -> tuple[bytes, str]:
    """The page, and what it may do: run its own script, by its digest, and talk to nobody but us. (CSP level 3)"""
    page = PAGE.read_bytes()
    own = {
        tag: " ".join(map(_digest, re.findall(b"<%b>(.*?)</%b>" % (tag, tag), page, re.S)))
        for tag in (b"script", b"style")
    }
    return page, (
        f"default-src 'none'; script-src {own[b'script']}; style-src {own[b'style']}; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _digest(text: bytes) -> str:
    return f"'sha256-{b64encode(sha256(text).digest()).decode()}'"


def _given(request: Request) -> str | None:
    scheme, _, rest = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and rest.strip():
        return rest.strip()
    return request.headers.get("x-api-key") or None


def _query(action: Action, given: Mapping[str, str]) -> Json:
    fields = {} if action.query is None else fields_of(action.query)
    for name in given:
        if name not in fields:
            words = f"there is {', '.join(fields)}" if fields else "there is none"
            raise Wrong(name[:100], f"There is no '{name[:100]}' to ask for; {words}.")
    for name, (_, must) in fields.items():
        if must and name not in given:
            raise Wrong(name, f"'{name}' is missing.")
    return {name: from_text(fields[name][0], text, name) for name, text in given.items()}


async def _body(action: Action, request: Request) -> Json:
    raw = bytearray()
    async for part in request.stream():
        raw += part
        if len(raw) > MAX_BODY:
            raise Refused(413, f"The body is larger than {MAX_BODY} bytes.", "body_too_large")
    if action.takes is None or (not raw and action.body_optional):
        return {}
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refused(415, "The content type must be application/json.", "unsupported_media_type")
    try:
        value = orjson.loads(bytes(raw))
    except orjson.JSONDecodeError:
        raise Refused(400, "The body is not valid JSON.", "invalid_json") from None
    found: Json = read(action.takes, value)
    return found


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    more = {"www-authenticate": "Bearer"} if error.status == 401 else {}
    return _json({"error": error.error}, error.status, more)


async def _said(request: Request, error: Exception) -> Response:
    """What Starlette refuses."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    if status == 405:
        allowed = dict(getattr(error, "headers", None) or {})
        told = Refused(405, "This path does not take that method.", "method_not_allowed")
        return _json({"error": told.error}, 405, {k.lower(): v for k, v in allowed.items()})
    told = Refused(status, f"There is nothing at {request.scope['path'][:200]!r}.", "not_found")
    return _json({"error": told.error}, status)


async def _failed(request: Request, error: Exception) -> Response:
    log.error("an admin action failed: %s: %s", type(error).__name__, error)
    return _json({"error": Refused(500, "The gateway failed.", "internal_error", type_="server_error").error}, 500)


def _json(value: object, status: int = 200, more: Mapping[str, str] | None = None) -> Response:
    headers = {**QUIET, **(more or {})}
    return Response(orjson.dumps(value), status, media_type="application/json", headers=headers)
