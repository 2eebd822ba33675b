"""Our errors in the words of another API than OpenAI's chat completions."""

from __future__ import annotations

import orjson

from proxy.core.failure import Failure
from proxy.inbound.way import Api, Counts, Fault
from proxy.wire.errors import JSON, Refusal, parts_of, status_of


def worded(api: Api | Counts, refusal: Refusal, request_id: str = "") -> Refusal:
    """The same refusal in the API's words. Header lines beyond the content type stay, and the API's own are added."""
    error = orjson.loads(refusal.body)["error"]
    fault = Fault(refusal.status, error["message"], error["type"], error["code"], error["param"], request_id)
    status, body = api.error(fault)
    return Refusal(
        status, body, JSON + refusal.headers.removeprefix(JSON) + (api.lines(request_id) if request_id else b"")
    )


def fault_of(failure: Failure, request_id: str, received: int | None = None) -> Fault:
    """What the client is told of the failure that its request ends with."""
    message, type_, code, param = parts_of(failure)
    return Fault(status_of(failure), message, type_, code, param, request_id, received)
