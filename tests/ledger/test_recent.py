"""The latest requests, each in a line, whether their attempts tell all of them or not."""

from __future__ import annotations

import asyncio
import time
from decimal import Decimal
from pathlib import Path

import orjson
import pytest

from proxy.core.failure import FailureKind
from proxy.core.outcome import Ended, Outcome
from proxy.core.told import Told
from proxy.ledger.recent import ANY, Brief, Which, recent
from proxy.ledger.sqlite import open_ledger
from tests.ledger.tellings import REFUSED, TOLD

NOW = float(int(time.time()))


@pytest.fixture
def filled(database: Path, served: Outcome) -> Path:
    """Plain, failed over, refused, still on its way."""
    failed = served._replace(ended=Ended.FAILED, failure=FailureKind.RESET, target="groq/llama", cost=None)
    what: list[Outcome | Told] = [
        served._replace(request_id="plain", started_at=NOW - 4, agent="", tags=(), cost=Decimal("0.1")),
        failed._replace(request_id="over", started_at=NOW - 3),
        served._replace(request_id="over", started_at=NOW - 3, attempt=2, cost=Decimal("0.2")),
        TOLD._replace(request_id="over", started_at=NOW - 3, attempts=2),
        REFUSED._replace(request_id="refused", started_at=NOW - 2, key="team-b"),
        failed._replace(request_id="going", started_at=NOW - 1, route="other"),
    ]

    async def record() -> None:
        ledger = open_ledger(database)
        for one in what:
            if isinstance(one, Told):
                ledger.tell(one)
            else:
                ledger.record(one)
        await ledger.close()

    asyncio.run(record())
    return database


def ids(path: Path, limit: int = 50, which: Which = ANY) -> list[str]:
    return [one.request_id for one in recent(path, limit, which)]


def test_the_latest_come_first_and_each_once(filled: Path) -> None:
    assert ids(filled) == ["going", "refused", "over", "plain"]
    assert ids(filled, 2) == ["going", "refused"]
    assert ids(filled, which=Which(before=NOW - 2)) == ["over", "plain"]


def test_each_tells_its_end(filled: Path) -> None:
    going, refused, over, plain = recent(filled)
    assert (going.ended, going.target, going.attempts, going.status) == (None, "groq/llama", 1, None)
    assert (refused.ended, refused.target, refused.attempts, refused.status) == ("failed", "", 0, 400)
    assert refused.failure == "unsupported"
    assert over == Brief(
        "over",
        NOW - 3,
        "chat",
        "team-a",
        "scout",
        ("nightly", "team"),
        "chat",
        "openai/gpt-4o-mini",
        2,
        "served",
        None,
        200,
        1.5,
        Decimal("0.2"),
    )
    assert (plain.ended, plain.cost, plain.duration, plain.tags) == ("served", Decimal("0.1"), 1.5, ())
    assert orjson.loads(orjson.dumps(over.as_json()))["cost"] == "0.2"


@pytest.mark.parametrize(
    ("which", "found"),
    [
        (Which(route="other"), ["going"]),
        (Which(key="team-b"), ["refused"]),
        (Which(agent="scout"), ["going", "refused", "over"]),
        (Which(tag="nightly", route="chat"), ["refused", "over"]),
        (Which(ended="served"), ["over", "plain"]),
        (Which(ended="failed"), ["refused"]),
        (Which(ended="cut"), []),
    ],
)
def test_only_those_that_are_asked_for(filled: Path, which: Which, found: list[str]) -> None:
    assert ids(filled, which=which) == found
