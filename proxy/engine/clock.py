"""When an attempt has had its time. Times are seconds on the engine's monotonic clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.core.failure import Failure, FailureKind
from proxy.core.outcome import How

if TYPE_CHECKING:
    from proxy.engine.attempt import Attempt

GRACE = 2.0
"""Seconds that a stream whose choices are all finished may take to send its usage and its end."""
LAST_GRACE = 0.25
"""The same where only the end marker is missing."""
RATE_WINDOW = 10.0
"""Seconds over which the speed of a stream is taken."""
CHARS_PER_TOKEN = 4


def due(attempt: Attempt, *, stream: bool, paused: bool, exact_within: float) -> tuple[float, Failure | None]:
    """When its time is over, and what that means; no failure: it may be taken for finished.

    `paused`: nothing is read because the client is slow, so that the upstream cannot be late.
    """
    if attempt.done_by is not None:
        return attempt.done_by, None
    times = attempt.lane.target.timeouts
    total = attempt.began + times.total
    if attempt.first_content is None and (stream or attempt.first_byte is None):
        when, kind, words = attempt.began + times.first, FailureKind.FIRST_TIMEOUT, "no answer within the time for it"
    elif paused:
        return total, Failure(FailureKind.TOTAL_TIMEOUT, "no whole answer within the target's total time")
    else:
        when, kind, words = attempt.last + times.idle, FailureKind.IDLE_TIMEOUT, "the upstream went silent"
    if attempt.how is How.EXACT and not attempt.committed and attempt.sent_at is not None:
        caught_up = attempt.sent_at + exact_within
        if caught_up < when:
            when, kind, words = caught_up, FailureKind.DIVERGED, "making the answer again takes too long"
    if total < when:
        when, kind, words = total, FailureKind.TOTAL_TIMEOUT, "no whole answer within the target's total time"
    return when, Failure(kind, words, attempt.status)


def stalled(attempt: Attempt, now: float, min_rate: float) -> bool:
    """It gave less than `min_rate` tokens a second over the last window. To be called more often than that."""
    if attempt.first_content is None:
        return False
    if not attempt.rated_at:
        attempt.rated_at, attempt.rated_chars = attempt.first_content, 0
    if now - attempt.rated_at < RATE_WINDOW:
        return False
    given = (attempt.chars - attempt.rated_chars) / CHARS_PER_TOKEN
    slow = given < min_rate * (now - attempt.rated_at)
    attempt.rated_at, attempt.rated_chars = now, attempt.chars
    return slow
