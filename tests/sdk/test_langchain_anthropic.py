"""LangChain's ChatAnthropic in front of backends that speak OpenAI's dialect."""

from __future__ import annotations

from typing import Any

from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from pydantic import BaseModel, SecretStr

from tests.sdk.stage import KEY, Stage
from tests.upstream_answers import DONE, chat_ok, delta, last, raw_stream, role, sse, stream_ok, usage_event, word
from tests.upstream_steps import Tokens


def chat(stage: Stage, model: str, **more: Any) -> ChatAnthropic:
    return ChatAnthropic(
        model_name=model,
        base_url=stage.server.url,
        api_key=SecretStr(KEY),
        max_retries=0,
        timeout=None,
        stop=None,
        **more,
    )


@tool
def weather(city: str) -> str:
    """Tells the weather."""
    return f"sun in {city}"


def test_invoke_and_stream(stage: Stage) -> None:
    whole = chat(stage, stage.play(chat_ok("Hello!", usage=(7, 2)))).invoke("Hi")
    assert (whole.text, whole.response_metadata["stop_reason"]) == ("Hello!", "end_turn")
    assert whole.usage_metadata is not None and whole.usage_metadata["total_tokens"] == 9
    pieces = list(chat(stage, stage.play(stream_ok(["Hel", "lo"]))).stream("Hi"))
    joined = pieces[0]
    for piece in pieces[1:]:
        joined = joined + piece
    assert joined.text == "Hello"
    assert joined.usage_metadata is not None and joined.usage_metadata["total_tokens"] == 9


def test_a_tool_is_called_and_its_result_handed_back(stage: Stage) -> None:
    call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "weather", "arguments": ""}}
    pieces = [{"index": 0, "function": {"arguments": piece}} for piece in ('{"city"', ':"Rome"}')]
    calls = [sse(delta({"tool_calls": [one]})) for one in (call, *pieces)]
    first = raw_stream(role(), word("I look."), *calls, last("tool_calls"), usage_event(Tokens(5, 5)), DONE)
    model = stage.play(first, stream_ok(["Sunny"]))
    bound = chat(stage, model, streaming=True).bind_tools([weather])
    asked: list[Any] = [HumanMessage("Weather in Rome?")]
    answer = bound.invoke(asked)
    assert [(one["name"], one["args"]) for one in answer.tool_calls] == [("weather", {"city": "Rome"})]
    asked += [
        answer,
        ToolMessage(weather.invoke(answer.tool_calls[0]["args"]), tool_call_id=answer.tool_calls[0]["id"]),
    ]
    assert bound.invoke(asked).text == "Sunny"
    history = stage.asked(model)[-1].json["messages"]
    assert [message["role"] for message in history] == ["user", "assistant", "tool"]
    assert history[2]["content"] == "sun in Rome"


class City(BaseModel):
    """A city."""

    name: str


def test_a_structured_answer(stage: Stage) -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "City", "arguments": '{"name":"Rome"}'}}
    pieces = [sse(delta({"tool_calls": [{**call, "index": 0}]})), last("tool_calls"), DONE]
    model = chat(stage, stage.play(raw_stream(role(), *pieces)), streaming=True)
    assert model.with_structured_output(City).invoke("A city?") == City(name="Rome")
