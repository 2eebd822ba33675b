"""The first step of reading any answer."""

from __future__ import annotations

from typing import Any

import orjson

from proxy.core.dialect import Malformed


def json_object(body: bytes) -> dict[str, Any]:
    """An answer that must be a JSON object. Raises `Malformed`."""
    try:
        reply = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Malformed("the upstream's answer is not JSON") from error
    if type(reply) is not dict:
        raise Malformed("the upstream's answer is not a JSON object")
    return reply
