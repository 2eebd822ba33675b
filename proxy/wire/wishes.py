"""What a caller asks of targets: the header `x-wayline-prefer` and the body's `wayline`, which goes no further."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from proxy.core.chat import ChatRequest, EmbedRequest
from proxy.core.choice.wish import NONE, Unclear, Wish, wish_of, wish_of_header
from proxy.wire.errors import Refusal, refusal

HEADER = b"x-wayline-prefer"
MEMBER = "wayline"


def with_wish(
    request: ChatRequest | EmbedRequest, fields: Mapping[bytes, bytes], looked_at: frozenset[bytes]
) -> ChatRequest | EmbedRequest | Refusal:
    """The request with what it asks for, and without the words in which it did. `looked_at`: headers that its route's
    rules want to see."""
    found = wish_in(fields, request.body.get(MEMBER), looked_at)
    if isinstance(found, Refusal):
        return found
    raw, body = request.raw, request.body
    if MEMBER in body:
        raw, body = without(body)
    return request._replace(raw=raw, body=body, wish=found)


def without(body: Mapping[str, Any]) -> tuple[bytes, dict[str, Any]]:
    """The body without the member, as bytes and parsed."""
    rest = {name: value for name, value in body.items() if name != MEMBER}
    return orjson.dumps(rest), rest


def wish_in(
    fields: Mapping[bytes, bytes], said: object, looked_at: frozenset[bytes] = frozenset()
) -> Wish | Refusal | None:
    """Of header and body together; `None`: nothing is asked for."""
    header = fields.get(HEADER)
    wish = NONE
    try:
        if said is not None:
            wish = wish_of(said)
        if header is not None:
            wish = wish.along(wish_of_header(header.decode("latin-1")))
    except Unclear as error:
        return refusal(400, str(error), "invalid_preference", param=error.param)
    if looked_at:
        wish = wish._replace(headers=tuple((name, fields[name]) for name in looked_at if name in fields))
    return None if wish == NONE else wish
