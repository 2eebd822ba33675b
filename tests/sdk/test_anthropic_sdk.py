"""Anthropic's own SDK on `/v1/messages`, in front of backends that speak OpenAI's dialect."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from anthropic import Anthropic, AsyncAnthropic
from anthropic.types import ToolUseBlock
from pydantic import BaseModel

from tests.sdk.stage import KEY, Stage
from tests.upstream import Answer, Request
from tests.upstream_answers import (
    DONE,
    MODEL,
    chat_ok,
    cut_after,
    delta,
    dumps,
    error,
    last,
    ok,
    plain,
    raw_stream,
    role,
    sse,
    stream_ok,
    usage_event,
    word,
)
from tests.upstream_steps import Behaviour, Pause, Tokens

HI: Any = [{"role": "user", "content": "Hi"}]
PNG = "iVBORw0KGgo="
TOOL: Any = {"name": "weather", "description": "Tells it.", "input_schema": {"type": "object", "properties": {}}}


@pytest.fixture(scope="module")
def claude(stage: Stage) -> Iterator[Anthropic]:
    """The SDK in front of the stage; it does not try again by itself."""
    with Anthropic(base_url=stage.server.url, api_key=KEY, max_retries=0) as sdk:
        yield sdk


def test_a_whole_answer(stage: Stage, claude: Anthropic) -> None:
    model = stage.play(chat_ok("Hello!", usage=(7, 2)))
    raw = claude.messages.with_raw_response.create(model=model, max_tokens=50, messages=HI, system="Be brief.")
    answer = raw.parse()
    (block,) = answer.content
    assert block.type == "text" and block.text == "Hello!"
    assert (answer.role, answer.model, answer.stop_reason) == ("assistant", MODEL, "end_turn")
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (7, 2)
    assert raw.headers["x-wayline-target"] == model
    assert answer._request_id == raw.headers["request-id"] == raw.headers["x-wayline-request-id"]
    (asked,) = stage.asked(model)
    assert asked.path.endswith("/chat/completions")
    assert [message["role"] for message in asked.json["messages"]] == ["system", "user"]


def test_a_stream(stage: Stage, claude: Anthropic) -> None:
    model = stage.play(stream_ok(["Hel", "lo", "!"]))
    with claude.messages.stream(model=model, max_tokens=50, messages=HI) as stream:
        assert list(stream.text_stream) == ["Hel", "lo", "!"]
        answer = stream.get_final_message()
    assert (answer.stop_reason, answer.model) == ("end_turn", MODEL)
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (7, 3)
    assert stage.asked(model)[0].json["stream_options"] == {"include_usage": True}


def test_the_async_client(stage: Stage) -> None:
    model = stage.play(ok("Hel lo"))

    async def main() -> tuple[Any, str]:
        async with AsyncAnthropic(base_url=stage.server.url, api_key=KEY, max_retries=0) as sdk:
            whole = await sdk.messages.create(model=model, max_tokens=50, messages=HI)
            async with sdk.messages.stream(model=model, max_tokens=50, messages=HI) as stream:
                return whole, await stream.get_final_text()

    whole, text = asyncio.run(main())
    assert (whole.content[0].text, text) == ("Hel lo", "Hello")


def calls(pieces: bool) -> Behaviour:
    """Two calls at once, after a word."""
    made: list[dict[str, Any]] = [
        {"id": f"call_{n}", "type": "function", "function": {"name": "weather", "arguments": given}}
        for n, given in enumerate(['{"city": "Paris"}', "{}"])
    ]
    if not pieces:
        message = {"role": "assistant", "content": "I look.", "tool_calls": made}
        choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
        return plain(dumps({"id": "c", "object": "chat.completion", "created": 1, "model": MODEL, "choices": [choice]}))
    parts = [role(), word("I look.")]
    for n, call in enumerate(made):
        arguments = call["function"]["arguments"]
        parts.append(
            sse(delta({"tool_calls": [{**call, "index": n, "function": {"name": "weather", "arguments": ""}}]}))
        )
        cut = [{"index": n, "function": {"arguments": piece}} for piece in (arguments[:5], arguments[5:])]
        parts += [sse(delta({"tool_calls": [piece]})) for piece in cut]
    return raw_stream(*parts, last("tool_calls"), usage_event(Tokens(9, 9)), DONE)


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
def test_tool_calls(stage: Stage, claude: Anthropic, stream: bool) -> None:
    model = stage.play(calls(stream))
    asked: Any = {"model": model, "max_tokens": 50, "messages": HI, "tools": [TOOL], "tool_choice": {"type": "any"}}
    if stream:
        with claude.messages.stream(**asked) as events:
            answer: Any = events.get_final_message()
    else:
        answer = claude.messages.create(**asked)
    text, *uses = answer.content
    assert (text.text, answer.stop_reason) == ("I look.", "tool_use")
    assert [(use.id, use.name, use.input) for use in uses if isinstance(use, ToolUseBlock)] == [
        ("call_0", "weather", {"city": "Paris"}),
        ("call_1", "weather", {}),
    ]
    sent = stage.asked(model)[0].json
    assert (sent["tools"][0]["function"]["name"], sent["tool_choice"]) == ("weather", "required")


class City(BaseModel):
    """A city."""

    name: str


def test_a_parsed_answer(stage: Stage, claude: Anthropic) -> None:
    model = stage.play(chat_ok('{"name":"Rome"}'))
    answer = claude.messages.parse(model=model, max_tokens=50, messages=HI, output_format=City)
    assert answer.parsed_output == City(name="Rome")
    form = stage.asked(model)[0].json["response_format"]
    assert (form["type"], form["json_schema"]["schema"]["required"]) == ("json_schema", ["name"])


def test_images_and_documents_reach_the_backend(stage: Stage, claude: Anthropic) -> None:
    model = stage.play(ok())
    content: Any = [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
        {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": PNG}},
        {"type": "text", "text": "What is this?"},
    ]
    claude.messages.create(model=model, max_tokens=50, messages=[{"role": "user", "content": content}])
    parts = stage.asked(model)[0].json["messages"][0]["content"]
    assert [part["type"] for part in parts] == ["image_url", "file", "text"]
    assert parts[0]["image_url"]["url"] == f"data:image/png;base64,{PNG}"


def thinks_and_calls(request: Request, n: int) -> Behaviour:
    """A model of which each turn is made of what it is handed back."""
    turn = sum(message["role"] == "assistant" for message in request.json["messages"])
    if turn == 0:
        call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
        signed = {**call, "extra_content": {"google": {"thought_signature": "c2ln"}}}
        thought = sse(delta({"reasoning_content": "I must look."}))
        return raw_stream(role(), thought, sse(delta({"tool_calls": [signed]})), last("tool_calls"), DONE)
    return stream_ok(["Sunny" if turn == 1 else "You are welcome"])


def test_a_conversation_of_three_turns_hands_back_what_the_backend_wants_to_see(
    stage: Stage, claude: Anthropic
) -> None:
    model = stage.play(thinks_and_calls)
    messages: list[Any] = [{"role": "user", "content": "The weather?"}]
    follow_ups: list[Any] = [[{"type": "tool_result", "tool_use_id": "call_1", "content": "sun"}], "Thanks."]
    said: list[str] = []
    for n in range(3):
        with claude.messages.stream(model=model, max_tokens=50, messages=messages, tools=[TOOL]) as stream:
            answer = stream.get_final_message()
        said += [block.text for block in answer.content if block.type == "text"]
        messages.append({"role": "assistant", "content": answer.content})
        if n < 2:
            messages.append({"role": "user", "content": follow_ups[n]})
    assert said == ["Sunny", "You are welcome"]
    history = stage.asked(model)[-1].json["messages"]
    assert [message["role"] for message in history] == ["user", "assistant", "tool", "assistant", "user"]
    assert history[1]["reasoning_content"] == "I must look."
    assert history[1]["tool_calls"][0]["extra_content"] == {"google": {"thought_signature": "c2ln"}}
    assert history[2] == {"role": "tool", "tool_call_id": "call_1", "content": "sun"}


def test_a_key_may_come_either_way_and_a_wrong_one_is_an_authentication_error(stage: Stage) -> None:
    model = stage.play(ok())
    with Anthropic(base_url=stage.server.url, auth_token=KEY, api_key=None, max_retries=0) as sdk:
        sdk.messages.create(model=model, max_tokens=5, messages=HI)
    with (
        Anthropic(base_url=stage.server.url, api_key="wrong", max_retries=0) as sdk,
        pytest.raises(anthropic.AuthenticationError) as caught,
    ):
        sdk.messages.create(model=model, max_tokens=5, messages=HI)
    assert caught.value.type == "authentication_error"


Kind = type[anthropic.APIStatusError]


@pytest.mark.parametrize(
    ("play", "kind", "type_"),
    [
        (error(400, "too large", type_="x"), anthropic.BadRequestError, "invalid_request_error"),
        (error(401), anthropic.InternalServerError, "api_error"),
        (error(429, headers={"retry-after": "7"}), anthropic.RateLimitError, "rate_limit_error"),
        (error(500), anthropic.InternalServerError, "api_error"),
        (error(503), anthropic.OverloadedError, "overloaded_error"),
        (error(529), anthropic.OverloadedError, "overloaded_error"),
    ],
    ids=["400", "401", "429", "500", "503", "529"],
)  # fmt: skip
def test_what_a_backend_refuses_is_an_error_of_the_right_kind(
    stage: Stage, claude: Anthropic, play: Behaviour, kind: Kind, type_: str
) -> None:
    with pytest.raises(kind) as caught:
        claude.messages.create(model=stage.play(play), max_tokens=5, messages=HI)
    assert caught.value.type == type_
    assert caught.value.request_id
    if kind is anthropic.RateLimitError:
        assert caught.value.response.headers["retry-after"] == "7"


def test_an_unknown_model_and_a_body_that_says_nothing(claude: Anthropic) -> None:
    with pytest.raises(anthropic.NotFoundError):
        claude.messages.create(model="nobody", max_tokens=5, messages=HI)
    with pytest.raises(anthropic.BadRequestError, match="messages"):
        claude.messages.create(model="named", max_tokens=5, messages=[])


def test_a_failure_before_content_is_mended_by_the_next_target(stage: Stage, claude: Anthropic) -> None:
    model = stage.pair(error(500), stream_ok(["Hi"]))
    with claude.messages.stream(model=model, max_tokens=5, messages=HI) as stream:
        assert stream.get_final_text() == "Hi"


def test_a_cut_after_content_is_an_error_and_never_an_end(stage: Stage, claude: Anthropic) -> None:
    model = stage.play(cut_after(2, "clean"))
    with (
        claude.messages.stream(model=model, max_tokens=5, messages=HI) as stream,
        pytest.raises(anthropic.APIStatusError) as caught,
    ):
        for _ in stream:
            pass
    assert caught.value.type == "api_error"
    assert isinstance(caught.value.body, dict) and caught.value.body["received_chars"] == 5


def test_an_answer_that_is_cut_goes_on_at_another_target_in_the_same_block(stage: Stage, claude: Anthropic) -> None:
    model = stage.pair(cut_after(2, "reset"), stream_ok(["Hel", "lo", "!"]))
    with claude.messages.stream(model=model, max_tokens=5, messages=HI, extra_body={"temperature": 0}) as stream:
        answer = stream.get_final_message()
    (block,) = answer.content
    assert block.type == "text" and block.text == "Hello!"
    assert (answer.stop_reason, answer.usage.output_tokens) == ("end_turn", 3)


def test_the_sdk_tries_again_by_itself_where_that_can_help(stage: Stage) -> None:
    def then(answer: Behaviour) -> list[Behaviour | Answer]:
        return [answer, answer, ok()]  # the first retry is the route's own

    for answer in (error(503, headers={"retry-after-ms": "5"}), error(429, headers={"retry-after-ms": "5"})):
        with Anthropic(base_url=stage.server.url, api_key=KEY, max_retries=2) as sdk:
            assert sdk.messages.create(model=stage.play(*then(answer)), max_tokens=5, messages=HI).stop_reason


def test_a_client_that_leaves_ends_the_backends_work(stage: Stage, claude: Anthropic) -> None:
    model = stage.play(raw_stream(role(), word("Hi"), Pause(60.0), last(), DONE))
    with claude.messages.stream(model=model, max_tokens=5, messages=HI) as stream:
        for event in stream:
            if event.type == "text":
                break
    stage.left(model)


def test_it_is_counted_and_charged_like_any_other_request(stage: Stage, claude: Anthropic) -> None:
    before = stage.server.metric("wayline_requests_total", endpoint="messages", status="200", route="named")
    cost = claude.messages.with_raw_response.create(model="named", max_tokens=5, messages=HI).headers["x-wayline-cost"]
    assert float(cost) > 0
    after = stage.server.metric("wayline_requests_total", endpoint="messages", status="200", route="named")
    assert after == before + 1


def test_what_no_target_can_do_is_left_out_and_said(stage: Stage, claude: Anthropic) -> None:
    search: Any = {"type": "web_search_20250305", "name": "web_search"}
    model = stage.play(ok())
    raw = claude.messages.with_raw_response.create(model=model, max_tokens=5, messages=HI, tools=[search, TOOL])
    assert raw.headers["x-wayline-dropped"] == "tools.web_search_20250305"
    assert len(stage.asked(model)[0].json["tools"]) == 1
