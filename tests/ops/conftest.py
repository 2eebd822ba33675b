"""An attempt and a request that went well, to make others from."""

from __future__ import annotations

from decimal import Decimal

import pytest

from proxy.core.outcome import Ended, Finish, Outcome
from proxy.core.price import Price
from proxy.core.usage import Usage


@pytest.fixture(scope="session")
def served() -> Outcome:
    return Outcome(
        request_id="req-1",
        attempt=1,
        route="chat",
        target="openai/mini",
        backend="openai",
        ended=Ended.SERVED,
        failure=None,
        status=200,
        stream=True,
        started_at=1_790_000_000.25,
        sent=0.5,
        first_byte=0.75,
        first_content=0.8,
        last=1.5,
        usage=Usage(120, 45, 20, 7, 9),
        price=Price(Decimal(1), Decimal(2)),
        cost=Decimal("0.25"),
        maybe_billed=False,
        key="team-a",
        model="mini-2024",
    )


@pytest.fixture(scope="session")
def finished() -> Finish:
    return Finish(
        request_id="req-1",
        route="chat",
        target="openai/mini",
        attempts=1,
        status=200,
        stream=True,
        endpoint="chat",
        started_at=1_790_000_000.25,
        duration=1.5,
        first_content=0.8,
        ended=Ended.SERVED,
        failure=None,
        cost=Decimal("0.25"),
        key="team-a",
    )
