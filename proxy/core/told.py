"""What is told of one request afterwards: why it went where it went, and what became of it. No prompt and no answer."""

from __future__ import annotations

from typing import NamedTuple

from proxy.core.choice.choose import Choice
from proxy.core.choice.wish import Wish
from proxy.core.failure import FailureKind
from proxy.core.outcome import Ended
from proxy.core.plan import Plan


class Note(NamedTuple):
    """What a request met with on its way: a limit, a budget, the queue. All of it is for a reader."""

    what: str
    """`limit`, `budget`, `queue`, …"""
    whose: str
    """`key team-a`, `route chat`, `target openai/gpt-4o`, …; may be empty."""
    words: str
    """How that stood, and what followed: `58 of 60 requests a minute`, `$4.99 of $5 a day: cheaper targets only`,
    `waited 320 ms as 3rd of priority normal`."""


class Told(NamedTuple):
    """One request. What its attempts were like stands with their outcomes; one whose first target, in the order of its
    route, served needs nothing beyond those. Times are seconds since the request came in."""

    request_id: str
    started_at: float
    """Unix time at which it came in, in seconds."""
    route: str
    endpoint: str
    """As in `Finish`."""
    key: str
    agent: str
    tags: tuple[str, ...]
    """All as in `Outcome`."""
    stream: bool
    ended: Ended
    status: int
    """What the client got (499: it left before the end)."""
    failure: FailureKind | None
    duration: float
    queued: float
    attempts: int
    planned: Choice | Plan | None
    """Why it went where it went; `None`: it was over before that was decided."""
    wish: Wish | None
    notes: tuple[Note, ...] = ()
    message: str = ""
    """Why it was refused without any attempt, in Wayline's own words."""
