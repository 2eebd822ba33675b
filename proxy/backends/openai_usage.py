"""Token counts out of what OpenAI-speaking backends report."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from proxy.backends.openai_spec import Charge
from proxy.core.usage import Source, Special, Usage, special

_MAX = 1 << 40
"""A count beyond this is nonsense, not a count."""
_new = tuple.__new__  # a third of what the class's own `__new__` costs, which is a Python function
_REPORTED = Source.REPORTED
_MAX_SUM = 1e16
"""A charge beyond this (a million dollars in the smallest unit there is) is nonsense, not a charge."""
_MAX_TIER = 32
"""Characters of a service tier's name."""
_USUAL = frozenset({"auto", "default", "standard", "on_demand"})
"""Service tiers that cost what is usual."""
_TOTALS = 3
_TOTALS_AND_DETAILS = 5
"""Members of a `usage` with its three counts, and with OpenAI's two objects of details besides."""


def usage_in(reply: Mapping[str, Any], charge: Charge | None = None) -> Usage | None:
    """The usage in an answer or a chunk; `None` where none is reported. `charge`: where it says what it costs.

    Groq states it in `x_groq.usage` of the finishing chunk whether it was asked for or not.
    """
    usage = read_usage(reply.get("usage"))
    if usage is None:
        if "x_groq" not in reply:
            return None
        usage = read_usage(_at(reply["x_groq"], "usage"))
        if usage is None:
            return None
    if charge is not None:
        usage = usage._replace(cost=charged(reply.get("usage"), charge))
    if "service_tier" in reply:
        tier = reply["service_tier"]
        if type(tier) is str and tier not in _USUAL and len(tier) <= _MAX_TIER:
            usage = usage._replace(tier=tier)
    return usage


def charged(usage: object, charge: Charge) -> Decimal | None:
    """US dollars that a usage says it costs; `None` where it does not say."""
    cost = _sum(usage, charge.path)
    if cost is None:
        return None
    if charge.more and _at(usage, "is_byok") is True:
        cost += _sum(usage, charge.more) or 0
    return cost * charge.unit


def _sum(usage: object, path: tuple[str, ...]) -> Decimal | None:
    for name in path:
        usage = _at(usage, name)
    if isinstance(usage, bool) or not isinstance(usage, int | float):
        return None
    return Decimal(str(usage)) if math.isfinite(usage) and 0 <= usage < _MAX_SUM else None


def read_usage(usage: object) -> Usage | None:
    """A `usage` object. A zero that is reported stays zero; a part that is not reported counts as zero."""
    if not isinstance(usage, dict):
        return None
    plain = _plain(usage)
    return plain if plain is not None else _any(usage)


def _plain(usage: dict[str, Any]) -> Usage | None:
    """The form that nearly all answers have, read in a third of the time; `None` where it is not that."""
    given, made = usage.get("prompt_tokens"), usage.get("completion_tokens")
    if type(given) is not int or type(made) is not int or not (0 <= given < _MAX and 0 <= made < _MAX):
        return None
    if len(usage) == _TOTALS and "total_tokens" in usage:
        return _new(Usage, (given, made, 0, 0, 0, _REPORTED, None, "", None))
    details, spent = usage.get("prompt_tokens_details"), usage.get("completion_tokens_details")
    if len(usage) != _TOTALS_AND_DETAILS or type(details) is not dict or type(spent) is not dict:
        return None
    cached, reasoning = details.get("cached_tokens"), spent.get("reasoning_tokens")
    if type(cached) is not int or type(reasoning) is not int or "cache_write_tokens" in details:
        return None
    if details.get("audio_tokens") or spent.get("audio_tokens") or "image_tokens" in details:
        return None
    if usage.get("total_tokens") != given + made or not (0 <= cached < _MAX and 0 <= reasoning < _MAX):
        return None
    return Usage(given, made, cached, 0, reasoning)


def _any(usage: dict[str, Any]) -> Usage | None:
    total = _count(usage.get("total_tokens"))
    given = _first(usage.get("prompt_tokens"), usage.get("input_tokens"))
    made = _first(usage.get("completion_tokens"), usage.get("output_tokens"))
    if given is None and made is None:
        return None
    given, made = _complete(given, made, total)
    details = usage.get("prompt_tokens_details") or usage.get("input_tokens_details")
    spent = usage.get("completion_tokens_details") or usage.get("output_tokens_details")
    cached = _first(_at(details, "cached_tokens"), usage.get("prompt_cache_hit_tokens"), usage.get("cached_tokens"))
    written = _first(_at(details, "cache_write_tokens"), usage.get("cache_creation_input_tokens"))
    reasoning = _first(_at(spent, "reasoning_tokens"), usage.get("reasoning_tokens"))
    if reasoning and total == given + made + reasoning:
        made += reasoning  # xAI leaves reasoning out of completion_tokens, and charges for it
    return Usage(given, made, cached or 0, written or 0, reasoning or 0, special=_special(details, spent))


def _special(details: object, spent: object) -> Special | None:
    heard, seen = _count(_at(details, "audio_tokens")), _count(_at(details, "image_tokens"))
    spoken, drawn = _count(_at(spent, "audio_tokens")), _count(_at(spent, "image_tokens"))
    return special(heard or 0, spoken or 0, seen or 0, drawn or 0)


def _complete(given: int | None, made: int | None, total: int | None) -> tuple[int, int]:
    """Embeddings report no output; of a pair with one number missing the total tells the other."""
    if given is None:
        made = made or 0
        return max((total or made) - made, 0), made
    if made is None:
        return given, max((total or given) - given, 0)
    return given, made


def _first(*values: object) -> int | None:
    for value in values:
        if value is not None and (count := _count(value)) is not None:
            return count
    return None


def _count(value: object) -> int | None:
    if type(value) is float and value.is_integer():
        value = int(value)
    return value if type(value) is int and 0 <= value < _MAX else None


def _at(value: object, name: str) -> object:
    return value.get(name) if isinstance(value, dict) else None
