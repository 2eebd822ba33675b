"""Errors as OpenAI's APIs word them."""

from __future__ import annotations

from typing import Any

import orjson

from proxy.inbound.way import Fault


def error_fields(fault: Fault) -> dict[str, Any]:
    """OpenAI's `error` object."""
    return {"message": fault.message, "type": fault.type, "code": fault.code, "param": fault.param}


def told_in_stream(fault: Fault) -> dict[str, Any]:
    """The same inside a stream, with what helps to go on from there."""
    fields = error_fields(fault)
    if fault.received_chars is not None:
        fields["received_chars"] = fault.received_chars
    if fault.request_id:
        fields["request_id"] = fault.request_id
    return fields


def error_body(fault: Fault) -> bytes:
    """The body of an error response."""
    return orjson.dumps({"error": error_fields(fault)})


def error_event(fault: Fault) -> bytes:
    """The event that tells of a failure inside a stream: the openai SDK raises APIError on it."""
    return b"data: " + orjson.dumps({"error": told_in_stream(fault)}) + b"\n\n"
