"""A whole answer made of a stream's chunks is what the same request would have got without `stream`."""

from __future__ import annotations

from typing import Any

import orjson

from proxy.local.worker.whole import Whole

HEAD = {"id": "c1", "created": 5, "model": "m", "object": "chat.completion.chunk"}


def whole(*choices: dict[str, Any], **end: Any) -> dict[str, Any]:
    made = Whole()
    for choice in choices:
        made.add({**HEAD, "choices": [{"index": 0, "finish_reason": None, **choice}]})
    made.add({**HEAD, "choices": [], **end})
    answer: dict[str, Any] = orjson.loads(made.body())
    return answer


def test_texts_are_joined_and_the_end_is_taken_over() -> None:
    answer = whole(
        {"delta": {"role": "assistant", "content": None}},
        {"delta": {"content": "Hel"}},
        {"delta": {"content": "lo"}},
        {"delta": {}, "finish_reason": "stop"},
        usage={"total_tokens": 7},
        timings={"cache_n": 0},
    )
    assert answer == {
        "id": "c1",
        "created": 5,
        "model": "m",
        "object": "chat.completion",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}],
        "usage": {"total_tokens": 7},
        "timings": {"cache_n": 0},
    }


def test_reasoning_is_joined_apart_from_content() -> None:
    message = whole({"delta": {"reasoning_content": "a"}}, {"delta": {"reasoning_content": "b"}}, {"delta": {}})
    assert message["choices"][0]["message"] == {"reasoning_content": "ab", "content": ""}


def test_tool_calls_are_told_apart_by_their_index() -> None:
    def call(index: int, **more: Any) -> dict[str, Any]:
        return {"delta": {"tool_calls": [{"index": index, **more}]}}

    message = whole(
        {"delta": {"role": "assistant", "content": None}},
        call(0, id="x", type="function", function={"name": "f", "arguments": ""}),
        call(0, function={"arguments": '{"a"'}),
        call(1, id="y", type="function", function={"name": "g", "arguments": "{}"}),
        call(0, function={"arguments": ":1}"}),
    )["choices"][0]["message"]
    assert message["content"] is None
    assert message["tool_calls"] == [
        {"id": "x", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}},
        {"id": "y", "type": "function", "function": {"name": "g", "arguments": "{}"}},
    ]


def test_several_choices_come_in_order_with_their_logprobs() -> None:
    entries = [{"token": "b"}, {"token": "c"}]
    answer = whole(
        {"index": 1, "delta": {"content": "b"}, "logprobs": {"content": entries[:1]}},
        {"index": 0, "delta": {"content": "a"}},
        {"index": 1, "delta": {"content": "c"}, "logprobs": {"content": entries[1:]}},
    )
    assert [choice["message"]["content"] for choice in answer["choices"]] == ["a", "bc"]
    assert answer["choices"][1]["logprobs"] == {"content": entries}
