"""A value that is valid for a while: when it is fetched, how often, and who waits."""

from __future__ import annotations

import asyncio
from math import inf
from typing import Any

import pytest

from proxy.core.failure import Failure, FailureKind
from proxy.credentials.kept import RETRY, Always, Kept, Lease, refused, until


class Fetch:
    """Gives `tok-1`, `tok-2`, … for 1000 s each, when the test lets it."""

    def __init__(self, clock: Any) -> None:
        self.clock = clock
        self.begun = 0
        self.broken = False
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self) -> Lease[str] | Failure:
        self.begun += 1
        number = self.begun
        await self.gate.wait()
        if self.broken:
            return refused("the test says so")
        return until(f"tok-{number}", self.clock.now + 1000.0, self.clock.now)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_the_first_request_waits_and_those_after_it_do_not(clock: Any) -> None:
    async def main() -> None:
        kept = Kept(Fetch(clock), clock)
        assert kept.get() is None
        assert await kept.wait() == "tok-1"
        assert kept.get() == "tok-1"

    asyncio.run(main())


def test_a_hundred_that_wait_share_one_fetch(clock: Any) -> None:
    async def main() -> None:
        fetch = Fetch(clock)
        kept = Kept(fetch, clock)
        assert set(await asyncio.gather(*(kept.wait() for _ in range(100)))) == {"tok-1"}
        assert fetch.begun == 1

    asyncio.run(main())


def test_it_is_renewed_before_it_ends_once_and_in_the_background(clock: Any) -> None:
    async def main() -> None:
        fetch = Fetch(clock)
        kept = Kept(fetch, clock)
        await kept.wait()
        clock.now += 799
        assert kept.get() == "tok-1"
        await settle()
        assert fetch.begun == 1
        clock.now += 2
        fetch.gate.clear()
        assert [kept.get() for _ in range(50)] == ["tok-1"] * 50
        await settle()
        assert fetch.begun == 2
        fetch.gate.set()
        await settle()
        assert kept.get() == "tok-2"

    asyncio.run(main())


def test_what_has_ended_is_not_given_out(clock: Any) -> None:
    async def main() -> None:
        fetch = Fetch(clock)
        kept = Kept(fetch, clock)
        await kept.wait()
        clock.now += 1000
        assert kept.get() is None
        assert await kept.wait() == "tok-2"

    asyncio.run(main())


def test_one_who_gives_up_does_not_take_the_others_along(clock: Any) -> None:
    async def main() -> None:
        fetch = Fetch(clock)
        kept = Kept(fetch, clock)
        fetch.gate.clear()
        impatient, patient = asyncio.ensure_future(kept.wait()), asyncio.ensure_future(kept.wait())
        await settle()
        impatient.cancel()
        with pytest.raises(asyncio.CancelledError):
            await impatient
        fetch.gate.set()
        assert await patient == "tok-1"
        assert fetch.begun == 1

    asyncio.run(main())


def test_a_renewal_that_fails_costs_nothing_while_the_old_one_is_valid_and_is_tried_again_later(clock: Any) -> None:
    async def main() -> None:
        fetch = Fetch(clock)
        kept = Kept(fetch, clock)
        await kept.wait()
        fetch.broken = True
        clock.now += 850
        assert kept.get() == "tok-1"
        await settle()
        assert kept.get() == "tok-1"
        await settle()
        assert fetch.begun == 2
        fetch.broken = False
        clock.now += RETRY
        kept.get()
        await settle()
        assert kept.get() == "tok-3"

    asyncio.run(main())


def test_after_a_failure_nobody_asks_again_for_a_while_the_wait_is_named_and_the_log_says_why(
    clock: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        fetch = Fetch(clock)
        kept = Kept(fetch, clock, "azure")
        fetch.broken = True
        first = await kept.wait()
        assert isinstance(first, Failure)
        assert "azure: Wayline has no credential for this backend: the test says so" in caplog.text
        assert first.kind is FailureKind.KEY_REFUSED
        clock.now += 4
        again = await kept.wait()
        assert isinstance(again, Failure)
        assert again.retry_after == RETRY - 4
        assert fetch.begun == 1
        clock.now += RETRY
        fetch.broken = False
        assert await kept.wait() == "tok-2"

    asyncio.run(main())


def test_what_never_ends_is_fetched_once(clock: Any) -> None:
    async def main() -> None:
        kept = Kept(Always("tok"), clock)
        assert await kept.wait() == "tok"
        clock.now += 1e9
        assert kept.get() == "tok"

    asyncio.run(main())


def test_no_printed_form_holds_the_value(clock: Any) -> None:
    async def main() -> None:
        kept = Kept(Fetch(clock), clock)
        waiting = asyncio.ensure_future(kept.wait())
        await settle()
        assert kept.get() == "tok-1"
        shown = f"{kept!r} {kept!s} {Lease('tok-1', renew=1.0, ends=inf)!r} {asyncio.all_tasks()!r}"
        assert "tok-1" not in shown
        await waiting

    asyncio.run(main())
