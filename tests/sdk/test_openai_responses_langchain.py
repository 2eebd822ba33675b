"""LangChain's ChatOpenAI by the Responses API."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, ToolMessage
from langchain_openai import ChatOpenAI
from openai import APIError, DefaultHttpxClient
from pydantic import BaseModel, SecretStr

from tests.sdk.stage import KEY, Stage
from tests.sdk.test_openai_responses import calls, calls_streamed
from tests.upstream_answers import chat_ok, cut_after, delta, dumps, last, plain, raw_stream, role, sse, stream_ok, word


@pytest.fixture
def chat(stage: Stage) -> Iterator[Any]:
    """Makes a ChatOpenAI for a model of the stage."""

    with DefaultHttpxClient() as http:  # LangChain's own one is never closed

        def made(model: str, **more: Any) -> ChatOpenAI:
            given = {"max_retries": 0, "use_responses_api": True, "http_client": http, **more}
            return ChatOpenAI(base_url=stage.base_url, api_key=SecretStr(KEY), model=model, **given)

        yield made


class weather(BaseModel):  # the tool's own name
    """The weather at a place."""

    city: str


def added(chunks: Iterator[AIMessageChunk]) -> AIMessageChunk:
    first, *others = chunks
    return sum(others, start=first)


def test_invoke_gives_text_and_usage(stage: Stage, chat: Any) -> None:
    model = stage.play(chat_ok("Hello!"))
    message = chat(model).invoke("Say hello.")
    assert message.text == "Hello!"
    assert (message.usage_metadata["input_tokens"], message.usage_metadata["output_tokens"]) == (7, 2)
    assert message.response_metadata["status"] == "completed"


def test_stream_adds_up_to_one_message(stage: Stage, chat: Any) -> None:
    message = added(chat(stage.play(stream_ok(["Hel", "lo"]))).stream("Hello?"))
    assert message.text == "Hello"
    assert message.usage_metadata is not None
    assert message.usage_metadata["output_tokens"] == 2


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
def test_tools_are_called_and_answered(stage: Stage, chat: Any, streamed: bool) -> None:
    whole = plain(dumps(calls("Rome", "Oslo")))
    model = stage.play(calls_streamed("Rome", "Oslo") if streamed else whole, chat_ok("Mild."))
    tooled = chat(model).bind_tools([weather])
    asked = HumanMessage("How is the weather in Rome and Oslo?")
    message: AIMessage = added(tooled.stream([asked])) if streamed else tooled.invoke([asked])
    assert [call["args"] for call in message.tool_calls] == [{"city": "Rome"}, {"city": "Oslo"}]
    results = [ToolMessage(f"{call['args']['city']}: 12°", tool_call_id=call["id"]) for call in message.tool_calls]
    assert tooled.invoke([asked, message, *results]).text == "Mild."
    roles = [one["role"] for one in stage.asked(model)[-1].json["messages"]]
    assert roles == ["user", "assistant", "tool", "tool"]


def test_structured_output(stage: Stage, chat: Any) -> None:
    model = stage.play(chat_ok('{"city":"Rome"}'))
    assert chat(model).with_structured_output(weather).invoke("Where?") == weather(city="Rome")
    assert stage.asked(model)[0].json["response_format"]["type"] == "json_schema"


def test_reasoning_comes_as_its_own_block_and_goes_back_with_the_next_turn(stage: Stage, chat: Any) -> None:
    signed = {"type": "reasoning.text", "signature": "sig", "format": "anthropic-claude-v1", "index": 0}
    thought = [sse(delta({"reasoning_content": "Let me see."})), sse(delta({"reasoning_details": [signed]}))]
    model = stage.play(raw_stream(role(), *thought, word("Yes."), last()), chat_ok("Sure."))
    talk = chat(model, output_version="responses/v1")
    message = added(talk.stream("Really?"))
    assert message.text == "Yes."
    talk.invoke([HumanMessage("Really?"), message, HumanMessage("Sure?")])
    turn = stage.asked(model)[-1].json["messages"][1]
    assert (turn["content"], turn["reasoning_content"]) == ("Yes.", "Let me see.")
    assert turn["reasoning_details"] == [{**signed, "text": "Let me see."}]


def test_a_stream_that_breaks_off_raises(stage: Stage, chat: Any) -> None:
    said = ""
    with pytest.raises((APIError, ValueError), match="upstream"):
        for chunk in chat(stage.play(cut_after(2))).stream("Hello?"):
            said += chunk.text
    assert said == "Hello"
