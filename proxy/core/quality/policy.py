"""What a route says of the evaluation of its answers."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Quality:
    """Of one route. Without it no answer is looked at."""

    share: float = 0.1
    """Of the answers that are evaluated, once the client has them."""
    min_quality: float = 0.7
    """Below it a target's answers raise an alert, and single ones are tried elsewhere where `retry` says so."""
    retry: bool = False
    """Each whole answer is evaluated before it goes out; a bad one is asked for elsewhere, and the better one goes out
    (`retry_low_quality`)."""
    judge: str = ""
    """The route whose model rates answers; empty: none does."""
    judge_share: float = 0.1
    """Of the evaluated answers."""
    judge_budget: Decimal | None = None
    """US dollars a day."""


@dataclass(frozen=True, slots=True)
class Feedback:
    """What callers may say of their requests afterwards."""

    comments: bool = False
    """Comments are stored, not only scores."""
    within: float = 24 * 3600.0
    """Seconds after a request in which it can be rated."""
    days: int = 30
    """How long a rating is stored."""
