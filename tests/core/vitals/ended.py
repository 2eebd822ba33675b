"""Outcomes of one target."""

from __future__ import annotations

from proxy.core.failure import FailureKind
from proxy.core.outcome import Ended, Outcome
from proxy.core.usage import Source, Usage

MONDAY = 1_795_392_000.0
"""Unix time of a midnight (UTC)."""


def ended(
    at: float,
    ended: Ended = Ended.SERVED,
    failure: FailureKind | None = None,
    *,
    first: float | None = 0.5,
    total: float = 2.0,
    tokens: int = 0,
    target: str = "a/m",
    route: str = "chat",
) -> Outcome:
    """An attempt that ended at this Unix time. `first`: of a stream; `None`: it is none."""
    usage = Usage(10, tokens, source=Source.REPORTED) if tokens else None
    return Outcome(
        "r1",
        1,
        route,
        target,
        target.partition("/")[0],
        ended,
        failure,
        200,
        first is not None,
        at - total,
        0.0,
        first,
        first,
        total,
        usage,
        None,
        None,
        False,
        "",
        "",
    )


def failed(at: float, kind: FailureKind = FailureKind.SERVER_ERROR) -> Outcome:
    """An attempt that ended without content."""
    return ended(at, Ended.FAILED, kind, first=None)
