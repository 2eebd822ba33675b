"""Which of OpenRouter's models cost nothing: by their names, and by its own list (GET /api/v1/models)."""

from __future__ import annotations

from collections.abc import Set
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson

from proxy.core.dialect import Malformed

FREE = ":free"
ROUTER = "openrouter/free"
"""Itself chooses among the free models."""


class Unfree(ValueError):
    """A model that cannot be had for nothing."""


def free_variant(model: str, known: Set[str] | None = None) -> str:
    """The model as it costs nothing. `known`: those that cost nothing by OpenRouter's list; without it the name has to
    do. Raises `Unfree` where there is no such variant."""
    if known is not None and model in known:
        return model
    name, mark, variant = model.partition(":")
    if mark and f"{mark}{variant}" != FREE:
        raise Unfree(f"`free_only`: the variant `{mark}{variant}` of {name} costs money")
    free = model if mark or model == ROUTER else name + FREE
    if known is not None and free not in known:
        raise Unfree(f"`free_only`: OpenRouter has no free variant of {name}")
    return free


def free_models(body: bytes) -> frozenset[str]:
    """The ids of the models whose prices are all zero, out of OpenRouter's list. Raises `Malformed`.

    Prices are texts, US dollars a token, a request or an image; a negative one says that it depends.
    """
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Malformed("OpenRouter's list of models is not JSON") from error
    rows = found.get("data") if isinstance(found, dict) else None
    if not isinstance(rows, list):
        raise Malformed("OpenRouter's list of models holds no `data`")
    return frozenset(row["id"] for row in rows if _costs_nothing(row))


def _costs_nothing(row: Any) -> bool:
    if not isinstance(row, dict) or not isinstance(row.get("id"), str):
        return False
    pricing = row.get("pricing")
    return isinstance(pricing, dict) and {"prompt", "completion"} <= set(pricing) and all(map(_zero, pricing.values()))


def _zero(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return False
    try:
        return Decimal(str(value)) == 0
    except InvalidOperation:
        return False
