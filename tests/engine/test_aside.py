"""A small question beside the exchanges: it has one answer or none, whatever happens to it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from proxy.app.build import Fixed
from proxy.backends.registry import bind
from proxy.config.values import Backend
from proxy.core.call import HttpCall, Origin
from proxy.core.chat import ChatRequest, Native
from proxy.core.credential import Credential
from proxy.core.failure import Failure, FailureKind
from proxy.core.route import Target
from proxy.core.secret import Secret
from proxy.engine import aside as module
from proxy.engine.aside import Aside
from proxy.engine.lane import Lane
from tests.engine.stage import Flight, Network, until

BODY = {"model": "chat", "messages": [{"role": "user", "content": "Hi"}]}
REQUEST = ChatRequest(b"", BODY, "chat", False, False, Native("count_tokens", BODY))
COUNT = b'{"input_tokens":14}'
REFUSED = Failure(FailureKind.KEY_REFUSED, "no token")


class Signs:
    """A token that comes after a while, or does not."""

    def __init__(self, failure: Failure | None = None) -> None:
        self._failure = failure

    def sign(self, call: HttpCall) -> HttpCall | Awaitable[HttpCall | Failure]:
        return self._signed(call)

    async def _signed(self, call: HttpCall) -> HttpCall | Failure:
        await asyncio.sleep(0)
        return self._failure or HttpCall(call.head + b"Authorization: Bearer t\r\n", call.body)


def lane(credential: Credential | None = None) -> Lane:
    target = Target("up/claude-sonnet-4-5", "up", "claude-sonnet-4-5")
    dialect = bind(Backend("up", "anthropic", "https://up.test", Secret("sk-ant-test")), target)
    return Lane(target, dialect, Fixed(Origin("https", "up.test", 443)), (), credential)


def asked(story: Callable[[Flight, Aside], None], credential: Credential | None = None) -> list[bytes | None]:
    """What is told when the upstream does that."""
    told: list[bytes | None] = []

    async def main() -> None:
        network = Network()
        aside = Aside(told.append)
        aside.ask(network, lane(credential), REQUEST)
        if credential is not None:
            await until(lambda: bool(network.flights or told))
        for flight in network.flights:
            story(flight, aside)

    asyncio.run(main())
    return told


def test_an_answer_is_told_as_it_came() -> None:
    def story(flight: Flight, _: Aside) -> None:
        assert flight.call.head.startswith(b"POST /v1/messages/count_tokens HTTP/1.1\r\n")
        assert flight.asked == {**BODY, "model": "claude-sonnet-4-5"}
        flight.whole(COUNT)

    assert asked(story) == [COUNT]


@pytest.mark.parametrize(
    "story",
    [
        lambda flight, _: flight.whole(COUNT, status=404),
        lambda flight, _: flight.whole(b"no json"),
        lambda flight, _: flight.whole(b'{"type":"error","error":{"type":"overloaded_error"}}'),
        lambda flight, _: flight.fail(FailureKind.RESET),
    ],
    ids=["404", "no json", "an error", "a reset"],
)
def test_none_is_told_where_there_is_none(story: Callable[[Flight, Aside], None]) -> None:
    assert asked(story) == [None]


def test_an_answer_without_end_is_given_up() -> None:
    def story(flight: Flight, _: Aside) -> None:
        flight.sink.on_head(200, [])
        flight.sink.on_data(b"x" * (module.MAX_BODY + 1))
        assert flight.aborted

    assert asked(story) == [None]


def test_a_client_that_left_is_told_nothing() -> None:
    def story(flight: Flight, aside: Aside) -> None:
        aside.abort()
        assert flight.aborted

    assert asked(story) == []


def test_it_is_not_waited_for_longer_than_some_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WITHIN", 0.01)
    told: list[bytes | None] = []

    async def main() -> None:
        network = Network()
        Aside(told.append).ask(network, lane(), REQUEST)
        await until(lambda: bool(told))
        assert network.flights[0].aborted

    asyncio.run(main())
    assert told == [None]


def test_a_token_is_waited_for_and_none_means_no_answer() -> None:
    def story(flight: Flight, _: Aside) -> None:
        assert b"Authorization: Bearer t\r\n" in flight.call.head
        flight.whole(COUNT)

    assert asked(story, Signs()) == [COUNT]
    assert asked(story, Signs(REFUSED)) == [None]
