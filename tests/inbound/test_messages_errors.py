"""Errors as Anthropic's API gives them, valid by its schema whatever the status."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from proxy.inbound.messages import Messages
from proxy.inbound.way import Fault

Valid = Callable[[str, Any], None]

TYPES = {
    400: (400, "invalid_request_error"),
    401: (401, "authentication_error"),
    404: (404, "not_found_error"),
    405: (405, "invalid_request_error"),
    408: (408, "timeout_error"),
    413: (413, "invalid_request_error"),
    415: (415, "invalid_request_error"),
    422: (422, "invalid_request_error"),
    429: (429, "rate_limit_error"),
    500: (500, "api_error"),
    502: (502, "api_error"),
    503: (529, "overloaded_error"),
    504: (504, "timeout_error"),
}


@pytest.mark.parametrize("status", TYPES)
def test_each_status_has_its_type(status: int, anthropic_schema: Valid) -> None:
    given, body = Messages().error(Fault(status, "No.", "our_type", "our_code", "x", "req_1"))
    told = orjson.loads(body)
    anthropic_schema("ErrorResponse", told)
    assert (given, told["error"]["type"]) == TYPES[status]
    assert (told["error"]["message"], told["request_id"]) == ("No.", "req_1")


def test_a_connection_that_refuses_has_no_id_to_tell(anthropic_schema: Valid) -> None:
    told = orjson.loads(Messages().error(Fault(413, "Too large.", "invalid_request_error"))[1])
    anthropic_schema("ErrorResponse", told)
    assert told["request_id"] is None
