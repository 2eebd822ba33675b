"""`POST /v1/feedback`: what a caller thinks of an answer that it got."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

Caller = Callable[[list[tuple[bytes, bytes]]], str | Response]
"""Request headers to the name of the caller's key, or to the answer for one whose key is not good."""
MAX_BODY = 16 * 1024
LONGEST_ID = 128
LONGEST_COMMENT = 2000


class Opinion(NamedTuple):
    """`score`: from 0, useless, to 1, nothing to improve."""

    request_id: str
    score: float
    comment: str


class Wrong(ValueError):
    """The message is for the caller."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


Take = Callable[[str, Opinion], Awaitable[str | None]]
"""The caller's name and what it thinks, to the target that it spoke of; `None`: no such request of its is known.
Raises `Busy`, `Off`."""


class Busy(Exception):
    """Too many at once."""


class Off(Exception):
    """None are taken."""


class FeedbackPage:
    """The endpoint."""

    def __init__(self, take: Take, caller: Caller) -> None:
        self._take = take
        self._caller = caller

    async def post(self, request: Request) -> Response:
        """200 with the target; 404 where the caller has no such request."""
        caller = self._caller(request.scope["headers"])
        if isinstance(caller, Response):
            return caller
        try:
            opinion = opinion_of(await request.body())
            target = await self._take(caller, opinion)
        except Wrong as wrong:
            return _error(400, str(wrong), None, wrong.param)
        except Off:
            return _error(404, "Ratings are not taken here.", "feedback_off", None)
        except Busy:
            told = _error(503, "Too many ratings at once.", "feedback_busy", None)
            told.headers["retry-after"] = "1"
            return told
        if target is None:
            message = f"No answered request {opinion.request_id!r} of this key is known, or it is too old."
            return _error(404, message, "request_not_found", "request_id")
        told_ = {"object": "feedback", "request_id": opinion.request_id, "score": opinion.score, "target": target}
        return Response(orjson.dumps(told_), media_type="application/json")

    def routes(self) -> list[Route]:
        """For the application."""
        return [Route(prefix + "/feedback", self.post, methods=["POST"]) for prefix in ("/v1", "")]


def opinion_of(body: bytes) -> Opinion:
    """Raises `Wrong`."""
    if len(body) > MAX_BODY:
        raise Wrong("The body is too long.")
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise Wrong("The body must be a JSON object.")
    request_id, score, comment = found.get("request_id"), found.get("score"), found.get("comment")
    if not isinstance(request_id, str) or not 0 < len(request_id) <= LONGEST_ID:
        raise Wrong("'request_id' must be the id of a request: its header x-request-id.", "request_id")
    if isinstance(score, bool) or not isinstance(score, int | float) or not 0 <= score <= 1:
        raise Wrong("'score' must be a number from 0 (useless) to 1 (nothing to improve).", "score")
    if comment is not None and (not isinstance(comment, str) or len(comment) > LONGEST_COMMENT):
        raise Wrong(f"'comment' must be a text of at most {LONGEST_COMMENT} characters.", "comment")
    return Opinion(request_id, float(score), comment or "")


def _error(status: int, message: str, code: str | None, param: str | None) -> Response:
    error = {"message": message, "type": "invalid_request_error", "code": code, "param": param}
    if status >= 500:
        error["type"] = "overloaded_error"
    return Response(orjson.dumps({"error": error}), status, media_type="application/json")
