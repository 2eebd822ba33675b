"""What the engine hands over: whole events, with comments between them, or a whole completion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson


def cost_in(usage: Mapping[str, Any]) -> dict[str, float]:
    """What it cost, where the engine or the upstream says it there: no API but OpenRouter's has a place for it."""
    cost = usage.get("cost")
    return {"cost": cost} if isinstance(cost, int | float) and not isinstance(cost, bool) else {}


def completion_in(body: bytes) -> dict[str, Any]:
    """A whole completion. (Google wraps in an array what is read as its one member.)"""
    reply = orjson.loads(body)
    if type(reply) is list and len(reply) == 1:
        reply = reply[0]
    return reply if type(reply) is dict else {}


def chunks_in(data: bytes, comments: list[bytes]) -> list[dict[str, Any]]:
    """All chunks; comments, which a client may get as they are, go to the list."""
    chunks: list[dict[str, Any]] = []
    for block in data.split(b"\n\n"):
        if block.startswith(b"data: "):
            payload = block[6:] if block.find(b"\n") < 0 else block[6:].replace(b"\ndata: ", b"\n")
            try:
                chunk = orjson.loads(payload)
            except orjson.JSONDecodeError:
                continue
            if type(chunk) is dict:
                chunks.append(chunk)
        elif block.startswith(b":"):
            comments.append(block + b"\n\n")
    return chunks
