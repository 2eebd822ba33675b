"""What Anthropic's models take and refuse, by their names: each generation refuses something with a 400 that the one
before it took.

Sources (read on 2026-11-21): platform.claude.com, "Thinking", "Effort", "Structured outputs", "Prefill not supported"
and the migration guides of Opus 4.7, 5 and 5.5, Sonnet 5 and 5.5, Haiku 5.5, Fable 5 and 5.1; the deprecations in
Anthropic's OpenAPI description ("Models released after Claude Opus 4.6 do not support setting temperature").
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

_NAME = re.compile(
    r"claude-(?:(opus|sonnet|haiku|fable|mythos|instant)-)?(?:(\d+)(?:[-.](\d{1,2})(?!\d))?|preview)"
    r"(?:-(opus|sonnet|haiku))?"
)
"""`claude-opus-4-6`, `claude-3-5-sonnet-20241022`, `claude-sonnet-4-20250514`, `anthropic/claude-opus-4.5`."""

_BASIC = ("low", "medium", "high")
_MAX = (*_BASIC, "max")
_ALL = (*_BASIC, "xhigh", "max")


class Traits(NamedTuple):
    """One model."""

    budget: bool = True
    """Thinking is asked for with a budget: `{type: enabled, budget_tokens}`."""
    adaptive: bool = False
    """Thinking is asked for with `{type: adaptive}`, and its depth with an effort."""
    off: str = "absent"
    """How thinking is turned off: by not asking (`absent`), by a `type` of that name, or `never`."""
    efforts: tuple[str, ...] = ()
    """The efforts there are (`output_config.effort`)."""
    hides: bool = False
    """Thinking comes without its text unless `display: summarized` is asked for."""
    bound: bool = False
    """A thinking block is refused where anything before it is not as it was, unless `drop_block` is asked for."""
    samples: bool = True
    """It takes temperature, top_p and top_k."""
    one_of: bool = False
    """It takes temperature or top_p, not both."""
    prefill: bool | None = True
    """It continues an assistant message that comes last; `None`: nobody knows."""
    schemas: bool = True
    """It takes `output_config.format`, and tools with `strict`."""
    forces: bool = True
    """It takes a `tool_choice` that makes it call a tool."""
    most: int = 8192
    """Tokens of an answer at most, or fewer where a longer answer might not fit into the context."""


UNKNOWN = Traits(prefill=None, schemas=False)
"""Not a Claude: somebody else's server that speaks Anthropic's API."""

_OLDEST = Traits(budget=False, schemas=False, most=4096)
_MODERN = Traits(
    budget=False, adaptive=True, efforts=_ALL, hides=True, samples=False, one_of=True, prefill=False, most=128_000
)


@lru_cache(maxsize=1024)
def traits_of(model: str) -> Traits:
    """By the model's name, with whatever a platform puts before or after it."""
    name = model.lower()
    found = _NAME.search(name)
    if found is None:
        return _MODERN if "claude" in name else UNKNOWN  # a family that is not known yet will be like the last ones
    family = found[1] or found[4] or ""
    version = (int(found[2]), int(found[3] or 0)) if found[2] else (4, 6)
    if family in ("fable", "mythos"):
        return _always_thinking(family, version, preview=not found[2])
    if version >= (4, 7):
        return _recent(family, version)
    if version >= (4, 6):
        return _MODERN._replace(budget=True, efforts=_MAX, hides=False, samples=True, most=64_000)
    return _older(family, version)


def _always_thinking(family: str, version: tuple[int, int], *, preview: bool) -> Traits:
    """Fable and Mythos."""
    if preview:
        return _MODERN._replace(off="never", efforts=_MAX)
    late = version >= (5, 1)
    return _MODERN._replace(off="never", bound=late, forces=not late)


def _recent(family: str, version: tuple[int, int]) -> Traits:
    """From Opus 4.7 on."""
    if version < (5, 0):
        return _MODERN
    if version < (5, 5) or family == "haiku":
        return _MODERN._replace(off="disabled", bound=version >= (5, 5))
    off = "between_tools" if family == "sonnet" else "never"
    return _MODERN._replace(off=off, bound=True, forces=False)


def _older(family: str, version: tuple[int, int]) -> Traits:
    """Up to 4.5. Up to 4.1 a prompt and `max_tokens` that do not fit into the context together are refused, so that
    those get less than they could give."""
    if version < (3, 5):
        return _OLDEST
    if version < (3, 7):
        return _OLDEST._replace(most=8192)
    if version < (4, 5):
        return Traits(one_of=family == "opus" and version == (4, 1), schemas=False, most=16_384)
    return Traits(one_of=True, most=64_000)
