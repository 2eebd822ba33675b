"""What an operator's rules say of requests: by the tags of their keys, and of their places in the queue."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from proxy.core.choice.wish import Wish
from proxy.core.relay import RELAYS, RelayRequest
from tests.engine.limited import Limited, turns
from tests.engine.stage import Client, Stage

Story = Callable[[Callable[[], None]], None]
BY_TAG: dict[str, Any] = {"rules": [{"when": {"tag": "search"}, "use": "b/m"}]}
ONE_PLACE: dict[str, Any] = {"a": {"concurrency": 1}}
QUEUE: dict[str, Any] = {"size": 10, "wait": 30, "priorities": {"low": {"size": 1}}}


def test_a_rule_sees_the_tags_of_the_callers_key_and_those_that_the_caller_names(on_loop: Story) -> None:
    def story() -> None:
        stage = Stage("ab", **BY_TAG)
        stage.ask(stream=False)
        stage.ask(stream=False, wish=Wish(tags=frozenset({"search"})))
        stage.engine.key_tags = {"": ("eu", "search")}
        stage.ask(stream=False)
        stage.ask(stream=True, wish=Wish(agent="scout"))
        stage.ask(embed=True, stream=False)
        assert [flight.at for flight in stage.flights] == ["a", "b", "b", "b", "b"]
        stage.engine.key_tags = {"": ("eu",)}
        stage.ask(stream=False)
        assert stage.flights[-1].at == "a"

    on_loop(story)


def test_the_tags_of_a_key_are_not_on_record_as_what_the_caller_asked_for(on_loop: Story) -> None:
    def story() -> None:
        stage = Stage("ab", **BY_TAG)
        stage.engine.key_tags = {"": ("search",)}
        stage.ask(stream=False)
        stage.flights[-1].whole()
        (outcome,) = stage.books.outcomes
        assert (outcome.tags, stage.books.told) == (("search",), [])

    on_loop(story)


def test_what_is_handed_on_as_it_is_knows_no_rules(on_loop: Story) -> None:
    def story() -> None:
        stage = Stage("ab", **BY_TAG)
        stage.engine.key_tags = {"": ("search",)}
        road = stage.roads.find("chat")
        assert road is not None
        (relay,) = (one for one in RELAYS if one.name == "moderations")
        body = {"model": "chat", "input": "x"}
        stage.engine.relay(road, RelayRequest(relay, b"{}", body, "chat", False), Client(), "r", "").start()
        assert [flight.at for flight in stage.flights] == ["a"]

    on_loop(story)


def limited(*rules: dict[str, Any]) -> Limited:
    stage = Limited("a", backends=ONE_PLACE, queue=QUEUE, rules=list(rules))
    stage.come(user="first")
    return stage


async def order(stage: Limited) -> list[str]:
    """Who had a turn, in order, when each that has one is answered."""
    for _ in range(stage.waiting + 1):
        stage.flights[-1].whole()
        await turns()
    return [flight.asked["user"] for flight in stage.flights[1:]]


def test_a_rule_says_the_priority_of_requests_in_the_queue_whatever_they_say_themselves() -> None:
    async def story() -> None:
        low = {"when": {"tokens": ">1000"}, "set": {"priority": "low"}}
        stage = limited({"when": {"key": "vip"}, "set": {"priority": "high"}}, low)
        long = [{"role": "user", "content": "word " * 2000}]
        stage.come("crawler", priority="high", user="long", messages=long)
        assert stage.limiter.waiting.depth("low") == 1
        assert stage.come("other", user="longer", messages=long).client.ends == ["refused"], "one of low priority waits"
        stage.come("plain", user="plain")
        stage.come("vip", priority="low", user="vip")
        assert {name: stage.limiter.waiting.depth(name) for name in ("high", "normal", "low")} == {
            "high": 1,
            "normal": 1,
            "low": 1,
        }
        assert await order(stage) == ["vip", "plain", "long"]

    asyncio.run(story())


def test_where_no_rule_says_a_priority_the_request_does() -> None:
    async def story() -> None:
        stage = limited({"when": {"key": "vip"}, "set": {"priority": "high"}})
        stage.come("other", priority="low", user="low")
        assert stage.limiter.waiting.depth("low") == 1
        none = limited()
        none.come("other", priority="high", user="high")
        assert none.limiter.waiting.depth("high") == 1

    asyncio.run(story())


def test_a_rule_s_priority_holds_for_those_too_who_wait_to_be_let_in() -> None:
    async def story() -> None:
        rules = [{"when": {"tag": "batch"}, "set": {"priority": "low"}}]
        stage = Limited("a", limits={"concurrency": 1}, queue=QUEUE, rules=rules)
        stage.engine.key_tags = {"crawler": ("batch",)}
        stage.come(user="first")
        stage.come("crawler", user="crawler")
        assert stage.limiter.waiting.depth("low") == 1

    asyncio.run(story())
