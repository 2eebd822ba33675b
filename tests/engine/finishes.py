"""Ends of requests."""

from __future__ import annotations

from proxy.core.outcome import Ended, Finish


def finish(attempts: int, route: str = "chat") -> Finish:
    """A request that was answered, after so many attempts."""
    return Finish(
        request_id="r1",
        route=route,
        target="a/m",
        attempts=attempts,
        status=200,
        stream=False,
        endpoint="chat",
        started_at=0.0,
        duration=1.0,
        first_content=None,
        ended=Ended.SERVED,
        failure=None,
        cost=None,
        key="",
    )
