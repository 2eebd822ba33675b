"""What a caller asks of targets: the header `x-wayline-prefer` and the body's `wayline`, which goes no further. And for
which of its agents it asks: `x-wayline-agent`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from proxy.core.chat import ChatRequest, EmbedRequest
from proxy.core.choice.wish import LABEL, NONE, Unclear, Wish, label_of, wish_of, wish_of_header
from proxy.wire.errors import Refusal, refusal

HEADER = b"x-wayline-prefer"
AGENT = b"x-wayline-agent"
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
    header, agent = fields.get(HEADER), fields.get(AGENT)
    wish = NONE
    try:
        if said is not None:
            wish = wish_of(said)
        if header is not None:
            wish = wish.along(wish_of_header(_text(header)))
        if agent:
            wish = wish._replace(agent=_label(agent))
    except Unclear as error:
        return refusal(400, str(error), "invalid_preference", param=error.param)
    if looked_at:
        wish = wish._replace(headers=tuple((name, fields[name]) for name in looked_at if name in fields))
    return None if wish == NONE else wish


def _text(value: bytes) -> str:
    """UTF-8, as clients send what is no ASCII; else ISO 8859-1, as a header's bytes used to be read (RFC 9110 5.5)."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _label(value: bytes) -> str:
    try:
        return label_of(_text(value))
    except ValueError:
        name = AGENT.decode()
        raise Unclear(name, f"'{name}' must be {LABEL}.") from None
