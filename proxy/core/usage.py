"""How many tokens an attempt used, and who says so."""

from __future__ import annotations

from decimal import Decimal
from enum import Enum
from typing import NamedTuple


class Source(Enum):
    """Where a token count comes from. An attempt without any count has no `Usage` at all (absent)."""

    REPORTED = "reported"
    ESTIMATED = "estimated"


class Special(NamedTuple):
    """Tokens that some providers price apart: parts of the totals `input` and `output`, and the last one of
    `cache_write`."""

    audio_input: int = 0
    audio_output: int = 0
    image_input: int = 0
    image_output: int = 0
    cache_write_1h: int = 0
    """Written to a cache that keeps them for an hour."""


def special(*counts: int) -> Special | None:
    """In the order of the fields; `None` where there are none."""
    return Special(*counts) if any(counts) else None


class Usage(NamedTuple):
    """Token counts of one attempt, as OpenAI counts: the parts are contained in the totals.

    `cached_input` and `cache_write` are parts of `input`; `reasoning` is a part of `output`.
    Zero that the upstream reported is a fact and stays zero.
    """

    input: int
    output: int
    cached_input: int = 0
    cache_write: int = 0
    reasoning: int = 0
    source: Source = Source.REPORTED
    cost: Decimal | None = None
    """US dollars that the upstream itself says it charges: the cost of record, whatever the price says."""
    tier: str = ""
    """The service tier that the upstream says it served this in (`flex`, `priority`); empty where it says none."""
    special: Special | None = None
