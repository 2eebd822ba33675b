"""What is handed on as it is goes nowhere that its caller's conditions, or its route's, forbid."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from proxy.core.choice.wish import wish_of
from proxy.core.failure import FailureKind
from proxy.core.relay import RELAYS, RelayRequest
from tests.engine.stage import Client, Stage

Story = Callable[[Callable[[], None]], None]
FREE = {"target": "b/m", "price": {"input": 0, "output": 0}}


def ask(stage: Stage, **wish: Any) -> Client:
    """A text to be moderated."""
    road = stage.roads.find("chat")
    assert road is not None
    (relay,) = (one for one in RELAYS if one.name == "moderations")
    client = Client()
    said = wish_of(wish) if wish else None
    request = RelayRequest(relay, b"{}", {"model": "chat", "input": "x"}, "chat", False, wish=said)
    stage.engine.relay(road, request, client, "r", "").start()
    return client


@pytest.mark.parametrize(
    ("wish", "to"),
    [
        ({}, "a"),
        ({"agent": "bot", "priority": "low"}, "a"),
        ({"only": ["b"]}, "b"),
        ({"exclude": ["a/m"]}, "b"),
        ({"free": True}, "b"),
        ({"max_cost": 1}, "b"),
        ({"max_cost": 0, "only": ["b", "c"]}, "b"),
    ],
)
def test_targets_that_do_not_meet_the_conditions_are_not_asked(on_loop: Story, wish: dict[str, Any], to: str) -> None:
    def story() -> None:
        stage = Stage(["a", FREE])
        ask(stage, **wish)
        stage.flights[-1].fail(FailureKind.RESET)
        assert [flight.at for flight in stage.flights][:1] == [to]
        if set(wish) - {"agent", "priority"}:
            assert len(stage.flights) == 1, "nor after a failure"

    on_loop(story)


def test_where_none_is_left_the_caller_is_told_why_of_each(on_loop: Story) -> None:
    def story() -> None:
        stage = Stage("ab")
        client = ask(stage, local_only=True)
        assert (stage.flights, client.ends) == ([], ["refused"])
        assert client.failure is not None and client.failure.kind is FailureKind.UNSUPPORTED
        assert client.failure.message.endswith("a/m: not local; b/m: not local.")
        client = ask(stage, max_cost=1)
        assert client.failure is not None
        assert "a/m: what this would cost is not known beforehand" in client.failure.message
        assert stage.busy() == 0 and not stage.engine.live

    on_loop(story)


def test_what_the_route_requires_holds_here_too(on_loop: Story) -> None:
    def story() -> None:
        stage = Stage(["a", FREE], require={"free": True})
        ask(stage)
        assert [flight.at for flight in stage.flights] == ["b"]

    on_loop(story)
