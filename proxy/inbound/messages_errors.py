"""Errors in the words of Anthropic's API: https://docs.claude.com/en/api/errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from proxy.inbound.way import Fault

OVERLOADED = 529
ERROR_TYPES: Mapping[int, str] = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    429: "rate_limit_error",
    504: "timeout_error",
    OVERLOADED: "overloaded_error",
}
"""By status. What is not here is `invalid_request_error` below 500, and `api_error` from there on."""


def status_of(fault: Fault) -> int:
    """A 503 goes out as 529, which is what Anthropic's clients know as overloaded. Their SDKs try both again, and both
    after the `retry-after` that stands beside."""
    return OVERLOADED if fault.status == 503 else fault.status


def error_object(fault: Fault) -> dict[str, Any]:
    """As the body of a response, and as the data of an `error` event."""
    status = status_of(fault)
    kind = ERROR_TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
    told: dict[str, Any] = {
        "type": "error",
        "error": {"type": kind, "message": fault.message},
        "request_id": fault.request_id or None,
    }
    if fault.received_chars is not None:
        told["received_chars"] = fault.received_chars
    return told
