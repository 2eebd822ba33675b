"""Requests to be told of."""

from __future__ import annotations

import time

from proxy.core.choice.choose import Choice
from proxy.core.choice.sifting import LeftOut
from proxy.core.choice.wish import Wish
from proxy.core.failure import FailureKind
from proxy.core.health import Standing
from proxy.core.outcome import Ended
from proxy.core.plan import Plan, Skipped
from proxy.core.route import Target
from proxy.core.told import Told

STARTED = 1_790_000_000.25
"""As of the outcomes in conftest.py."""
FREE_AGAIN = time.monotonic() + 3600.0
"""On the engine's clock."""


def target(name: str) -> Target:
    """One target."""
    backend, _, model = name.partition("/")
    return Target(name, backend, model)


FIRST, SECOND, THIRD = target("openai/gpt-4o-mini"), target("groq/llama"), target("here/smollm2")
PLAN = Plan((FIRST, SECOND))
CHOICE = Choice(
    Plan((FIRST, SECOND), (Skipped(target("xai/grok"), Standing.COOLING, FailureKind.RATE_LIMITED, FREE_AGAIN),)),
    left_out=(LeftOut(THIRD, "context 8,192 < 30,000"),),
    behind=((SECOND, "answers up to 4,096 < 5,000"),),
    strategy="cheapest",
    rule=1,
    use="large",
)
TOLD = Told(
    request_id="req-1",
    started_at=STARTED,
    route="chat",
    endpoint="chat",
    key="team-a",
    agent="scout",
    tags=("nightly", "team"),
    stream=True,
    ended=Ended.SERVED,
    status=200,
    failure=None,
    duration=1.5,
    queued=0.0,
    attempts=1,
    planned=PLAN,
    wish=None,
)
CHOSEN = TOLD._replace(planned=CHOICE, wish=Wish(exclude=frozenset({"azure"})))
REFUSED = TOLD._replace(
    ended=Ended.FAILED, status=400, failure=FailureKind.UNSUPPORTED, attempts=0, duration=0.0004, stream=False
)
