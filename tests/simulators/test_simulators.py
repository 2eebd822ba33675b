"""aimock and llmock in the place of providers, over real sockets: good answers, and faults that they inject.

They are no judges of what a provider says (the recordings in tests/backends are): where one is wrong, it says so here.
"""

from __future__ import annotations

from typing import Any

import openai
import pytest

from tests.clients.recordings import EXCHANGES, events
from tests.simulators.conftest import AIMOCK, LLMOCK, OTHER, SIMULATED, Stage

pytestmark = pytest.mark.slow
SUN: Any = {
    "type": "function",
    "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
}
each = pytest.mark.parametrize(("simulator", "type_"), SIMULATED)
by_aimock = pytest.mark.parametrize("type_", AIMOCK)
by_llmock = pytest.mark.parametrize("type_", LLMOCK)


def whole(stage: Stage, model: str, text: str, **more: Any) -> Any:
    return stage.client.chat.completions.create(model=model, messages=[{"role": "user", "content": text}], **more)


def streamed(stage: Stage, model: str, text: str, got: list[str] | None = None) -> str:
    """The streamed text; what comes before an error is in `got`."""
    pieces: list[str] = [] if got is None else got
    asked: Any = [{"role": "user", "content": text}]
    for event in stage.client.chat.completions.create(model=model, messages=asked, stream=True):
        pieces += [choice.delta.content or "" for choice in event.choices]
    return "".join(pieces)


@by_aimock
def test_aimocks_answers_come_whole_and_streamed(stage: Stage, type_: str) -> None:
    answer = whole(stage, f"aimock-{type_}-none", "plain")
    assert answer.choices[0].message.content == "Simulated words, some of them."
    assert answer.choices[0].finish_reason == "stop"
    assert streamed(stage, f"aimock-{type_}-none", "plain") == "Simulated words, some of them."


@pytest.mark.parametrize("type_", [type_ for type_ in AIMOCK if type_ != "gemini"])
def test_aimocks_tool_call_and_the_answer_to_its_result(stage: Stage, type_: str) -> None:
    model = f"aimock-{type_}-none"
    message = whole(stage, model, "weather", tools=[SUN]).choices[0].message
    [call] = message.tool_calls
    assert (call.function.name, call.function.arguments.replace(" ", "")) == ("get_weather", '{"city":"Rome"}')
    history = [{"role": "user", "content": "weather"}, message.model_dump(exclude_none=True)]
    history.append({"role": "tool", "tool_call_id": call.id, "content": "sun"})
    answer = stage.client.chat.completions.create(model=model, messages=history, tools=[SUN])
    assert answer.choices[0].message.content == "It is sunny."


def test_aimock_is_wrong_about_how_gemini_ends_a_call(stage: Stage) -> None:
    """It says FUNCTION_CALL, a reason that Google does not have: those recorded say STOP. To Wayline an answer that
    ends for a reason nobody knows is none.
    """
    recorded = events(EXCHANGES["gemini-080"])[-1]["candidates"][0]
    assert "functionCall" in recorded["content"]["parts"][-1]
    assert recorded["finishReason"] == "STOP"
    assert whole(stage, "aimock-gemini-none", "weather", tools=[SUN]).choices[0].message.content == OTHER


@by_llmock
def test_llmocks_answers_come_whole_and_streamed(stage: Stage, type_: str) -> None:
    model = f"llmock-{type_}-none"
    stage.llmock({"type": "reply", "text": "Simulated words, some of them.", "times": 2})
    answer = whole(stage, model, "plain")
    assert answer.choices[0].message.content == "Simulated words, some of them."
    assert answer.usage.prompt_tokens > 0
    assert streamed(stage, model, "plain") == "Simulated words, some of them."


@by_llmock
def test_llmocks_tool_call(stage: Stage, type_: str) -> None:
    stage.llmock({"type": "reply", "tool_calls": [{"name": "get_weather", "arguments": {"city": "Rome"}}]})
    [call] = whole(stage, f"llmock-{type_}-none", "Weather?", tools=[SUN]).choices[0].message.tool_calls
    assert (call.function.name, call.function.arguments.replace(" ", "")) == ("get_weather", '{"city":"Rome"}')


def fail(stage: Stage, simulator: str, fault: str) -> None:
    """The next request is answered by this fault. (aimock goes by the words of the question.)"""
    status = {"overloaded": 529, "limited": 429}[fault]
    if simulator == "llmock":
        stage.llmock({"type": "fail", "status": status, "retry_after": 7, "times": 1})


@each
@pytest.mark.parametrize("fault", ["overloaded", "limited"])
def test_where_one_fails_the_other_answers(stage: Stage, simulator: str, type_: str, fault: str) -> None:
    fail(stage, simulator, fault)
    answer = whole(stage, f"{simulator}-{type_}-{fault}", fault)
    assert answer.choices[0].message.content == OTHER


@each
def test_alone_its_failure_is_told_as_what_it_is(stage: Stage, simulator: str, type_: str) -> None:
    fail(stage, simulator, "overloaded")
    with pytest.raises(openai.InternalServerError) as overloaded:
        whole(stage, f"{simulator}-{type_}-alone", "overloaded")
    assert overloaded.value.status_code == 503
    fail(stage, simulator, "limited")
    with pytest.raises(openai.RateLimitError) as limited:
        whole(stage, f"{simulator}-{type_}-alone-limited", "limited")
    assert int(limited.value.response.headers["retry-after"]) >= 1


@by_aimock
def test_a_stream_of_aimock_that_ends_too_soon_is_no_whole_answer(stage: Stage, type_: str) -> None:
    got: list[str] = []
    with pytest.raises(openai.APIError):
        streamed(stage, f"aimock-{type_}-truncated", "truncated", got)
    assert "".join(got).startswith("These word")


@by_aimock
def test_a_stream_of_aimock_that_never_begins_is_begun_elsewhere(stage: Stage, type_: str) -> None:
    assert streamed(stage, f"aimock-{type_}-stalled", "stalled") == OTHER


@by_llmock
@pytest.mark.parametrize("kind", ["disconnect", "truncate", "malformed"])
def test_a_broken_stream_of_llmock_is_told_where_words_came_and_mended_where_none_did(
    stage: Stage, type_: str, kind: str
) -> None:
    long = {"type": "reply", "text": "These words will never come to their end, whoever waits. " * 5}
    stage.llmock(long, {"type": "stream_fault", "kind": kind, "after_chunks": 0})
    assert streamed(stage, f"llmock-{type_}-none", "Hi") == OTHER
    got: list[str] = []
    stage.llmock(long, {"type": "stream_fault", "kind": kind, "after_chunks": 6})
    try:
        said = streamed(stage, f"llmock-{type_}-truncated", "Hi", got)
    except openai.APIError:
        assert str(long["text"]).startswith("".join(got).strip())
    else:  # words that come in one piece with what breaks the stream were never sent
        assert said == OTHER


@by_llmock
def test_a_stalled_stream_of_llmock_is_not_waited_for(stage: Stage, type_: str) -> None:
    stage.llmock({"type": "stream_fault", "kind": "stall", "after_chunks": 0, "stall_seconds": 20})
    assert streamed(stage, f"llmock-{type_}-stalled", "Hi") == OTHER


@pytest.mark.parametrize("type_", ["openai", "azure"])
def test_aimocks_vectors(stage: Stage, type_: str) -> None:
    found = stage.client.embeddings.create(model=f"aimock-{type_}-none/m", input=["words", "more words"])
    assert [vector.embedding for vector in found.data] == [[0.25, -0.5], [0.25, -0.5]]


def test_aimock_is_wrong_about_ollamas_vectors(stage: Stage) -> None:
    """It answers /api/embed in the shape of the older /api/embeddings, which took one text: good for one text only."""
    [recorded] = events(EXCHANGES["ollama-136"])
    assert "embeddings" in recorded
    assert "embedding" not in recorded
    [found] = stage.client.embeddings.create(model="aimock-ollama-none/m", input="words").data
    assert found.embedding == [0.25, -0.5]
