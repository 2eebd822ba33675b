"""A share of the requests that may do something dear: hedge, or try the same target again."""

from __future__ import annotations

from typing import NamedTuple


class RetryBudget(NamedTuple):
    """Each request earns `share`; each use costs 1. What was earned fades, so that a quiet hour saves up no storm.

    Times are seconds on the engine's clock.
    """

    share: float
    least: float = 1.0
    """There is always so much, or a quiet gateway could never do it once."""
    most: float = 10.0
    saved: float = 1.0
    since: float = 0.0


WINDOW = 10.0
"""Seconds after which what was earned is gone."""


def earned(budget: RetryBudget, now: float, requests: int = 1) -> RetryBudget:
    """So many requests came in since the last time."""
    kept = _kept(budget, now)
    return budget._replace(saved=min(kept + budget.share * requests, budget.most), since=now)


def allowed(budget: RetryBudget, now: float) -> bool:
    """Is there enough for one use?"""
    return _kept(budget, now) >= 1.0


def spent(budget: RetryBudget, now: float) -> RetryBudget:
    """One use."""
    return budget._replace(saved=_kept(budget, now) - 1.0, since=now)


def _kept(budget: RetryBudget, now: float) -> float:
    """Towards `least`, over the window: down what was saved, up what was overspent."""
    part = min(max((now - budget.since) / WINDOW, 0.0), 1.0)
    return budget.saved + (budget.least - budget.saved) * part
