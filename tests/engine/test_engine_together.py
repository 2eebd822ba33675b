"""Two workers of one server, each with its own queue, before limits that hold for both."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from proxy.core.failure import FailureKind
from proxy.engine.tally import Tally, Together
from tests.engine.limited import Limited, turns
from tests.engine.stage import until

QUEUE = {"size": 9, "wait": 30}
SHORT = {"windows": [{"requests": 2, "per": 0.4}]}


def test_what_one_let_in_is_not_there_for_the_other_and_who_waits_goes_when_there_is_room(tmp_path: Path) -> None:
    async def story() -> None:
        first, second = (Limited("a", tally=Tally(tmp_path, 0.0), limits=SHORT, queue=QUEUE) for _ in range(2))
        asked = [first.come(), second.come(), first.come(), second.come()]
        assert [len(stage.flights) for stage in (first, second)] == [1, 1]
        assert [stage.waiting for stage in (first, second)] == [1, 1]
        await until(lambda: not first.waiting and not second.waiting)
        for stage in (first, second):
            for flight in stage.flights:
                flight.whole()
        assert all(one.client.ends == ["whole"] for one in asked)

    asyncio.run(story())


def test_whose_turn_it_is_waits_on_where_another_worker_was_quicker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim, quicker = Together.claim, list[bool]()

    async def story() -> None:
        first, second = (Limited("a", tally=Tally(tmp_path, 0.0), limits=SHORT, queue=QUEUE) for _ in range(2))
        second.come()
        second.come()
        waits = first.come()

        def beaten(held: Together, now: float) -> bool:
            while not quicker:
                quicker.append(second.come().exchange.held is not None)
                second.come()
            return claim(held, now)

        monkeypatch.setattr(Together, "claim", beaten)
        await until(lambda: bool(quicker))
        await turns()
        assert len(second.flights) == 4 and first.waiting == 1 and not first.flights
        await until(lambda: bool(first.flights))
        first.flights[0].whole()
        assert waits.client.ends == ["whole"]

    asyncio.run(story())


def test_a_target_at_the_limit_that_another_worker_reached_is_passed_over(tmp_path: Path) -> None:
    async def story() -> None:
        backends = {"a": {"limits": {"rpm": 1}}}
        first, second = (Limited("ab", tally=Tally(tmp_path, 0.0), backends=backends) for _ in range(2))
        first.come()
        second.come()
        assert [flight.at for flight in (*first.flights, *second.flights)] == ["a", "b"]

    asyncio.run(story())


def test_the_refusal_says_when_there_is_room_again_over_all_workers(tmp_path: Path) -> None:
    async def story() -> None:
        first, second = (Limited("a", tally=Tally(tmp_path, 0.0), limits={"rpm": 1}) for _ in range(2))
        first.come()
        failure = second.come().client.failure
        assert failure is not None and failure.kind is FailureKind.RATE_LIMITED
        assert 59 < (failure.retry_after or 0) <= 61

    asyncio.run(story())
