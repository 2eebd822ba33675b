"""What a judge is asked and says, and how answers are read off what clients got."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.quality.answers import of_chunks, of_native, of_whole
from proxy.core.quality.assess import Answer, Parts
from proxy.core.quality.judging import MOST_ANSWER, MOST_QUESTION, question, verdict
from proxy.core.screen.moderated import MOST, categories

BODY: dict[str, Any] = {
    "messages": [{"role": "system", "content": "A secret of the house."}, {"role": "user", "content": "Why?"}]
}


@pytest.mark.parametrize(
    "reply",
    [
        '{"completeness": 8, "relevance": 10, "coherence": 5}',
        'Sure!\n```json\n{"completeness": 8, "relevance": 10, "coherence": 5}\n```',
        '{"completeness": "8/10", "relevance": "10", "coherence": "5"}',
        "**Completeness**: 8\n**Relevance**: 10\n**Coherence**: 5",
        '<think>{"completeness": 1}</think> {"completeness": 8.0, "relevance": 10, "coherence": 5}',
    ],
)
def test_a_verdict_is_read_however_it_is_wrapped(reply: str) -> None:
    assert verdict(reply) == Parts(0.8, 1.0, 0.5)


@pytest.mark.parametrize(
    "reply",
    ["", "It is good.", '{"completeness": 8}', '{"completeness": 80, "relevance": 10, "coherence": 5}', "{" * 5000],
)
def test_what_says_nothing_clear_is_no_verdict(reply: str) -> None:
    assert verdict(reply) is None


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=200))
def test_no_reply_makes_it_raise(reply: str) -> None:
    found = verdict(reply)
    assert found is None or all(0 <= part <= 1 for part in found)


def test_a_judge_sees_what_was_asked_and_answered_in_bounds_and_not_what_the_application_says() -> None:
    body = {"messages": [*BODY["messages"], {"role": "user", "content": "x" * 50_000}]}
    asked = question(body, "y" * 50_000, "judge")
    told = asked["messages"][1]["content"]
    assert len(told) < MOST_QUESTION + MOST_ANSWER + 200
    assert "secret" not in json.dumps(asked)
    assert asked["model"] == "judge" and asked["max_tokens"] > 0


def test_a_stream_says_the_same_as_the_whole() -> None:
    call = {"index": 0, "id": "1", "function": {"name": "f", "arguments": '{"a"'}}
    chunks: list[dict[str, Any]] = [
        {"choices": [{"index": 0, "delta": {"role": "assistant", "content": "Hel"}}]},
        {"choices": [{"index": 0, "delta": {"content": "lo"}}]},
        {"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]},
        {"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"arguments": ": 1}"}}]}}]},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]},
        {"choices": [], "usage": {}},
    ]
    message = {"content": "Hello", "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": '{"a": 1}'}}]}
    whole = {"choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]}
    expected = (Answer("Hello", "tool_calls", False, (("f", '{"a": 1}'),)),)
    assert of_chunks(chunks) == of_whole(whole) == expected


def test_answers_in_other_apis_words_are_read_too() -> None:
    assert of_native({"content": [{"type": "text", "text": "Hi"}], "stop_reason": "max_tokens"}) == (
        Answer("Hi", "length"),
    )
    output = [{"type": "message", "content": [{"type": "output_text", "text": "Hi"}]}]
    assert of_native({"output": output, "status": "completed"}) == (Answer("Hi", "stop"),)
    assert of_native({"choices": [{"text": "Hi", "finish_reason": "stop"}]}) == (Answer("Hi", "stop"),)
    assert of_native({}) == ()


def test_a_moderation_says_what_it_flags_or_what_scores_high_enough() -> None:
    found = {"flagged": True, "categories": {"a": True, "b": False}, "category_scores": {"a": 0.9, "b": 0.6}}
    assert categories({"results": [found]}, None) == ("a",)
    assert categories({"results": [found]}, 0.5) == ("a", "b")
    assert categories({"results": [{"flagged": True}]}, None) == ("flagged",)
    assert categories({"results": []}, None) is None and categories("no", None) is None
    many = {f"c{n}": True for n in range(100)}
    assert len(categories({"results": [{"categories": many}]}, None) or ()) == MOST
