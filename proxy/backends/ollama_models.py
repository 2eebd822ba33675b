"""What an Ollama says of its models: which are there (`GET /api/tags`), which are loaded and how big they are then
(`GET /api/ps`), and what one can do (`POST /api/show`).

Source: Ollama's OpenAPI (ListResponse, PsResponse, ShowResponse) and docs/api.md of 2026.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from proxy.backends.reading import json_object
from proxy.core.dialect import Malformed

MAX_MODELS = 10_000
"""More in one list are no list of models."""


class There(NamedTuple):
    """A model on disk. What is not told is empty, or 0."""

    name: str
    """With its tag: `qwen3:0.6b`."""
    size: int = 0
    """Bytes."""
    parameters: str = ""
    """`7.6B`."""
    quantization: str = ""
    family: str = ""
    remote: str = ""
    """The host that it is at in truth, for one of Ollama's cloud."""


class Loaded(NamedTuple):
    """A model in memory."""

    name: str
    size: int = 0
    """Bytes in all kinds of memory."""
    vram: int = 0
    """Bytes of it on a GPU."""
    context: int = 0
    """Tokens of the context that it was loaded with."""
    until: str = ""
    """When it will be unloaded, as Ollama writes it (RFC 3339)."""


class Shown(NamedTuple):
    """What one model can do."""

    context: int | None = None
    """Tokens that it was trained for."""
    num_ctx: int | None = None
    """Tokens of context that its Modelfile asks for, unless a request says otherwise."""
    capabilities: frozenset[str] = frozenset()
    """`completion`, `tools`, `thinking`, `vision`, `embedding`, `insert`…"""
    dimensions: int | None = None
    """Of its embeddings."""
    parameters: str = ""
    quantization: str = ""


def there(body: bytes) -> tuple[There, ...]:
    """`/api/tags`. Raises `Malformed`."""
    return tuple(
        There(
            name=_name(model),
            size=_number(model.get("size")) or 0,
            parameters=_text(_details(model).get("parameter_size")),
            quantization=_text(_details(model).get("quantization_level")),
            family=_text(_details(model).get("family")),
            remote=_text(model.get("remote_host")),
        )
        for model in _models(body)
    )


def loaded(body: bytes) -> tuple[Loaded, ...]:
    """`/api/ps`. Raises `Malformed`."""
    return tuple(
        Loaded(
            name=_name(model),
            size=_number(model.get("size")) or 0,
            vram=_number(model.get("size_vram")) or 0,
            context=_number(model.get("context_length")) or 0,
            until=_text(model.get("expires_at")),
        )
        for model in _models(body)
    )


def shown(body: bytes) -> Shown:
    """`/api/show`. Raises `Malformed`."""
    reply = json_object(body)
    info = reply.get("model_info")
    known: Mapping[str, Any] = info if isinstance(info, dict) else {}
    arch = _text(known.get("general.architecture"))
    able = reply.get("capabilities")
    return Shown(
        context=_number(known.get(f"{arch}.context_length")),
        num_ctx=_pinned(_text(reply.get("parameters"))),
        capabilities=frozenset(filter(_text, able)) if isinstance(able, list) else frozenset(),
        dimensions=_number(known.get(f"{arch}.embedding_length")),
        parameters=_text(_details(reply).get("parameter_size")),
        quantization=_text(_details(reply).get("quantization_level")),
    )


def same(name: str, other: str) -> bool:
    """Do both name the same model? A name without a tag means `latest`."""
    return _tagged(name) == _tagged(other)


def _tagged(name: str) -> str:
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


def _pinned(parameters: str) -> int | None:
    """`num_ctx` among a Modelfile's parameters, a line each; the last one holds."""
    found = None
    for line in parameters.splitlines():
        words = line.split()
        if len(words) == 2 and words[0] == "num_ctx" and words[1].isascii() and words[1].isdigit():
            found = int(words[1][:12])
    return found


def _models(body: bytes) -> list[dict[str, Any]]:
    models = json_object(body).get("models")
    if models is None:
        return []  # Go writes an empty list so
    if not isinstance(models, list) or len(models) > MAX_MODELS or not all(isinstance(m, dict) for m in models):
        raise Malformed("`models` of the upstream is not a list of models")
    return models


def _details(model: Mapping[str, Any]) -> Mapping[str, Any]:
    details = model.get("details")
    return details if isinstance(details, dict) else {}


def _name(model: Mapping[str, Any]) -> str:
    return _text(model.get("model")) or _text(model.get("name"))


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _number(value: object) -> int | None:
    return value if type(value) is int and value >= 0 else None
