"""A request to Anthropic's Messages API says the same in the words of chat completions, or names what is lost."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from proxy.core.chat import ChatRequest, Native
from proxy.inbound.messages import Messages
from proxy.inbound.responses_thoughts import sealed
from proxy.inbound.way import Wrong

API = Messages()
HI = [{"role": "user", "content": "Hi"}]
PNG = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}


def read(body: dict[str, Any], **headers: str) -> ChatRequest:
    fields = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    found = API.read(body, orjson.dumps(body), fields)
    assert isinstance(found, ChatRequest), found
    return found


def asking(**more: Any) -> dict[str, Any]:
    return {"model": "best", "max_tokens": 100, "messages": HI, **more}


def said(*messages: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    """The messages that are handed on for these."""
    found: list[dict[str, Any]] = read(asking(messages=list(messages), **more)).body["messages"]
    return found


def native(request: ChatRequest) -> Native:
    assert request.native is not None
    return request.native


def user(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


def text(words: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": words, **more}


def test_a_plain_request() -> None:
    request = read(asking(temperature=0.5, top_p=0.9, top_k=5, stop_sequences=["END"], system="Be brief."))
    assert request.body == {
        "model": "best",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}],
        "max_tokens": 100,
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 5,
        "stop": ["END"],
    }
    assert (request.model, request.stream, request.wants_usage) == ("best", False, False)


def test_a_stream_always_asks_for_usage_since_an_answer_tells_it() -> None:
    request = read(asking(stream=True))
    assert request.stream and request.wants_usage
    assert request.body["stream_options"] == {"include_usage": True}


def test_what_the_client_sent_is_handed_on_to_anthropic_as_it_is() -> None:
    body = asking(system=[text("long", cache_control={"type": "ephemeral", "ttl": "1h"})], anything={"new": [1]})
    request = read(body, anthropic_beta="a-2026,b-2026")
    assert native(request).body is body
    assert native(request).api == "messages"
    assert native(request).headers == (("anthropic-beta", "a-2026,b-2026"),)
    assert native(read(asking())).headers == ()


def test_cache_marks_stay_where_they_are() -> None:
    mark = {"type": "ephemeral"}
    request = read(
        asking(
            system=[text("one"), text("two", cache_control=mark)],
            messages=[user(text("long", cache_control=mark))],
            tools=[{"name": "f", "input_schema": {"type": "object"}, "cache_control": mark}],
        )
    )
    assert request.body["messages"][0]["content"] == [text("one"), text("two", cache_control=mark)]
    assert request.body["messages"][1]["content"] == [text("long", cache_control=mark)]
    assert request.body["tools"][0]["cache_control"] == mark


def test_a_conversation_with_tools() -> None:
    messages = said(
        {"role": "user", "content": "Weather?"},
        assistant(
            text("I look."),
            {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Rom"}},
            {"type": "tool_use", "id": "toolu_2", "name": "weather", "input": {}},
        ),
        user(
            {"type": "tool_result", "tool_use_id": "toolu_1", "content": "sun"},
            {"type": "tool_result", "tool_use_id": "toolu_2", "content": [text("no "), text("city")], "is_error": True},
            text("And tomorrow?"),
        ),
    )
    call = {"type": "function", "function": {"name": "weather", "arguments": '{"city":"Rom"}'}}
    other = {"type": "function", "function": {"name": "weather", "arguments": "{}"}}
    assert messages[1:] == [
        {
            "role": "assistant",
            "content": "I look.",
            "tool_calls": [{"id": "toolu_1", **call}, {"id": "toolu_2", **other}],
        },
        {"role": "tool", "tool_call_id": "toolu_1", "content": "sun"},
        {"role": "tool", "tool_call_id": "toolu_2", "content": "Error: no city"},
        {"role": "user", "content": "And tomorrow?"},
    ]


def test_an_image_that_a_tool_returned_goes_into_the_users_message_after_it() -> None:
    shot = {
        "type": "tool_result",
        "tool_use_id": "toolu_1",
        "content": [text("done"), {"type": "image", "source": PNG}],
    }
    tool, after = said(user(shot))
    assert tool == {"role": "tool", "tool_call_id": "toolu_1", "content": "done"}
    assert after["role"] == "user" and "toolu_1" in after["content"][0]["text"]
    assert after["content"][1] == {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}


def test_images_and_documents_in_all_their_forms() -> None:
    (message,) = said(
        user(
            {"type": "image", "source": PNG},
            {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
            {
                "type": "document",
                "title": "a.pdf",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="},
            },
            {"type": "document", "source": {"type": "url", "url": "https://example.com/a.pdf"}},
            {
                "type": "document",
                "title": "Notes",
                "context": "Old.",
                "source": {"type": "text", "media_type": "text/plain", "data": "one"},
            },
            {"type": "document", "source": {"type": "content", "content": [text("two")]}},
            {"type": "search_result", "title": "T", "source": "https://example.com", "content": [text("three")]},
        )
    )
    assert message["content"] == [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERg=="}},
        {"type": "file", "file": {"filename": "document.pdf", "file_data": "https://example.com/a.pdf"}},
        text("Notes\n\nOld.\n\none"),
        text("two"),
        text("T\nhttps://example.com\nthree"),
    ]


SCHEMA = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}


def test_what_only_anthropics_server_can_do_is_lost_and_named() -> None:
    request = read(
        asking(
            tools=[{"type": "web_search_20250305", "name": "web_search"}, {"type": "bash_20250124", "name": "bash"}],
            tool_choice={"type": "auto"},
            mcp_servers=[{"type": "url", "url": "https://example.com", "name": "x"}],
            messages=[
                user(
                    {"type": "container_upload", "file_id": "file_1"},
                    {"type": "image", "source": {"type": "file", "file_id": "file_2"}},
                    {
                        "type": "document",
                        "source": {"type": "text", "media_type": "text/plain", "data": "x"},
                        "citations": {"enabled": True},
                    },
                )
            ],
        )
    )
    assert native(request).lost == (
        "content.container_upload",
        "content.file",
        "citations",
        "tools.web_search_20250305",
        "tools.bash_20250124",
        "mcp_servers",
    )
    assert not {"tools", "tool_choice", "mcp_servers"} & request.body.keys()


def test_what_only_tunes_anthropics_server_is_named_but_no_reason_to_prefer_it() -> None:
    tool = {"name": "f", "input_schema": SCHEMA, "eager_input_streaming": True}
    request = read(asking(context_management={"edits": []}, tools=[tool], cache_control={"type": "ephemeral"}))
    assert native(request).lost == ()
    assert native(request).minor == ("context_management", "tools.eager_input_streaming")


@pytest.mark.parametrize(
    ("given", "effort"),
    [
        ({}, None),
        ({"thinking": {"type": "disabled"}, "output_config": {"effort": "high"}}, None),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, "low"),
        ({"thinking": {"type": "enabled", "budget_tokens": 10_000}}, "medium"),
        ({"thinking": {"type": "enabled", "budget_tokens": 31_999}}, "high"),
        ({"thinking": {"type": "adaptive"}}, None),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "medium"}}, "medium"),
        ({"output_config": {"effort": "max"}}, "xhigh"),
    ],
)
def test_thinking_becomes_an_effort(given: dict[str, Any], effort: str | None) -> None:
    assert read(asking(**given)).body.get("reasoning_effort") == effort


@pytest.mark.parametrize("name", ["output_config", "output_format"])
def test_structured_output(name: str) -> None:
    form = {"type": "json_schema", "schema": SCHEMA}
    body = read(asking(**{name: {"format": form} if name == "output_config" else form})).body
    assert body["response_format"]["json_schema"]["schema"] == SCHEMA


def test_a_users_id_longer_than_openai_takes_goes_as_its_digest() -> None:
    assert read(asking(metadata={"user_id": "u1"})).body["user"] == "u1"
    long = read(asking(metadata={"user_id": "u" * 200})).body["user"]
    assert len(long) == 64 and long == read(asking(metadata={"user_id": "u" * 200})).body["user"]


SIGNED = {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}
REDACTED = {"type": "redacted_thinking", "data": "Ymx1cg=="}
UNSIGNED = {"type": "thinking", "thinking": "Hm.", "signature": ""}
GEMINI = {"google": {"thought_signature": "c2ln"}}
DETAIL = {"type": "reasoning.encrypted", "data": "x", "format": "openai-responses-v1", "index": 0}


def test_thinking_goes_back_as_what_whoever_thought_it_wants_to_see() -> None:
    (message,) = said(assistant(SIGNED, REDACTED, text("Yes.")))
    assert message["content"] == "Yes."
    assert message["reasoning_details"] == [
        {"type": "reasoning.text", "text": "Hm.", "signature": "c2ln", "format": "anthropic-claude-v1", "index": 0},
        {"type": "reasoning.encrypted", "data": "Ymx1cg==", "format": "anthropic-claude-v1", "index": 1},
    ]
    (message,) = said(assistant(UNSIGNED, text("Yes.")))
    assert message["reasoning_content"] == "Hm." and "reasoning_details" not in message
    (message,) = said(assistant({**UNSIGNED, "signature": sealed([DETAIL], {})}, text("Yes.")))
    assert message["reasoning_details"] == [DETAIL]


def test_what_a_provider_put_into_its_tool_calls_comes_back_to_it() -> None:
    kept = {"type": "redacted_thinking", "data": sealed([], {"call_1": {"extra_content": GEMINI}})}
    use = {"type": "tool_use", "id": "call_1", "name": "f", "input": {}}
    (message,) = said(assistant(kept, use))
    assert message["tool_calls"][0]["extra_content"] == GEMINI
    assert "reasoning_details" not in message


def test_anthropic_never_sees_thinking_that_it_did_not_sign() -> None:
    kept = {"type": "redacted_thinking", "data": sealed([DETAIL], {})}
    body = asking(
        messages=[*HI, assistant(UNSIGNED, kept, SIGNED, text("Yes.")), *HI, assistant(UNSIGNED), *HI],
        thinking={"type": "enabled", "budget_tokens": 2000},
    )
    handed = native(read(body)).body
    assert handed["messages"] == [*HI, assistant(SIGNED, text("Yes.")), *HI, *HI]
    assert handed["thinking"] == body["thinking"]


def test_a_turn_that_lost_its_thinking_is_gone_on_with_without_it() -> None:
    use = {"type": "tool_use", "id": "call_1", "name": "f", "input": {}}
    result = user({"type": "tool_result", "tool_use_id": "call_1", "content": "1"})
    thinking = {"type": "enabled", "budget_tokens": 2000}
    handed = native(read(asking(messages=[*HI, assistant(UNSIGNED, use), result], thinking=thinking))).body
    assert handed["messages"][1] == assistant(use)
    assert "thinking" not in handed
    kept = native(read(asking(messages=[*HI, assistant(SIGNED, use), result], thinking=thinking))).body
    assert kept["thinking"] == thinking


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "model"),
        ({"model": ""}, "model"),
        ({"model": "m", "messages": HI}, "max_tokens"),
        (asking(max_tokens="many"), "max_tokens"),
        (asking(max_tokens=True), "max_tokens"),
        ({"model": "m", "max_tokens": 1}, "messages"),
        (asking(messages=[]), "messages"),
        (asking(messages=["Hi"]), "messages[0]"),
        (asking(messages=[{"role": "tool", "content": "x"}]), "messages[0].role"),
        (asking(messages=[{"role": "user"}]), "messages[0].content"),
        (asking(messages=[{"role": "user", "content": ["x"]}]), "messages[0].content[0]"),
        (asking(messages=[user({"type": "text"})]), "messages[0]"),
        (asking(messages=[user({"type": "image"})]), "messages[0]"),
        (asking(messages=[user({"type": "image", "source": {"type": "base64"}})]), "messages[0]"),
        (asking(messages=[user({"type": "tool_result"})]), "messages[0]"),
        (asking(messages=[assistant({"type": "tool_use", "id": "a", "name": "f"})]), "messages[0]"),
        (asking(system=5), "system"),
        (asking(stream="yes"), "stream"),
        (asking(stop_sequences="x"), "stop_sequences"),
        (asking(thinking="a lot"), "thinking"),
        (asking(tools={}), "tools"),
        (asking(tools=[{"input_schema": {}}]), "tools[0].name"),
        (asking(tools=[{"name": "f"}]), "tools[0].input_schema"),
        (asking(tools=[{"name": "f", "input_schema": {}}], tool_choice={"type": "some"}), "tool_choice.type"),
        (asking(output_config={"format": {"type": "json_schema"}}), "output_config.format"),
    ],
)
def test_what_cannot_be_understood_is_refused_with_where_it_stands(body: dict[str, Any], param: str) -> None:
    found = API.read(body, orjson.dumps(body), {})
    assert isinstance(found, Wrong)
    assert (found.status, found.param) == (400, param)
    assert param.split("[")[0].split(".")[0] in found.message or "block in" in found.message
