"""Embeddings in OpenAI's form, for dialects whose providers have another."""

from __future__ import annotations

import base64 as b64
import struct
from collections.abc import Iterable
from typing import Any

import orjson

from proxy.core.chat import Embedding
from proxy.core.dialect import Malformed
from proxy.core.usage import Usage


def embedding(vectors: Iterable[Any], *, base64: bool, model: str, reply: str | None, usage: Usage | None) -> Embedding:
    """A whole answer, in the encoding the client asked for. `model` as the upstream names it, `reply` the name that
    stands instead. Raises `Malformed`."""
    counted = 0 if usage is None else usage.input  # the schema demands a number, and its readers too
    body = {
        "object": "list",
        "data": [
            {"object": "embedding", "index": at, "embedding": _vector(one, base64)} for at, one in enumerate(vectors)
        ],
        "model": model if reply is None else reply,
        "usage": {"prompt_tokens": counted, "total_tokens": counted},
    }
    if not body["data"]:
        raise Malformed("the upstream's answer holds no embeddings")
    return Embedding(orjson.dumps(body), model, usage, len(body["data"]))


def _vector(values: Any, base64: bool) -> Any:
    """As numbers, or packed."""
    if type(values) is not list or not values or not all(type(part) in (float, int) for part in values):
        raise Malformed("an embedding of the upstream is not one vector of numbers")
    if not base64:
        return values
    return packed(values)


def packed(vector: list[float]) -> str:
    """Little-endian float32, as OpenAI's `encoding_format: base64` is. Raises `Malformed`."""
    try:
        return b64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode("ascii")
    except (struct.error, OverflowError) as error:
        raise Malformed("an embedding of the upstream does not fit float32") from error
