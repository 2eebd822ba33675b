"""A rule of a screen, and what it finds. Values only: what looks is made ready in policy.py."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

SEVERITIES = ("low", "medium", "high")
ACTIONS = ("refuse", "flag")
ALSO = ("embeddings", "rerank", "speech", "images", "audio")
"""Endpoints besides chats of which a screen can look at what is asked."""
HOLD = 64
DELAY = 0.2
WAIT = 10.0


class Rule(NamedTuple):
    """What is looked for, and what follows. With `when` it looks for nothing, but says what follows a category."""

    name: str
    category: str
    """Of a moderation's rule empty: as the moderation says."""
    severity: str = "high"
    terms: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    moderation: str = ""
    """A route, or a target, that is asked at `/v1/moderations`."""
    above: float | None = None
    """Score of a moderation's category from which it counts; `None`: where the moderation flags it."""
    unavailable: str = "refuse"
    """`refuse` or `pass`: where the moderation does not answer."""
    action: str = "refuse"
    use: str = ""
    """A route that answers instead."""
    resources: str = ""
    """A text that is added to the answer."""
    when: str = ""
    """A category. (`on` is another word for true in YAML 1.1.)"""


class Finding(NamedTuple):
    """Something was found: never what, only by which rule. `action`: refuse, flag or use; or unavailable:
    nobody could say."""

    rule: str
    category: str
    severity: str
    action: str
    use: str = ""
    resources: str = ""


def decided(findings: Iterable[Finding]) -> Finding | None:
    """The first one that refuses, or sends elsewhere; `None`: none does."""
    return next((one for one in findings if one.action != "flag"), None)
