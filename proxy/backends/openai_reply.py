"""Whole answers of OpenAI-speaking backends: a chat completion, or embeddings in the encoding the client asked for."""

from __future__ import annotations

import base64 as b64
import binascii
import struct
from typing import Any

import orjson

from proxy.backends.openai_errors import ErrorReader
from proxy.backends.openai_spec import Charge
from proxy.backends.openai_text import said_in
from proxy.backends.openai_usage import usage_in
from proxy.backends.vectors import packed
from proxy.core.chat import Completion, Embedding
from proxy.core.dialect import Malformed
from proxy.core.failure import Failure

_new = tuple.__new__  # a third of what the class's own `__new__` costs, which is a Python function


def read_completion(
    body: bytes, errors: ErrorReader, model: str | None = None, charge: Charge | None = None
) -> Completion | Failure:
    """A chat completion; a `Failure` where an error came under 200. Raises `Malformed`.

    `charge`: where it says what it costs.
    """
    reply = _object(body)
    choices = reply.get("choices") or []
    if not isinstance(choices, list):
        raise Malformed("`choices` of the upstream is not a list")
    fault = errors.fault_in(reply, choices)
    if fault is not None:
        return errors.in_stream(fault)
    if "choices" not in reply:
        raise Malformed("the upstream's answer is not a chat completion")
    chars, silent, filtered, cut_short = 0, True, False, False
    for choice in choices:
        if type(choice) is not dict:
            raise Malformed("a choice of the upstream is not a JSON object")
        said = said_in(choice.get("message"))
        if said is not None:
            silent = silent and said[1].isspace()
            chars += said[2]
        reason = choice.get("finish_reason")
        filtered = filtered or reason == "content_filter"
        cut_short = cut_short or reason == "length"
    usage = usage_in(reply, charge)
    spent = cut_short and usage is not None and usage.output > 0  # all of it on reasoning that is not shown
    raw = body if model is None else _renamed(reply, model)
    return _new(Completion, (raw, _name(reply), usage, silent and not spent, silent and filtered, chars))


def read_embedding(
    body: bytes, errors: ErrorReader, *, base64: bool, model: str | None = None, charge: Charge | None = None
) -> Embedding | Failure:
    """Embeddings; openai-node decodes base64 whatever comes, so that what was asked for is what must be sent.

    Raises `Malformed`, also where there is more than one vector for an input (token embeddings of a model
    without pooling): no client could tell them apart from a vector.
    """
    reply = _object(body)
    fault = errors.fault_in(reply, [])
    if fault is not None:
        return errors.in_stream(fault)
    data = reply.get("data")
    if not isinstance(data, list) or not data:
        raise Malformed("the upstream's answer holds no embeddings")
    rows = [_row(item, base64) for item in data]
    if any(new is not old for new, old in zip(rows, data, strict=True)):
        reply["data"] = rows
        body = orjson.dumps(reply)
    raw = body if model is None else _renamed(reply, model)
    return Embedding(raw, _name(reply), usage_in(reply, charge), len(data))


def _row(item: Any, base64: bool) -> Any:
    """The item itself where it is as asked for."""
    if not isinstance(item, dict):
        raise Malformed("an embedding of the upstream is not a JSON object")
    vector = item.get("embedding")
    if isinstance(vector, str):
        return item if base64 else {**item, "embedding": _decoded(vector)}
    flat: Any = vector
    if isinstance(vector, list) and len(vector) == 1 and isinstance(vector[0], list):
        flat = vector[0]  # llama.cpp's servers give a list of vectors, one when the model pools
    if not isinstance(flat, list) or not flat or not all(type(part) in (float, int) for part in flat):
        raise Malformed("an embedding of the upstream is not one vector of numbers")
    if base64:
        return {**item, "embedding": packed(flat)}
    return item if flat is vector else {**item, "embedding": flat}


def _decoded(text: str) -> list[float]:
    try:
        packed = b64.b64decode(text, validate=True)
        if not packed:
            raise Malformed("an embedding of the upstream is empty")
        return list(struct.unpack(f"<{len(packed) // 4}f", packed))
    except (struct.error, binascii.Error, ValueError) as error:
        raise Malformed("an embedding of the upstream is not base64 of float32 numbers") from error


def _object(body: bytes) -> dict[str, Any]:
    try:
        reply = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Malformed("the upstream's answer is not JSON") from error
    if type(reply) is list and len(reply) == 1:
        reply = reply[0]  # Google wraps errors in an array
    if type(reply) is not dict:
        raise Malformed("the upstream's answer is not a JSON object")
    return reply


def _renamed(reply: dict[str, Any], model: str) -> bytes:
    return orjson.dumps({**reply, "model": model})


def _name(reply: dict[str, Any]) -> str:
    model = reply.get("model")
    return model if isinstance(model, str) else ""
