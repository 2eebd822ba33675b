"""What an answer cost, told in the answer itself where the route says so."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal

import pytest

from proxy.core.chat import ChatRequest
from proxy.core.usage import Usage
from proxy.engine.costs import with_cost
from tests.engine.stage import DONE, Client, Stage, finish, word
from tests.upstream_answers import sse

Story = Callable[[Callable[[], None]], None]
USED = Usage(7, 2)


def usage_event() -> bytes:
    usage = {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}
    head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return sse({**head, "choices": [], "usage": usage})


def whole(*, reply_cost: bool) -> Client:
    stage = Stage("a", reply_cost=reply_cost)
    one = stage.ask(stream=False)
    stage.flights[0].whole()
    return one.client


def streamed(*, reply_cost: bool) -> bytes:
    stage = Stage("a", reply_cost=reply_cost)
    client, road = Client(), stage.roads.by_name["chat"]
    body = {"model": "chat", "messages": [{"role": "user", "content": "Hello"}], "stream": True}
    stage.engine.exchange(road, ChatRequest(b"", body, "chat", True, True), client, "r", "").start()
    stage.flights[0].stream(word("Hello"), finish(), usage_event(), DONE)
    assert client.ends == ["closed"]
    return client.body


def test_a_whole_answer_says_it_and_is_otherwise_the_same(on_loop: Story) -> None:
    def story() -> None:
        told, plain = whole(reply_cost=True), whole(reply_cost=False)
        assert json.loads(told.body)["usage"].pop("cost") == 0.000011
        assert told.body.replace(b'"cost":0.000011,', b"") == plain.body
        assert told.won is not None and told.won.cost == Decimal("0.000011")

    on_loop(story)


def test_a_stream_says_it_with_its_usage(on_loop: Story) -> None:
    def story() -> None:
        told, plain = streamed(reply_cost=True), streamed(reply_cost=False)
        assert b'"usage":{"cost":0.000011,' in told
        assert told.replace(b'"cost":0.000011,', b"") == plain

    on_loop(story)


@pytest.mark.parametrize(
    ("raw", "usage", "cost", "expected"),
    [
        (b'{"usage":{}}', USED, "0.5", b'{"usage":{"cost":0.5}}'),
        (b'{"usage" : { "a": 1}}', USED, "1E-7", b'{"usage" : { "cost":0.0000001,"a": 1}}'),
        (b'{"usage":null}', USED, "0.5", b'{"usage":null}'),
        (b'{"a":"\\"usage\\":{"}', USED, "0.5", b'{"a":"\\"usage\\":{"}'),
        (b'{"usage":{"cost":1}}', USED._replace(cost=Decimal(1)), "1", b'{"usage":{"cost":1}}'),
        (b'{"usage":{}}', None, "0.5", b'{"usage":{}}'),
        (b'{"usage":{}}', USED, None, b'{"usage":{}}'),
    ],
)
def test_it_is_told_where_it_is_known_and_not_told_twice(
    raw: bytes, usage: Usage | None, cost: str | None, expected: bytes
) -> None:
    assert with_cost(raw, usage, None if cost is None else Decimal(cost)) == expected
