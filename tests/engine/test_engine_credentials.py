"""What makes a call acceptable is added before it goes out: at once, or when there is something to add."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from proxy.core.call import HttpCall
from proxy.core.failure import Failure
from proxy.core.failure import FailureKind as K
from proxy.core.outcome import Ended
from tests.engine.stage import TIMES, Asked, Stage, until

OnLoop = Callable[[Callable[[], None]], None]
REFUSED = Failure(K.KEY_REFUSED, "no token: the command failed")


def with_token(call: HttpCall, token: str = "t") -> HttpCall:
    return HttpCall(call.head + f"Authorization: Bearer {token}\r\n".encode(), call.body)


class Ready:
    """Signs at once."""

    def __init__(self) -> None:
        self.calls: list[HttpCall] = []

    def sign(self, call: HttpCall) -> HttpCall | Awaitable[HttpCall | Failure]:
        self.calls.append(call)
        return with_token(call, f"t{len(self.calls)}")


class Slow:
    """Signs when the test says so."""

    def __init__(self) -> None:
        self.found: asyncio.Future[Failure | None] = asyncio.get_running_loop().create_future()
        self.waiting = 0

    def sign(self, call: HttpCall) -> HttpCall | Awaitable[HttpCall | Failure]:
        return self._sign(call)

    async def _sign(self, call: HttpCall) -> HttpCall | Failure:
        self.waiting += 1
        try:
            return await asyncio.shield(self.found) or with_token(call)
        finally:
            self.waiting -= 1


def signing(credential: Ready | Slow, targets: str = "ab", **route: Any) -> Stage:
    """A stage whose backend `a` asks for a credential."""
    stage = Stage(targets, **route)
    road = stage.roads.by_name["chat"]
    lanes = {**road.lanes, "a/m": replace(road.lanes["a/m"], credential=credential)}
    stage.roads.by_name = {"chat": replace(road, lanes=lanes)}
    return stage


def failed(one: Asked) -> K:
    assert one.client.failure is not None
    return one.client.failure.kind


def test_what_is_signed_at_once_goes_out_at_once(on_loop: OnLoop) -> None:
    def story() -> None:
        credential = Ready()
        stage = signing(credential)
        one = stage.ask(stream=False)
        assert [(f.at, f.key) for f in stage.flights] == [("a", "t1")]
        stage.flights[0].whole()
        assert one.client.ends == ["whole"]
        stage.ask(stream=False)
        assert stage.flights[1].key == "t2", "each call by itself"
        stage.flights[1].fail(K.RESET)
        assert stage.flights[2].at == "b" and not stage.flights[2].key

    on_loop(story)


def test_what_has_to_be_waited_for_is_waited_for() -> None:
    async def story() -> None:
        credential = Slow()
        stage = signing(credential)
        one = stage.ask(stream=False)
        await until(lambda: credential.waiting == 1)
        assert not stage.flights
        credential.found.set_result(None)
        await until(lambda: bool(stage.flights))
        assert stage.flights[0].key == "t"
        stage.flights[0].whole()
        assert one.client.ends == ["whole"] and not stage.busy()

    asyncio.run(story())


def test_a_backend_without_a_credential_fails_like_one_with_a_wrong_key() -> None:
    async def story() -> None:
        credential = Slow()
        credential.found.set_result(REFUSED)
        stage = signing(credential)
        one = stage.ask(stream=False)
        await until(lambda: bool(stage.flights))
        assert stage.flights[0].at == "b"
        stage.flights[0].whole()
        assert one.client.ends == ["whole"]
        first, _ = stage.books.outcomes
        assert (first.ended, first.failure, first.maybe_billed) == (Ended.FAILED, K.KEY_REFUSED, False)
        assert stage.engine.trouble["a/m"].cause is K.KEY_REFUSED

    asyncio.run(story())


def test_a_credential_that_does_not_come_is_waited_for_no_longer_than_a_connection() -> None:
    async def story() -> None:
        credential = Slow()
        stage = signing(credential, timeouts={**TIMES, "connect": 0.05})
        one = stage.ask(stream=False)
        await until(lambda: bool(stage.flights))
        assert stage.flights[0].at == "b"
        assert stage.books.outcomes[0].failure is K.CONNECT_TIMEOUT
        assert not credential.waiting, "nobody waits any more"
        stage.flights[0].whole()
        assert one.client.ends == ["whole"]

    asyncio.run(story())


def test_the_time_to_the_first_content_runs_meanwhile() -> None:
    async def story() -> None:
        credential = Slow()
        stage = signing(credential, "a", timeouts={**TIMES, "connect": 30})
        one = stage.ask()
        await until(lambda: credential.waiting == 1)
        one.pass_time(10.1)
        assert failed(one) is K.FIRST_TIMEOUT
        await until(lambda: not credential.waiting)
        credential.found.set_result(None)
        await asyncio.sleep(0)
        assert not stage.flights and not stage.busy()

    asyncio.run(story())


def test_a_client_that_leaves_ends_the_waiting() -> None:
    async def story() -> None:
        credential = Slow()
        stage = signing(credential)
        one = stage.ask()
        await until(lambda: credential.waiting == 1)
        one.exchange.gone()
        await until(lambda: not credential.waiting)
        (outcome,) = stage.books.outcomes
        assert outcome.ended is Ended.CANCELLED and outcome.usage is None, "nothing was sent"
        credential.found.set_result(None)
        await asyncio.sleep(0)
        assert not stage.flights and not stage.busy()

    asyncio.run(story())
