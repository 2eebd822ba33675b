"""What is asked of Anthropic: every word of OpenAI's said in its own, or named as left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
import pytest

from proxy.backends.anthropic_thinking import Thinking
from proxy.backends.anthropic_tools import has_forced
from proxy.backends.registry import bind, origin
from proxy.config.values import Backend
from proxy.core.chat import ChatRequest, EmbedRequest, Native
from proxy.core.dialect import Dialect, Prepared
from proxy.core.failure import Failure, FailureKind
from proxy.core.route import Target
from proxy.core.secret import Secret

HELLO: list[Any] = [{"role": "user", "content": "Hello"}]
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
FORMAT = "anthropic-claude-v1"
MARK = {"type": "ephemeral", "ttl": "1h"}


def dialect(model: str = "claude-sonnet-4-5", **settings: Any) -> Dialect:
    options = settings.pop("options", {})
    backend = Backend("a", "anthropic", api_key=Secret("sk-ant-0123456789"), options=options)
    return bind(backend, Target(f"a/{model}", "a", model, **settings))


def prepared(body: Mapping[str, Any], model: str = "claude-sonnet-4-5", **settings: Any) -> Prepared:
    whole = {"model": "route", "messages": HELLO, **body}
    request = ChatRequest(orjson.dumps(whole), whole, "route", bool(whole.get("stream")), False)
    found = dialect(model, **settings).chat(request)
    assert isinstance(found, Prepared), found
    return found


def asked(body: Mapping[str, Any], model: str = "claude-sonnet-4-5", **settings: Any) -> Any:
    return orjson.loads(prepared(body, model, **settings).call.body)


def said(messages: list[Any], model: str = "claude-sonnet-4-5") -> Any:
    return asked({"messages": messages}, model)["messages"]


def refused(messages: list[Any]) -> Failure:
    body = {"model": "route", "messages": messages}
    found = dialect().chat(ChatRequest(b"", body, "route", False, False))
    assert isinstance(found, Failure)
    return found


def text(words: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": words, **more}


def call(call_id: str, name: str = "f", arguments: str = "{}") -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def head(found: Prepared) -> dict[str, str]:
    lines = found.call.head.decode().split("\r\n")[1:-1]
    return dict(line.split(": ", 1) for line in lines)


# Where, and with which headers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("base_url", "path"),
    [
        ("", "/v1/messages"),
        ("https://api.anthropic.com", "/v1/messages"),
        ("https://api.anthropic.com/v1", "/v1/messages"),
        ("https://api.anthropic.com/v1/", "/v1/messages"),
        ("https://elsewhere.example/api/anthropic", "/api/anthropic/v1/messages"),
    ],
)
def test_the_base_url_may_end_in_v1_or_not(base_url: str, path: str) -> None:
    backend = Backend("a", "anthropic", base_url)
    found = bind(backend, Target("a/m", "a", "claude-opus-4-6")).chat(
        ChatRequest(b"", {"messages": HELLO}, "route", False, False)
    )
    assert isinstance(found, Prepared)
    assert found.call.head.startswith(f"POST {path} HTTP/1.1\r\n".encode())
    assert origin(backend).host in {"api.anthropic.com", "elsewhere.example"}


def test_the_key_travels_in_its_own_header_with_the_version() -> None:
    headers = head(prepared({}))
    assert (headers["x-api-key"], headers["anthropic-version"]) == ("sk-ant-0123456789", "2023-06-01")
    assert "anthropic-beta" not in headers
    assert "Authorization" not in headers


def test_betas_of_the_backend_and_of_its_headers_are_asked_for_together() -> None:
    options = {"beta": ["context-1m-2025-08-07"], "version": "2099-01-01"}
    headers = head(
        prepared({}, options=options, headers={"Anthropic-Beta": "files-api-2025-04-14, context-1m-2025-08-07"})
    )
    assert headers["anthropic-beta"] == "context-1m-2025-08-07,files-api-2025-04-14"
    assert headers["anthropic-version"] == "2099-01-01"
    assert "Anthropic-Beta" not in headers


def test_a_target_without_a_model_serves_whichever_is_named() -> None:
    backend = Backend("a", "anthropic")
    body = {"model": "a/claude-opus-5-5", "messages": HELLO, "temperature": 0.5}
    found = bind(backend, Target("a", "a", "")).chat(ChatRequest(b"", body, "a/claude-opus-5-5", False, False))
    assert isinstance(found, Prepared)
    assert orjson.loads(found.call.body)["model"] == "claude-opus-5-5"
    assert found.unsupported == ("temperature",)


def test_there_are_no_embeddings() -> None:
    found = dialect().embed(EmbedRequest(b"", {"input": "x"}, "route", False))
    assert isinstance(found, Failure)
    assert found.kind is FailureKind.UNSUPPORTED


# Messages ------------------------------------------------------------------------------------------------------------


def test_system_and_developer_messages_are_hoisted_with_their_cache_marks() -> None:
    body = asked(
        {
            "messages": [
                {"role": "system", "content": [text("Be brief.", cache_control=MARK)]},
                {"role": "developer", "content": "Be kind."},
                {"role": "system", "content": "  "},
                *HELLO,
                {"role": "system", "content": "Now be long."},
            ]
        }
    )
    assert body["system"] == [text("Be brief.", cache_control=MARK), text("Be kind.")]
    assert body["messages"] == [{"role": "user", "content": [text("Hello"), text("Now be long.")]}]


def test_cache_marks_stay_on_messages_parts_results_and_tools() -> None:
    body = asked(
        {
            "cache_control": MARK,
            "tools": [{**TOOL, "cache_control": MARK}],
            "messages": [
                {"role": "user", "content": [text("a"), text("b", cache_control=MARK)]},
                {"role": "assistant", "content": "c", "cache_control": MARK, "tool_calls": [call("x")]},
                {"role": "tool", "tool_call_id": "x", "content": [text("d", cache_control=MARK)]},
            ],
        }
    )
    assert body["cache_control"] == body["tools"][0]["cache_control"] == MARK
    first, second, third = body["messages"]
    assert first["content"] == [text("a"), text("b", cache_control=MARK)]
    assert second["content"][0] == text("c", cache_control=MARK)
    assert third["content"] == [
        {"type": "tool_result", "tool_use_id": "x", "content": [text("d")], "cache_control": MARK}
    ]


def test_images_go_as_base64_or_by_address_which_anthropic_fetches_itself() -> None:
    [message] = said(
        [
            {
                "role": "user",
                "content": [
                    {"type": "image_url", "image_url": {"url": "data:image/jpg;base64,AAAA", "detail": "low"}},
                    {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}, "cache_control": MARK},
                ],
            }
        ]
    )
    assert message["content"] == [
        {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "AAAA"}},
        {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}, "cache_control": MARK},
    ]


def test_files_go_as_documents() -> None:
    def file(**more: Any) -> dict[str, Any]:
        return {"type": "file", "file": more}

    [message] = said(
        [
            {
                "role": "user",
                "content": [
                    file(filename="a.pdf", file_data="data:application/pdf;base64,JVBERi0="),
                    file(filename="b.txt", file_data="data:text/plain;base64,aGk="),
                    file(file_data="https://example.com/c.pdf"),
                    file(file_data="data:image/png;base64,AAAA"),
                    file(file_data="data:text/plain;charset=utf-8,a%20b"),
                ],
            }
        ]
    )
    pdf, plain, url, image, quoted = message["content"]
    source = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}
    assert pdf == {"type": "document", "source": source, "title": "a.pdf"}
    assert plain["source"] == {"type": "text", "media_type": "text/plain", "data": "hi"}
    assert url == {"type": "document", "source": {"type": "url", "url": "https://example.com/c.pdf"}}
    assert image["type"] == "image"
    assert quoted["source"]["data"] == "a b"


def test_a_file_by_its_id_goes_only_where_the_backend_has_the_files_beta() -> None:
    messages = [{"role": "user", "content": [{"type": "file", "file": {"file_id": "file_1"}}]}]
    assert "file_id" in refused(messages).message
    body = asked({"messages": messages}, options={"beta": ["files-api-2025-04-14"]})
    assert body["messages"][0]["content"] == [{"type": "document", "source": {"type": "file", "file_id": "file_1"}}]


@pytest.mark.parametrize(
    "part",
    [
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
        {"type": "image_url", "image_url": {"url": "data:image/tiff;base64,AAAA"}},
        {"type": "image_url", "image_url": {"url": "gs://bucket/a.png"}},
        {"type": "image_url", "image_url": {"url": "file:///etc/passwd"}},
        {"type": "file", "file": {"file_data": "data:application/zip;base64,AAAA"}},
        {"type": "file", "file": {"file_data": "data:text/csv;base64,////"}},
    ],
)
def test_what_cannot_be_said_is_refused_in_words_and_not_left_out(part: dict[str, Any]) -> None:
    failure = refused([{"role": "user", "content": [part]}])
    assert failure.kind is FailureKind.UNSUPPORTED
    assert "this target" in failure.message or "base64" in failure.message


def test_calls_and_results_become_blocks_with_results_directly_behind() -> None:
    messages = said(
        [
            *HELLO,
            {"role": "assistant", "content": None, "tool_calls": [call("call_1", "f", '{"a": 1}'), call("call_2")]},
            {"role": "user", "content": "Also:"},
            {"role": "tool", "tool_call_id": "call_2", "content": "two"},
            {"role": "tool", "tool_call_id": "call_1", "content": [text("one")]},
        ]
    )
    assert messages[1]["content"] == [
        {"type": "tool_use", "id": "call_1", "name": "f", "input": {"a": 1}},
        {"type": "tool_use", "id": "call_2", "name": "f", "input": {}},
    ]
    assert messages[2]["content"] == [
        {"type": "tool_result", "tool_use_id": "call_2", "content": [text("two")]},
        {"type": "tool_result", "tool_use_id": "call_1", "content": [text("one")]},
        text("Also:"),
    ]


def test_ids_are_made_acceptable_and_unique() -> None:
    messages = said(
        [
            *HELLO,
            {"role": "assistant", "content": None, "tool_calls": [call("functions.f:0")]},
            {"role": "tool", "tool_call_id": "functions.f:0", "content": "one"},
            {"role": "assistant", "content": None, "tool_calls": [call("functions.f:0")]},
            {"role": "tool", "tool_call_id": "functions.f:0", "content": "two"},
        ]
    )
    ids = [block["id"] for message in messages for block in message["content"] if block["type"] == "tool_use"]
    results = [b["tool_use_id"] for message in messages for b in message["content"] if b["type"] == "tool_result"]
    assert ids == results == ["functions_f_0", "functions_f_0_2"]


def test_calls_without_results_and_results_without_calls_are_mended() -> None:
    messages = said(
        [
            *HELLO,
            {"role": "assistant", "content": None, "tool_calls": [call("a"), call("b")]},
            {"role": "tool", "tool_call_id": "a", "content": "one"},
            {"role": "tool", "tool_call_id": "lost", "content": "whose?"},
            {"role": "assistant", "content": None, "tool_calls": [call("c")]},
        ]
    )
    missing = {"type": "tool_result", "content": [text("(No result was given.)")], "is_error": True}
    assert messages[2]["content"] == [
        {"type": "tool_result", "tool_use_id": "a", "content": [text("one")]},
        {**missing, "tool_use_id": "b"},
        text("whose?"),
    ]
    assert messages[4] == {"role": "user", "content": [{**missing, "tool_use_id": "c"}]}


def test_turns_alternate_begin_with_the_user_and_are_never_empty() -> None:
    messages = said(
        [
            {"role": "assistant", "content": "Welcome!"},
            {"role": "user", "content": " "},
            {"role": "assistant", "content": ""},
            {"role": "user", "content": "a"},
            {"role": "user", "content": "b"},
        ]
    )
    assert [message["role"] for message in messages] == ["user", "assistant", "user"]
    assert messages[2]["content"] == [text("a"), text("b")]
    assert said([{"role": "user", "content": " \n"}]) == [{"role": "user", "content": [text("(An empty message.)")]}]
    for nothing in ([], [{"role": "system", "content": "Only this."}]):
        [only] = said(nothing)
        assert only["role"] == "user"


def test_the_older_function_call_is_understood_and_answered_by_one_call() -> None:
    body = asked(
        {
            "functions": [{"name": "f", "description": "It does.", "parameters": {"type": "object", "properties": {}}}],
            "function_call": {"name": "f"},
            "messages": [
                *HELLO,
                {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
                {"role": "function", "name": "f", "content": "done"},
            ],
        }
    )
    assert body["messages"][1]["content"][0]["id"] == body["messages"][2]["content"][0]["tool_use_id"] == "f"
    assert body["tools"][0]["description"] == "It does."
    assert body["tool_choice"] == {"type": "tool", "name": "f", "disable_parallel_tool_use": True}


# Thoughts of earlier turns -------------------------------------------------------------------------------------------


def thought(**more: Any) -> dict[str, Any]:
    return {"type": "reasoning.text", "format": FORMAT, "index": 0, **more}


def test_signed_and_redacted_thoughts_come_back_as_they_were() -> None:
    details = [
        thought(text="Hm.", signature="s1"),
        {"type": "reasoning.encrypted", "data": "d1", "format": FORMAT, "index": 1},
        thought(text="", signature="s2"),
    ]
    history = [*HELLO, {"role": "assistant", "content": "Hi", "reasoning_details": details}, *HELLO]
    assert said(history)[1]["content"] == [
        {"type": "thinking", "thinking": "Hm.", "signature": "s1"},
        {"type": "redacted_thinking", "data": "d1"},
        {"type": "thinking", "thinking": "", "signature": "s2"},
        text("Hi"),
    ]


@pytest.mark.parametrize(
    "message",
    [
        {"reasoning_content": "Unsigned."},
        {"reasoning_details": [{**thought(text="Hm.", signature="s"), "format": "google-gemini-v1"}]},
        {"reasoning_details": [{"type": "reasoning.encrypted", "data": "d", "format": "openai-responses-v1"}]},
        {"reasoning_details": [thought(text="Unsigned.")]},
    ],
)
def test_thoughts_of_others_and_unsigned_ones_are_taken_out(message: dict[str, Any]) -> None:
    history = [*HELLO, {"role": "assistant", "content": "Hi", **message}, *HELLO]
    assert said(history)[1]["content"] == [text("Hi")]


@pytest.mark.parametrize(("model", "drops"), [("claude-opus-5-5", True), ("claude-sonnet-4-6", False)])
def test_thoughts_bound_to_a_conversation_are_rather_dropped_than_refused(model: str, drops: bool) -> None:
    """Models of the autumn of 2026 refuse a thought where anything before it changed, unless asked not to."""
    details = [thought(text="Hm.", signature="s1")]
    history = [*HELLO, {"role": "assistant", "content": "Hi", "reasoning_details": details}, *HELLO]
    found = prepared({"messages": history}, model)
    body = orjson.loads(found.call.body)
    if drops:
        assert body["thinking"] == {"type": "adaptive", "block_binding": {"prefix_mismatch_behavior": "drop_block"}}
        assert head(found)["anthropic-beta"] == "thinking-binding-controls-2026-08-01"
    else:
        assert "thinking" not in body
        assert "anthropic-beta" not in head(found)


# How much to think ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "body", "thinking", "effort"),
    [
        ("claude-sonnet-4-5", {"reasoning_effort": "low"}, {"type": "enabled", "budget_tokens": 2048}, None),
        ("claude-sonnet-4-5", {"reasoning_effort": "none"}, None, None),
        ("claude-sonnet-4-5", {"reasoning": {"max_tokens": 3000}}, {"type": "enabled", "budget_tokens": 3000}, None),
        (
            "claude-sonnet-4-5",
            {"reasoning_effort": "high", "max_tokens": 4000},
            {"type": "enabled", "budget_tokens": 3200},
            None,
        ),
        (
            "claude-sonnet-4-5",
            {"thinking": {"type": "enabled", "budget_tokens": 5000}, "max_tokens": 4000},
            {"type": "enabled", "budget_tokens": 3999},
            None,
        ),
        ("claude-sonnet-4-6", {"reasoning_effort": "medium"}, {"type": "adaptive"}, "medium"),
        ("claude-sonnet-4-6", {"reasoning_effort": "xhigh"}, {"type": "adaptive"}, "max"),
        ("claude-sonnet-4-6", {"reasoning": {"max_tokens": 3000}}, {"type": "enabled", "budget_tokens": 3000}, None),
        ("claude-opus-4-7", {"reasoning_effort": "xhigh"}, {"type": "adaptive", "display": "summarized"}, "xhigh"),
        (
            "claude-opus-4-7",
            {"reasoning": {"effort": "minimal", "exclude": True}},
            {"type": "adaptive", "display": "omitted"},
            "low",
        ),
        (
            "claude-opus-4-7",
            {"thinking": {"type": "enabled", "budget_tokens": 5000}},
            {"type": "adaptive", "display": "summarized"},
            "medium",
        ),
        ("claude-opus-4-7", {"reasoning": {"enabled": False}}, None, None),
        ("claude-opus-5", {"reasoning_effort": "none"}, {"type": "disabled"}, None),
        ("claude-sonnet-5-5", {"reasoning_effort": "none"}, {"type": "between_tools"}, None),
        ("claude-haiku-5-5", {"thinking": {"type": "adaptive"}}, {"type": "adaptive"}, None),
        ("claude-opus-5-5", {}, None, None),
        (
            "claude-sonnet-4-5",
            {"reasoning": {"max_tokens": 2000, "exclude": True}},
            {"type": "enabled", "budget_tokens": 2000, "display": "omitted"},
            None,
        ),
        ("anthropic/claude-opus-4.6", {"reasoning": {"enabled": True}}, {"type": "adaptive"}, None),
        ("glm-5", {"reasoning_effort": "medium"}, {"type": "enabled", "budget_tokens": 6553}, None),
    ],
)
def test_reasoning_is_asked_for_as_the_model_takes_it(
    model: str, body: dict[str, Any], thinking: Any, effort: str | None
) -> None:
    found = prepared(body, model)
    sent = orjson.loads(found.call.body)
    assert sent.get("thinking") == thinking
    assert sent.get("output_config", {}).get("effort") == effort
    assert not found.dropped
    if thinking and thinking["type"] == "enabled":
        assert sent["max_tokens"] > thinking["budget_tokens"]


@pytest.mark.parametrize(
    ("model", "body"),
    [
        ("claude-3-5-sonnet-20241022", {"reasoning_effort": "low"}),
        ("claude-sonnet-4-5", {"reasoning_effort": "low", "max_tokens": 1000}),
        ("claude-sonnet-4-5", {"reasoning_effort": "low", "tools": [TOOL], "tool_choice": "required"}),
        (
            "claude-sonnet-4-5",
            {
                "reasoning_effort": "low",
                "messages": [
                    *HELLO,
                    {"role": "assistant", "content": None, "tool_calls": [call("a")]},
                    {"role": "tool", "tool_call_id": "a", "content": "x"},
                ],
            },
        ),
        ("claude-sonnet-4-5", {"reasoning_effort": "low", "messages": [*HELLO, {"role": "assistant", "content": "I"}]}),
        ("claude-opus-5-5", {"reasoning_effort": "none"}),
    ],
)
def test_where_it_cannot_think_as_wished_that_is_said(model: str, body: dict[str, Any]) -> None:
    found = prepared(body, model)
    assert "thinking" not in orjson.loads(found.call.body)
    assert found.unsupported == found.dropped == ("reasoning_effort",)


def test_a_turn_that_was_begun_with_a_thought_goes_on_thinking() -> None:
    history = [
        *HELLO,
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [call("a")],
            "reasoning_details": [thought(text="Hm.", signature="s")],
        },
        {"role": "tool", "tool_call_id": "a", "content": "x"},
    ]
    assert asked({"messages": history, "reasoning_effort": "low", "tools": [TOOL]})["thinking"]["type"] == "enabled"


def test_an_adaptive_model_that_must_call_a_tool_keeps_the_effort() -> None:
    body = asked({"reasoning_effort": "low", "tools": [TOOL], "tool_choice": "required"}, "claude-opus-4-8")
    assert body["output_config"] == {"effort": "low"}
    assert "thinking" not in body


# Tools ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "chosen"),
    [
        ({}, None),
        ({"tool_choice": "auto"}, {"type": "auto"}),
        ({"tool_choice": "required"}, {"type": "any"}),
        ({"tool_choice": "none", "parallel_tool_calls": False}, {"type": "none"}),
        ({"tool_choice": {"type": "function", "function": {"name": "f"}}}, {"type": "tool", "name": "f"}),
        ({"parallel_tool_calls": False}, {"type": "auto", "disable_parallel_tool_use": True}),
        (
            {"tool_choice": "required", "parallel_tool_calls": True},
            {"type": "any", "disable_parallel_tool_use": False},
        ),
    ],
)
def test_the_choice_among_tools(body: dict[str, Any], chosen: Any) -> None:
    assert asked({"tools": [TOOL], **body}).get("tool_choice") == chosen
    assert "tool_choice" not in asked(body)


def test_only_the_allowed_tools_are_offered() -> None:
    other = {"type": "function", "function": {"name": "g"}}
    allowed = {"mode": "required", "tools": [{"type": "function", "function": {"name": "g"}}]}
    body = asked({"tools": [TOOL, other], "tool_choice": {"type": "allowed_tools", "allowed_tools": allowed}})
    assert [tool["name"] for tool in body["tools"]] == ["g"]
    assert body["tool_choice"] == {"type": "any"}


def test_a_model_that_always_thinks_is_not_forced_to_call_a_tool() -> None:
    found = prepared({"tools": [TOOL], "tool_choice": "required"}, "claude-opus-5-5")
    assert orjson.loads(found.call.body)["tool_choice"] == {"type": "auto"}
    assert found.unsupported == ("tool_choice",)


def test_a_strict_tool_is_strict_and_its_schema_within_what_is_taken() -> None:
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer", "minimum": 1, "description": "How many"}},
        "required": ["n"],
    }
    tool = {"type": "function", "function": {"name": "f", "strict": True, "parameters": schema}}
    [sent] = asked({"tools": [tool]})["tools"]
    assert sent["strict"] is True
    assert sent["input_schema"] == {
        "type": "object",
        "properties": {"n": {"type": "integer", "description": 'How many\n\n{"minimum":1}'}},
        "required": ["n"],
        "additionalProperties": False,
    }
    found = prepared({"tools": [tool]}, "claude-sonnet-4-0")
    assert orjson.loads(found.call.body)["tools"] == [{"name": "f", "input_schema": schema}]
    assert found.unsupported == ("strict",)


def test_anthropics_own_tools_go_as_they_are_and_others_are_named() -> None:
    search = {"type": "web_search_20250305", "name": "web_search", "max_uses": 2}
    plain = {"name": "g", "input_schema": {"type": "object"}}
    found = prepared({"tools": [search, TOOL, plain, {"type": "custom", "custom": {"name": "c"}}]})
    sent = orjson.loads(found.call.body)["tools"]
    assert sent == [search, {"name": "f", "input_schema": {"type": "object", "properties": {}}}, plain]
    assert found.unsupported == ("tools",)


def test_a_history_with_calls_has_its_tools_defined() -> None:
    history = [
        *HELLO,
        {"role": "assistant", "content": None, "tool_calls": [call("a", "gone")]},
        {"role": "tool", "tool_call_id": "a", "content": "x"},
    ]
    body = asked({"messages": history})
    assert body["tools"] == [{"name": "gone", "input_schema": {"type": "object", "properties": {}}}]
    assert body["tool_choice"] == {"type": "none"}


# Parameters ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "most"),
    [
        ("claude-3-opus-20240229", 4096),
        ("claude-3-5-haiku-latest", 8192),
        ("claude-opus-4-5", 64_000),
        ("claude-opus-5-5", 128_000),
        ("kimi-k3", 8192),
    ],
)
def test_without_a_limit_an_answer_may_be_as_long_as_the_model_can(model: str, most: int) -> None:
    assert asked({}, model)["max_tokens"] == most
    assert asked({}, model, options={"max_tokens": 77})["max_tokens"] == 77
    assert asked({"max_tokens": 5}, model)["max_tokens"] == 5
    assert asked({"max_tokens": 5, "max_completion_tokens": 6}, model)["max_tokens"] == 6


@pytest.mark.parametrize(
    ("model", "body", "sent", "lost"),
    [
        ("claude-sonnet-4-0", {"temperature": 0.5, "top_p": 0.5, "top_k": 5}, {"temperature", "top_p", "top_k"}, ()),
        ("claude-sonnet-4-5", {"temperature": 0.5, "top_p": 0.5}, {"temperature"}, ("top_p",)),
        ("claude-sonnet-4-5", {"temperature": 0.5, "top_p": 1}, {"temperature"}, ()),
        ("claude-sonnet-4-5", {"temperature": 1, "reasoning_effort": "low"}, {"temperature"}, ()),
        ("claude-sonnet-4-5", {"temperature": 0, "reasoning_effort": "low"}, set(), ("temperature",)),
        ("claude-sonnet-4-5", {"top_p": 0.96, "reasoning_effort": "low"}, {"top_p"}, ()),
        ("claude-sonnet-4-5", {"top_p": 0.5, "top_k": 2, "reasoning_effort": "low"}, set(), ("top_p", "top_k")),
        ("claude-opus-4-7", {"temperature": 1, "top_p": 1}, set(), ()),
        ("claude-of-tomorrow", {"temperature": 0.2}, set(), ("temperature",)),
        ("glm-5", {"temperature": 0.2, "top_p": 0.5}, {"temperature", "top_p"}, ()),
        ("claude-opus-4-7", {"temperature": 0.2, "top_p": 0.5, "top_k": 3}, set(), ("temperature", "top_p", "top_k")),
    ],
)
def test_sampling_as_the_model_takes_it(
    model: str, body: dict[str, Any], sent: set[str], lost: tuple[str, ...]
) -> None:
    found = prepared(body, model)
    assert {"temperature", "top_p", "top_k"} & orjson.loads(found.call.body).keys() == sent
    assert found.unsupported == lost


def test_a_temperature_of_openais_range_is_clamped() -> None:
    assert asked({"temperature": 1.7})["temperature"] == 1


def test_a_schema_for_the_answer_is_anthropics_structured_output() -> None:
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": {
            "a": {"type": "string", "format": "date", "minLength": 2},
            "b": {"type": "array", "items": {"oneOf": [{"type": "null"}, {"$ref": "#/$defs/c"}]}, "minItems": 3},
        },
        "$defs": {"c": {"type": "object", "properties": {}, "additionalProperties": True}},
    }
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "strict": True, "schema": schema}}
    body = asked({"response_format": wanted, "reasoning_effort": "low"}, "claude-opus-4-6")
    assert body["output_config"]["effort"] == "low"
    assert body["output_config"]["format"] == {
        "type": "json_schema",
        "schema": {
            "type": "object",
            "properties": {
                "a": {"type": "string", "format": "date", "description": '{"minLength":2}'},
                "b": {
                    "type": "array",
                    "items": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/c"}]},
                    "description": '{"minItems":3}',
                },
            },
            "$defs": {"c": {"type": "object", "properties": {}, "additionalProperties": False}},
            "additionalProperties": False,
        },
    }
    assert prepared({"response_format": wanted}, "claude-sonnet-4-0").unsupported == ("response_format",)
    assert prepared({"response_format": {"type": "json_object"}}).unsupported == ("response_format",)
    assert not prepared({"response_format": {"type": "text"}}).dropped


@pytest.mark.parametrize(
    ("body", "member", "value"),
    [
        ({"stop": "x"}, "stop_sequences", ["x"]),
        ({"stop": ["x", "y"]}, "stop_sequences", ["x", "y"]),
        ({"user": "u-1"}, "metadata", {"user_id": "u-1"}),
        ({"user": "u-1", "safety_identifier": "s-1"}, "metadata", {"user_id": "s-1"}),
        ({"metadata": {"user_id": "m-1"}}, "metadata", {"user_id": "m-1"}),
        ({"service_tier": "default"}, "service_tier", "standard_only"),
        ({"service_tier": "auto"}, "service_tier", "auto"),
        ({"stream": True}, "stream", True),
        ({"container": "c"}, "container", "c"),
    ],
)
def test_what_is_said_in_other_words(body: dict[str, Any], member: str, value: Any) -> None:
    found = prepared(body)
    assert orjson.loads(found.call.body)[member] == value
    assert not found.dropped


@pytest.mark.parametrize(
    "body",
    [
        {"n": 2},
        {"logprobs": True},
        {"top_logprobs": 3},
        {"seed": 1},
        {"logit_bias": {"1": 1}},
        {"frequency_penalty": 0.5},
        {"presence_penalty": -1},
        {"modalities": ["text", "audio"]},
        {"audio": {"voice": "alloy", "format": "wav"}},
        {"web_search_options": {}},
        {"verbosity": "low"},
        {"service_tier": "flex"},
        {"stop": ["\n"]},
        {"something_new": 1},
    ],
)
def test_what_cannot_be_said_is_named(body: dict[str, Any]) -> None:
    found = prepared(body)
    [name] = body
    assert found.unsupported == found.dropped == (name,)
    assert name not in orjson.loads(found.call.body)


@pytest.mark.parametrize(
    "body",
    [
        {"n": 1, "logprobs": False, "frequency_penalty": 0, "presence_penalty": 0.0, "logit_bias": {}},
        {"modalities": ["text"], "seed": None, "stop": None, "tools": None, "stream_options": {"include_usage": True}},
    ],
)
def test_what_happens_anyway_need_not_be_said(body: dict[str, Any]) -> None:
    assert not prepared(body).dropped


@pytest.mark.parametrize("body", [{"prompt_cache_key": "k"}, {"metadata": {"a": "b"}}, {"user": "someone@example.com"}])
def test_what_changes_no_answer_is_no_reason_to_ask_somebody_else(body: dict[str, Any]) -> None:
    found = prepared(body)
    assert found.dropped == tuple(body)
    assert not found.unsupported
    assert "metadata" not in orjson.loads(found.call.body)


def test_the_targets_own_parameters_hold() -> None:
    settings: dict[str, Any] = {
        "defaults": {"temperature": 0.1, "top_k": 7},
        "overrides": {"max_tokens": 9},
        "drop": frozenset({"user", "seed"}),
    }
    found = prepared({"max_tokens": 5, "temperature": 0.9, "user": "u", "n": 2}, **settings)
    body = orjson.loads(found.call.body)
    assert (body["temperature"], body["top_k"], body["max_tokens"]) == (0.9, 7, 9)
    assert found.dropped == ("user", "n")
    assert found.unsupported == ("n",)


# Going on with a partial answer --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "can"),
    [
        ("claude-3-5-sonnet-20241022", True),
        ("claude-opus-4-5-20251101", True),
        ("claude-haiku-4-5", True),
        ("claude-opus-4-6", False),
        ("claude-sonnet-4-6", False),
        ("claude-mythos-preview", False),
        ("claude-opus-5", False),
        ("claude-haiku-5-5", False),
        ("claude-nova-7", False),
        ("glm-5", False),
    ],
)
def test_who_continues_a_partial_answer(model: str, can: bool) -> None:
    found = dialect(model).prefill
    assert (found is not None) == can
    assert found is None or found.strips
    assert dialect(model, prefill=True).prefill is not None
    assert dialect(model, prefill=False).prefill is None


def test_a_partial_answer_comes_last_without_white_space_at_its_end() -> None:
    history = [*HELLO, {"role": "assistant", "content": "Once upon \n"}]
    assert said(history)[-1] == {"role": "assistant", "content": [text("Once upon")]}
    assert said(history, "claude-opus-4-6")[-1] == {"role": "user", "content": [text("(Go on.)")]}


def test_an_empty_last_message_is_no_partial_answer() -> None:
    history = [*HELLO, {"role": "assistant", "content": "Done."}, {"role": "user", "content": ""}]
    assert said(history)[-1]["role"] == "user"


# As it came ----------------------------------------------------------------------------------------------------------


def native(body: dict[str, Any], headers: tuple[tuple[str, str], ...] = (), **settings: Any) -> Prepared:
    whole = {"model": "route", "messages": HELLO}
    request = ChatRequest(b"", whole, "route", bool(body.get("stream")), False, Native("messages", body, headers))
    found = dialect(**settings).chat(request)
    assert isinstance(found, Prepared)
    return found


OWN_BODY = {
    "model": "route",
    "max_tokens": 10,
    "system": [text("S", cache_control=MARK)],
    "messages": [{"role": "user", "content": [text(" ")]}, {"role": "assistant", "content": "x "}],
    "temperature": 0.3,
    "unheard_of": {"a": [1]},
    "stream": True,
}


def test_a_request_in_anthropics_own_words_goes_as_it_came() -> None:
    found = native(OWN_BODY)
    assert orjson.loads(found.call.body) == {**OWN_BODY, "model": "claude-sonnet-4-5"}
    assert found.dropped == found.unsupported == ()
    assert head(found)["Accept"] == "text/event-stream"


def test_its_betas_are_asked_for_besides_ours() -> None:
    headers = (("anthropic-beta", "b-1, ours-1"), ("Anthropic-Beta", "b-2,x\r\nEvil: 1"))
    found = native(OWN_BODY, headers, options={"beta": ["ours-1"]})
    assert head(found)["anthropic-beta"] == "ours-1,b-1,b-2"
    assert "Evil" not in head(found)


def test_what_the_configuration_says_of_the_target_holds_there_too() -> None:
    settings: dict[str, Any] = {
        "defaults": {"top_k": 3, "temperature": 1, "seed": 1},
        "overrides": {"max_tokens": 4, "reasoning_effort": "low"},
        "drop": frozenset({"unheard_of", "user"}),
    }
    found = native(OWN_BODY, **settings)
    body = orjson.loads(found.call.body)
    expected = {**OWN_BODY, "model": "claude-sonnet-4-5", "top_k": 3, "max_tokens": 4}
    del expected["unheard_of"]
    assert body == expected
    assert found.dropped == ("unheard_of",)


def test_a_type_that_is_no_word_forces_and_begins_nothing() -> None:
    assert not has_forced({"tool_choice": {"type": ["any"]}})
    assert not Thinking({"type": {}}).on
