"""Errors as OpenAI's clients expect them: `{"error": {"message", "type", "code", "param"}}` with the right status."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import orjson

from proxy.core.failure import Failure, FailureKind
from proxy.wire.request_id import id_lines

JSON = b"content-type: application/json\r\n"
NO_RETRY = b"x-should-retry: false\r\n"
LONGEST_WAIT = 120.0
"""Seconds; the openai SDK (3.x) gives a call up whose Retry-After is longer."""

K = FailureKind
CALLERS_OWN = frozenset({K.BAD_REQUEST, K.CONTEXT_LENGTH, K.UNSUPPORTED, K.FILTERED, K.TOOL_USE})
"""Kinds that speak of the request itself: the upstream's own words help the caller and are handed on."""
AS_GIVEN = frozenset({400, 413, 422})
"""Statuses of an upstream that are handed on for a bad request."""
FUTILE = frozenset({K.QUOTA, K.KEY_REFUSED, K.REDIRECT, K.NOT_FOUND, K.NOT_AVAILABLE, K.TOTAL_TIMEOUT})
"""Kinds that the SDK's own two retries within seconds cannot mend, though their status invites them."""

WORDS: dict[FailureKind, str] = {
    K.REFUSED: "The upstream refused the connection.",
    K.DNS: "The upstream's name could not be resolved.",
    K.TLS: "No secure connection to the upstream could be made.",
    K.CONNECT_TIMEOUT: "The upstream could not be reached in time.",
    K.RESET: "The upstream broke the connection off.",
    K.EMPTY_REPLY: "The upstream closed the connection without an answer.",
    K.FIRST_TIMEOUT: "The upstream did not begin its answer in time.",
    K.IDLE_TIMEOUT: "The upstream stopped in the middle of its answer.",
    K.STALLED: "The upstream's answer came too slowly.",
    K.DIVERGED: "The answer could not be gone on with.",
    K.TOTAL_TIMEOUT: "The request could not be answered within its total time.",
    K.TRUNCATED: "The upstream's answer ended before it was complete.",
    K.MALFORMED: "The upstream's answer could not be understood.",
    K.WRONG_TYPE: "The upstream's answer was of the wrong content type.",
    K.OVERSIZE: "The upstream's answer was larger than allowed.",
    K.EMPTY_ANSWER: "The upstream gave an empty answer.",
    K.RATE_LIMITED: "The upstream's rate limit is reached.",
    K.QUOTA: "The upstream's quota is used up.",
    K.KEY_REFUSED: "The upstream does not accept the gateway's own key.",
    K.NOT_FOUND: "The upstream does not have the model that the gateway's configuration names.",
    K.REDIRECT: "The upstream answered with a redirect, which is never followed.",
    K.OVERLOADED: "The upstream is overloaded.",
    K.LOADING: "The model is still being loaded.",
    K.SERVER_ERROR: "The upstream failed.",
    K.CONTEXT_LENGTH: "The request is longer than the model's context.",
    K.UNSUPPORTED: "The model does not support a parameter of the request.",
    K.BAD_REQUEST: "The request was refused as invalid.",
    K.FILTERED: "The answer was withheld by a content filter.",
    K.TOOL_USE: "The model did not manage to call a tool as it should.",
    K.CLIENT_GONE: "The client left.",
    K.BUSY: "Too many requests are waiting for this model.",
    K.DRAINING: "The gateway is shutting down.",
    K.NOT_AVAILABLE: "No target of this route is available.",
    K.BUDGET: "A budget does not allow this request.",
    K.UNBOUNDED: "What this request may cost has no bound, and a budget holds for it.",
    K.WORKER_CRASHED: "The worker that runs the model crashed.",
    K.INTERNAL: "The gateway failed.",
}
"""What Wayline says where the upstream's own words are not the caller's business."""

_URL = re.compile(r"\b[a-z][a-z0-9+.-]{1,15}://[^\s\"'<>]+", re.IGNORECASE)
_KEY = re.compile(
    r"\b(?:sk|pk|rk|gsk|xai|key|hf|wl|AIza)[-_][A-Za-z0-9_*.-]{6,}|\bAIza[A-Za-z0-9_-]{20,}|\bBearer\s+\S+",
    re.IGNORECASE,
)
LONGEST_MESSAGE = 4000
"""Characters of an upstream's message that are handed on."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A complete error response. `headers` are header lines, each ended by CRLF."""

    status: int
    body: bytes
    headers: bytes = JSON

    def with_lines(self, more: bytes) -> Refusal:
        """The same with further header lines."""
        return Refusal(self.status, self.body, self.headers + more)

    def headers_for(self, request_id: str) -> bytes:
        """The header lines with the request's id among them."""
        return self.headers + id_lines(request_id)


def error_body(
    message: str, type_: str = "invalid_request_error", code: str | None = None, param: str | None = None
) -> bytes:
    """The body of an error response."""
    return orjson.dumps({"error": {"message": message, "type": type_, "code": code, "param": param}})


def refusal(
    status: int,
    message: str,
    code: str | None,
    *,
    type_: str = "invalid_request_error",
    param: str | None = None,
    more: bytes = b"",
) -> Refusal:
    """An error response of our own. `more`: further header lines, each ended by CRLF."""
    return Refusal(status, error_body(message, type_, code, param), JSON + more)


def scrubbed(text: str) -> str:
    """A message from elsewhere without what looks like a key or an address, and not endless."""
    return _KEY.sub("***", _URL.sub("***", text[: 2 * LONGEST_MESSAGE]))[:LONGEST_MESSAGE]


def parts_of(failure: Failure) -> tuple[str, str, str, str | None]:
    """Message, type, code and param for the caller."""
    verdict = failure.verdict
    if failure.kind not in CALLERS_OWN and not failure.ours:
        return WORDS[failure.kind], verdict.type, verdict.code, None
    message = scrubbed(failure.message) or WORDS[failure.kind]
    return message, failure.type or verdict.type, failure.code or verdict.code, failure.param


def status_of(failure: Failure) -> int:
    """The status of a response that tells of it."""
    if failure.kind is K.BAD_REQUEST and failure.status in AS_GIVEN:
        return failure.status
    return failure.verdict.status


def from_failure(
    failure: Failure, *, retry_after: float | None = None, request_id: str = ""
) -> tuple[int, bytes, bytes]:
    """(status, header lines, body) for the failure that a request ends with.

    `retry_after` (seconds) goes out with 429 and 503 in whole seconds, rounded up, and exactly as `retry-after-ms`.
    """
    status = status_of(failure)
    headers = JSON
    if request_id:
        headers += id_lines(request_id)
    futile = failure.kind in FUTILE or (failure.ours and retry_after is None and status == 429)
    if retry_after is not None and status in (429, 503):
        headers += b"retry-after: %d\r\n" % max(1, ceil(retry_after))
        if retry_after < 1:
            headers += b"retry-after-ms: %d\r\n" % max(1, ceil(retry_after * 1000))
        futile = futile or retry_after > LONGEST_WAIT
    if futile:
        headers += NO_RETRY
    message, type_, code, param = parts_of(failure)
    return status, headers, error_body(message, type_, code, param)


def in_band(failure: Failure, *, request_id: str = "", received: int | None = None) -> bytes:
    """The event that tells of a failure inside a stream: the openai SDK raises APIError on it.

    `received`: characters of the answer that the client has, where that is known.
    """
    message, type_, code, param = parts_of(failure)
    error: dict[str, object] = {"message": message, "type": type_, "code": code, "param": param}
    if received is not None:
        error["received_chars"] = received
    if request_id:
        error["request_id"] = request_id
    return b"data: " + orjson.dumps({"error": error}) + b"\n\n"


def model_not_found(model: str, known: Sequence[str]) -> Refusal:
    """404 for a model that is no route; `known` names some that the caller may use."""
    hint = f" Available: {', '.join(known[:10])}." if known else ""
    message = f"The model {scrubbed(model)[:200]!r} does not exist.{hint}"
    return refusal(404, message, "model_not_found", param="model")
