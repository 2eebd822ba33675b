"""Tool calls and structured answers through the openai SDK, from an upstream that gives them as OpenAI does."""

from __future__ import annotations

from typing import Any

import pytest
from openai import OpenAI, pydantic_function_tool
from pydantic import BaseModel

from tests.sdk.stage import Stage
from tests.upstream_answers import DONE, MODEL, chat_ok, delta, dumps, error, plain, raw_stream, sse, stream_ok
from tests.upstream_steps import Behaviour

ASK: Any = [{"role": "user", "content": "What is the weather in Paris and in Rome?"}]
IDS = ["call_1", "call_2"]


class Weather(BaseModel):
    """The weather at a place."""

    city: str


def call(n: int, arguments: str) -> dict[str, Any]:
    """A tool call as it stands in a whole answer."""
    return {"id": IDS[n], "type": "function", "function": {"name": "Weather", "arguments": arguments}}


def whole() -> Behaviour:
    """Two calls at once; no content at all."""
    calls = [call(0, '{"city":"Paris"}'), call(1, '{"city":"Rome"}')]
    message = {"role": "assistant", "content": None, "tool_calls": calls}
    body: dict[str, Any] = {"id": "c", "object": "chat.completion", "created": 1, "model": MODEL}
    body["choices"] = [{"index": 0, "message": message, "finish_reason": "tool_calls"}]
    return plain(dumps(body))


def streamed() -> Behaviour:
    """The same in pieces."""
    pieces: list[dict[str, Any]] = [{"role": "assistant", "content": None}]
    for n, city in enumerate(["Paris", "Rome"]):
        pieces.append({"tool_calls": [{"index": n, **call(n, "")}]})
        pieces += [
            {"tool_calls": [{"index": n, "function": {"arguments": part}}]} for part in ('{"ci', f'ty":"{city}"}}')
        ]
    return raw_stream(*(sse(delta(piece)) for piece in pieces), sse(delta({}, "tool_calls")), DONE)


def test_tool_calls_of_a_whole_answer_are_parsed(stage: Stage, client: OpenAI) -> None:
    model = stage.play(whole())
    answer = client.chat.completions.parse(
        model=model,
        messages=ASK,
        tools=[pydantic_function_tool(Weather)],
        tool_choice="required",
        parallel_tool_calls=True,
    )
    assert answer.choices[0].finish_reason == "tool_calls"
    calls = answer.choices[0].message.tool_calls or []
    assert [(each.id, each.function.parsed_arguments) for each in calls] == [
        ("call_1", Weather(city="Paris")),
        ("call_2", Weather(city="Rome")),
    ]
    sent = stage.asked(model)[0].json
    assert sent["tools"][0]["function"]["name"] == "Weather"
    assert (sent["tool_choice"], sent["parallel_tool_calls"]) == ("required", True)


def test_tool_calls_of_a_stream_are_put_together(stage: Stage, client: OpenAI) -> None:
    model = stage.play(streamed())
    with client.chat.completions.stream(model=model, messages=ASK, tools=[pydantic_function_tool(Weather)]) as stream:
        done = [event for event in stream if event.type == "tool_calls.function.arguments.done"]
        answer = stream.get_final_completion()
    assert [event.parsed_arguments for event in done] == [Weather(city="Paris"), Weather(city="Rome")]
    assert [each.id for each in answer.choices[0].message.tool_calls or []] == IDS


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
def test_a_tool_call_is_an_answer_and_ends_the_search_for_one(stage: Stage, client: OpenAI, stream: bool) -> None:
    route = stage.pair(error(500), streamed() if stream else whole())
    if stream:
        with client.chat.completions.create(model=route, messages=ASK, stream=True) as chunks:
            named = [c.choices[0].delta.tool_calls for c in chunks]
        assert any(named)
    else:
        assert client.chat.completions.create(model=route, messages=ASK).choices[0].message.tool_calls
    assert len(stage.asked(route)) == 2


def test_the_results_of_tools_go_back_as_they_are(stage: Stage, client: OpenAI) -> None:
    model = stage.play(chat_ok("Sunny in both."))
    history = [
        *ASK,
        {"role": "assistant", "content": None, "tool_calls": [call(0, '{"city":"Paris"}')]},
        {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
    ]
    client.chat.completions.create(model=model, messages=history)
    assert stage.asked(model)[0].json["messages"] == history


def test_a_structured_answer_is_parsed_whole_and_from_a_stream(stage: Stage, client: OpenAI) -> None:
    model = stage.play(chat_ok('{"city":"Paris"}'), stream_ok(['{"city"', ':"Paris"}']))
    answer = client.chat.completions.parse(model=model, messages=ASK, response_format=Weather)
    assert answer.choices[0].message.parsed == Weather(city="Paris")
    with client.chat.completions.stream(model=model, messages=ASK, response_format=Weather) as stream:
        final = stream.get_final_completion()
    assert final.choices[0].message.parsed == Weather(city="Paris")
    assert {each.json["response_format"]["type"] for each in stage.asked(model)} == {"json_schema"}
