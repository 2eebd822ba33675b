"""What an LM Studio says of its models: `GET /api/v1/models` (from 0.4), `GET /api/v0/models` (from 0.3.5).

Source, read 2026-11-21: https://lmstudio.ai/docs/developer/rest/list and https://lmstudio.ai/docs/api/rest-api.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

from proxy.core.dialect import Malformed

MAX_MODELS = 10_000
"""More in one list are no list of models."""


class Kept(NamedTuple):
    """A model that LM Studio has. What is not told is empty, or `None`."""

    name: str
    kind: str
    """`llm`, `vlm` (v0), `embedding`."""
    loaded: bool
    context: int | None = None
    """Tokens that it can have at most."""
    loaded_context: int | None = None
    """Tokens that it was loaded with."""
    size: int | None = None
    """Bytes."""
    quantization: str = ""
    vision: bool | None = None
    tools: bool | None = None


def kept(body: bytes) -> tuple[Kept, ...]:
    """Either version's list. Raises `Malformed`."""
    try:
        reply = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Malformed("the upstream's answer is not JSON") from error
    for name, read in (("models", _newer), ("data", _older)):
        models = reply.get(name) if isinstance(reply, dict) else None
        if isinstance(models, list) and len(models) <= MAX_MODELS and all(isinstance(m, dict) for m in models):
            return tuple(read(model) for model in models)
    raise Malformed("the upstream's answer is not a list of models")


def _newer(model: Mapping[str, Any]) -> Kept:
    instances = model.get("loaded_instances")
    live = [one for one in instances if isinstance(one, dict)] if isinstance(instances, list) else []
    config = live[0].get("config") if live else None
    able = model.get("capabilities")
    quantization = model.get("quantization")
    return Kept(
        name=_text(model.get("key")),
        kind=_text(model.get("type")),
        loaded=bool(live),
        context=_number(model.get("max_context_length")),
        loaded_context=_number(config.get("context_length")) if isinstance(config, dict) else None,
        size=_number(model.get("size_bytes")),
        quantization=_text(quantization.get("name")) if isinstance(quantization, dict) else "",
        vision=_flag(able.get("vision")) if isinstance(able, dict) else None,
        tools=_flag(able.get("trained_for_tool_use")) if isinstance(able, dict) else None,
    )


def _older(model: Mapping[str, Any]) -> Kept:
    kind = _text(model.get("type"))
    able = model.get("capabilities")
    return Kept(
        name=_text(model.get("id")),
        kind="embedding" if kind == "embeddings" else kind,
        loaded=model.get("state") == "loaded",
        context=_number(model.get("max_context_length")),
        loaded_context=_number(model.get("loaded_context_length")),
        quantization=_text(model.get("quantization")),
        vision=kind == "vlm",
        tools="tool_use" in able if isinstance(able, list) else None,
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _number(value: object) -> int | None:
    return value if type(value) is int and value >= 0 else None


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None
