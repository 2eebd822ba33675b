"""The openai SDK's Responses API, in front of an upstream that speaks chat completions only."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import openai
import pytest
from openai import APIError, AsyncOpenAI, OpenAI
from openai.types.responses import Response
from pydantic import BaseModel

from tests.sdk.stage import KEY, Stage
from tests.upstream_answers import (
    chat_ok,
    completion,
    cut_after,
    delta,
    dumps,
    error,
    last,
    plain,
    raw_stream,
    role,
    sse,
    stream_ok,
    usage_event,
    word,
)
from tests.upstream_steps import Behaviour, Tokens

WORDS = ["The ", "quick ", "fox"]
TOOL: Any = {
    "type": "function",
    "name": "weather",
    "description": "The weather at a place.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}


def _call(city: str) -> dict[str, Any]:
    function = {"name": "weather", "arguments": f'{{"city":"{city}"}}'}
    return {"id": f"call_{city}", "type": "function", "function": function}


def calls(*cities: str, text: str | None = None) -> dict[str, Any]:
    """A completion that calls the tool once for each city."""
    answer = completion("", Tokens(7, 5), finish="tool_calls")
    answer["choices"][0]["message"] = {"role": "assistant", "content": text, "tool_calls": [_call(c) for c in cities]}
    return answer


def calls_streamed(*cities: str) -> Behaviour:
    """The same as a stream, in pieces."""
    pieces: list[bytes] = [role()]
    for index, city in enumerate(cities):
        begun = {"index": index, "id": f"call_{city}", "type": "function"}
        told = [{**begun, "function": {"name": "weather", "arguments": ""}}]
        told += [{"index": index, "function": {"arguments": part}} for part in ('{"city":', f'"{city}"}}')]
        pieces += [sse(delta({"tool_calls": [call]})) for call in told]
    return raw_stream(*pieces, last("tool_calls"), usage_event(Tokens(7, 5)))


def test_a_text_is_answered(stage: Stage, client: OpenAI) -> None:
    model = stage.play(chat_ok("Hello!"))
    response = client.responses.create(model=model, input="Say hello.", instructions="Be brief.", max_output_tokens=50)
    assert response.output_text == "Hello!"
    assert (response.status, response.model, response.error) == ("completed", "m-served", None)
    assert response.usage is not None
    assert (response.usage.input_tokens, response.usage.output_tokens, response.usage.total_tokens) == (7, 2, 9)
    assert response.instructions == "Be brief."
    [request] = stage.asked(model)
    assert request.path == "/v1/chat/completions"
    assert request.json["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Say hello."},
    ]
    assert request.json["max_completion_tokens"] == 50


def test_the_headers_tell_the_same_as_for_chat(stage: Stage, client: OpenAI) -> None:
    model = stage.play(chat_ok("Hello!"))
    raw = client.responses.with_raw_response.create(model=model, input="Say hello.")
    assert raw.headers["x-wayline-target"] == model
    assert raw.headers["content-type"] == "application/json"
    assert Response.model_validate_json(raw.content).id.startswith("resp_")


def test_a_stream_comes_event_by_event(stage: Stage, client: OpenAI) -> None:
    model = stage.play(stream_ok(WORDS))
    with client.responses.create(model=model, input="Hi", stream=True) as stream:
        found: list[Any] = list(stream)
    assert [event.delta for event in found if event.type == "response.output_text.delta"] == WORDS
    assert [event.sequence_number for event in found] == list(range(len(found)))
    end = found[-1]
    assert end.type == "response.completed"
    assert end.response.output_text == "The quick fox"
    assert end.response.usage.output_tokens == 3


def test_the_streaming_helper_builds_the_same_response(stage: Stage, client: OpenAI) -> None:
    model = stage.play(stream_ok(WORDS), chat_ok("The quick fox", usage=(7, 3)))
    with client.responses.stream(model=model, input="Hi") as stream:
        snapshots = [event.snapshot for event in stream if event.type == "response.output_text.delta"]
        streamed = stream.get_final_response()
    assert snapshots[-1] == "The quick fox"
    whole = client.responses.create(model=model, input="Hi")
    assert streamed.output_text == whole.output_text
    assert streamed.usage == whole.usage


class Fox(BaseModel):
    """A fox."""

    colour: str
    legs: int


def test_structured_output_is_parsed_whole_and_streamed(stage: Stage, client: OpenAI) -> None:
    text = '{"colour":"red","legs":4}'
    model = stage.play(chat_ok(text), stream_ok([text[:9], text[9:]]))
    parsed = client.responses.parse(model=model, input="A fox.", text_format=Fox)
    assert parsed.output_parsed == Fox(colour="red", legs=4)
    form = stage.asked(model)[0].json["response_format"]
    assert (form["type"], form["json_schema"]["name"], form["json_schema"]["strict"]) == ("json_schema", "Fox", True)
    with client.responses.stream(model=model, input="A fox.", text_format=Fox) as stream:
        assert stream.get_final_response().output_parsed == Fox(colour="red", legs=4)


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
def test_a_loop_of_three_turns_with_tools(stage: Stage, client: OpenAI, streamed: bool) -> None:
    plays: list[Any] = [plain(dumps(calls("Rome", "Oslo", text=None))), plain(dumps(calls("Bonn"))), chat_ok("Mild.")]
    if streamed:
        plays = [calls_streamed("Rome", "Oslo"), calls_streamed("Bonn"), stream_ok(["Mild."])]
    model = stage.play(*plays)
    items: list[Any] = [{"role": "user", "content": "How is the weather in Rome, Oslo and Bonn?"}]
    text = ""
    for _ in range(3):
        if streamed:
            with client.responses.stream(model=model, input=items, tools=[TOOL]) as stream:
                response: Any = stream.get_final_response()
        else:
            response = client.responses.create(model=model, input=items, tools=[TOOL])
        text = response.output_text
        items += response.output
        for item in response.output:
            if item.type == "function_call":
                city = json.loads(item.arguments)["city"]
                items.append({"type": "function_call_output", "call_id": item.call_id, "output": f"{city}: 12°"})
    assert text == "Mild."
    asked = [[m["role"] for m in request.json["messages"]] for request in stage.asked(model)]
    assert asked[0] == ["user"]
    assert asked[1] == ["user", "assistant", "tool", "tool"]
    assert asked[2] == ["user", "assistant", "tool", "tool", "assistant", "tool"]
    final = stage.asked(model)[2].json
    assert [m["content"] for m in final["messages"] if m["role"] == "tool"] == ["Rome: 12°", "Oslo: 12°", "Bonn: 12°"]
    assert [call["id"] for call in final["messages"][1]["tool_calls"]] == ["call_Rome", "call_Oslo"]
    assert final["tools"][0]["function"]["name"] == "weather"


def test_reasoning_is_shown_as_a_summary(stage: Stage, client: OpenAI) -> None:
    thought = sse(delta({"reasoning_content": "Let me see."}))
    model = stage.play(raw_stream(role(), thought, word("Yes."), last()))
    with client.responses.stream(model=model, input="?", reasoning={"effort": "low", "summary": "auto"}) as stream:
        found: list[Any] = list(stream)
        response = stream.get_final_response()
    assert [e.delta for e in found if e.type == "response.reasoning_summary_text.delta"] == ["Let me see."]
    assert [item.type for item in response.output] == ["reasoning", "message"]
    assert stage.asked(model)[0].json["reasoning_effort"] == "low"


def test_an_answer_at_its_limit_is_incomplete(stage: Stage, client: OpenAI) -> None:
    model = stage.play(chat_ok("Hel", finish="length"))
    response = client.responses.create(model=model, input="Hi", max_output_tokens=16)
    assert response.status == "incomplete"
    assert response.incomplete_details is not None
    assert response.incomplete_details.reason == "max_output_tokens"


def test_many_at_once_each_its_own(stage: Stage) -> None:
    models = [stage.play(stream_ok([f"answer {i}"])) for i in range(10)]

    async def one(sdk: AsyncOpenAI, model: str) -> str:
        async with sdk.responses.stream(model=model, input="Hi") as stream:
            return (await stream.get_final_response()).output_text

    async def ask() -> list[str]:
        async with AsyncOpenAI(base_url=stage.base_url, api_key=KEY, max_retries=0) as sdk:
            return await asyncio.gather(*[one(sdk, model) for model in models])

    assert asyncio.run(ask()) == [f"answer {i}" for i in range(10)]


def test_a_failure_before_the_first_word_is_not_seen(stage: Stage, client: OpenAI) -> None:
    route = stage.pair(error(500), stream_ok(WORDS))
    with client.responses.stream(model=route, input="Hi") as stream:
        assert stream.get_final_response().output_text == "The quick fox"


def test_a_stream_that_breaks_off_raises_after_what_came(stage: Stage, client: OpenAI) -> None:
    model = stage.play(cut_after(2))
    said = ""
    with (
        client.responses.create(model=model, input="Hi", stream=True) as stream,
        pytest.raises(APIError, match="upstream") as raised,
    ):
        for event in stream:
            assert event.type not in ("response.completed", "response.output_item.done")
            if event.type == "response.output_text.delta":
                said += event.delta
    assert said == "Hello"
    assert raised.value.type == "upstream_error"


def test_a_stream_that_breaks_off_goes_on_unseen_where_another_target_says_the_same(
    stage: Stage, client: OpenAI
) -> None:
    route = stage.pair(cut_after(2, words=WORDS), stream_ok(WORDS))
    with client.responses.stream(model=route, input="Hi", temperature=0) as stream:
        response = stream.get_final_response()
    assert response.output_text == "The quick fox"
    assert response.status == "completed"


@pytest.mark.parametrize("streamed", [True, False], ids=["stream", "whole"])
def test_a_refusal_of_the_upstream_comes_as_the_sdks_own_exception(
    stage: Stage, client: OpenAI, streamed: bool
) -> None:
    model = stage.play(error(400, "temperature is too high", type_="invalid_request_error", param="temperature"))
    with pytest.raises(openai.BadRequestError, match="temperature") as raised:
        client.responses.create(model=model, input="Hi", temperature=9, stream=streamed)
    assert raised.value.param == "temperature"


def test_what_needs_a_memory_is_refused_clearly(stage: Stage, client: OpenAI) -> None:
    model = stage.play(chat_ok())
    with pytest.raises(openai.BadRequestError, match="not stored") as raised:
        client.responses.create(model=model, input="Hi", previous_response_id="resp_1")
    assert raised.value.param == "previous_response_id"
    assert raised.value.code == "unsupported_parameter"
    assert stage.asked(model) == []


def test_an_unknown_model_and_a_wrong_key_are_told_as_openai_does(stage: Stage, client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as unknown:
        client.responses.create(model="nothing", input="Hi")
    assert unknown.value.code == "model_not_found"
    with pytest.raises(openai.AuthenticationError):
        client.with_options(api_key="sk-wrong").responses.create(model="nothing", input="Hi")


def test_openais_own_tools_are_named_as_left_out(stage: Stage, client: OpenAI) -> None:
    model = stage.play(chat_ok())
    raw = client.responses.with_raw_response.create(model=model, input="Hi", tools=[{"type": "web_search"}, TOOL])
    assert raw.headers["x-wayline-dropped"] == "tools.web_search"
    assert [tool["function"]["name"] for tool in stage.asked(model)[0].json["tools"]] == ["weather"]


def test_nothing_is_stored_and_the_answer_says_so(stage: Stage, client: OpenAI) -> None:
    raw = client.responses.with_raw_response.create(model=stage.play(chat_ok()), input="Hi", store=True)
    assert json.loads(raw.content)["store"] is False
