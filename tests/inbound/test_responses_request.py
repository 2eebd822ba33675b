"""A request to the Responses API in the words of chat completions."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.chat import ChatRequest
from proxy.inbound.responses import Responses
from proxy.inbound.way import Wrong
from tests.examples import many
from tests.inbound.sequence import check, chunk, request, streamed, wrong

SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}
PIXEL = "data:image/png;base64,AA=="


def messages(*items: Any, **more: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = request(input=list(items), **more).body["messages"]
    return found


def native(asked: ChatRequest) -> Any:
    assert asked.native is not None
    return asked.native


def test_a_text_is_a_message_of_the_user() -> None:
    asked = request(input="Hello", instructions="Be kind.")
    assert asked.body == {
        "model": "m",
        "messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hello"}],
    }
    assert (asked.stream, asked.wants_usage) == (False, False)
    assert native(asked).api == "responses"
    assert native(asked).body["instructions"] == "Be kind."


def test_a_stream_asks_for_its_usage() -> None:
    asked = request(stream=True)
    assert (asked.stream, asked.wants_usage) == (True, True)
    assert asked.body["stream_options"] == {"include_usage": True}


def test_parameters_have_their_names_in_chat() -> None:
    asked = request(
        temperature=0.5,
        top_p=0.9,
        max_output_tokens=100,
        reasoning={"effort": "low", "summary": "auto"},
        text={"verbosity": "low", "format": {"type": "json_schema", "name": "it", "schema": SCHEMA, "strict": True}},
        metadata={"a": "b"},
        user="u",
        safety_identifier="s",
        prompt_cache_key="k",
        service_tier="flex",
        top_logprobs=2,
    )
    assert (
        asked.body.items()
        >= {
            "temperature": 0.5,
            "top_p": 0.9,
            "max_completion_tokens": 100,
            "reasoning_effort": "low",
            "verbosity": "low",
            "response_format": {"type": "json_schema", "json_schema": {"name": "it", "schema": SCHEMA, "strict": True}},
            "metadata": {"a": "b"},
            "user": "u",
            "safety_identifier": "s",
            "prompt_cache_key": "k",
            "service_tier": "flex",
            "logprobs": True,
            "top_logprobs": 2,
        }.items()
    )
    assert native(asked).lost == ()


@pytest.mark.parametrize(
    ("form", "expected"),
    [({"type": "text"}, None), ({"type": "json_object"}, {"type": "json_object"})],
)
def test_the_form_of_the_answer(form: dict[str, Any], expected: Any) -> None:
    assert request(text={"format": form}).body.get("response_format") == expected


def test_functions_and_the_choice_among_them() -> None:
    tool = {"type": "function", "name": "f", "description": "d", "parameters": SCHEMA, "strict": True}
    body = request(tools=[tool], tool_choice={"type": "function", "name": "f"}, parallel_tool_calls=False).body
    function = {"name": "f", "description": "d", "parameters": SCHEMA, "strict": True}
    assert body["tools"] == [{"type": "function", "function": function}]
    assert body["tool_choice"] == {"type": "function", "function": {"name": "f"}}
    assert body["parallel_tool_calls"] is False


def test_of_allowed_tools_only_those_are_offered() -> None:
    tools = [{"type": "function", "name": name, "parameters": SCHEMA} for name in ("f", "g")]
    allowed = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "g"}]}
    body = request(tools=tools, tool_choice=allowed).body
    assert [tool["function"]["name"] for tool in body["tools"]] == ["g"]
    assert body["tool_choice"] == "required"


@pytest.mark.parametrize("kind", ["web_search", "file_search", "code_interpreter", "mcp", "image_generation"])
def test_openais_own_tools_are_lost_elsewhere_and_said_so(kind: str) -> None:
    asked = request(tools=[{"type": kind}, {"type": "function", "name": "f", "parameters": SCHEMA}])
    assert native(asked).lost == (f"tools.{kind}",)
    assert [tool["function"]["name"] for tool in asked.body["tools"]] == ["f"]
    assert native(asked).body["tools"][0] == {"type": kind}


def test_without_tools_nothing_is_said_of_tools() -> None:
    asked = request(tools=[{"type": "web_search"}], tool_choice={"type": "web_search"}, parallel_tool_calls=True)
    assert not {"tools", "tool_choice", "parallel_tool_calls"} & asked.body.keys()
    assert native(asked).lost == ("tools.web_search", "tool_choice.web_search")


def test_a_conversation_with_tools() -> None:
    found = messages(
        {"role": "user", "content": [{"type": "input_text", "text": "Weather?"}]},
        {
            "type": "message",
            "role": "assistant",
            "id": "msg_1",
            "status": "completed",
            "content": [{"type": "output_text", "text": "I look.", "annotations": []}],
        },
        {"type": "function_call", "call_id": "a", "name": "weather", "arguments": '{"city":"Rome"}', "id": "fc_1"},
        {"type": "function_call", "call_id": "b", "name": "weather", "arguments": '{"city":"Oslo"}'},
        {"type": "function_call_output", "call_id": "a", "output": "warm"},
        {"type": "function_call_output", "call_id": "b", "output": [{"type": "input_text", "text": "cold"}]},
        {"role": "user", "content": "Thanks."},
    )
    calls = [
        {"id": key, "type": "function", "function": {"name": "weather", "arguments": f'{{"city":"{city}"}}'}}
        for key, city in (("a", "Rome"), ("b", "Oslo"))
    ]
    assert found == [
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": "I look.", "tool_calls": calls},
        {"role": "tool", "tool_call_id": "a", "content": "warm"},
        {"role": "tool", "tool_call_id": "b", "content": "cold"},
        {"role": "user", "content": "Thanks."},
    ]


def test_words_of_the_developer_at_the_beginning_are_one_system_message() -> None:
    found = messages(
        {"role": "developer", "content": "Short."}, {"role": "user", "content": "Hi"}, instructions="Be kind."
    )
    assert found[0] == {"role": "system", "content": "Be kind.\n\nShort."}


def test_images_files_and_audio() -> None:
    audio = {"data": "AA==", "format": "wav"}
    [message] = messages(
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "What is this?"},
                {"type": "input_image", "image_url": PIXEL, "detail": "low"},
                {"type": "input_image", "file_id": "file-1"},
                {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,AA=="},
                {"type": "input_file", "file_url": "https://x.example/a.pdf"},
                {"type": "input_audio", "input_audio": audio},
            ],
        }
    )
    assert message["content"] == [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": PIXEL, "detail": "low"}},
        {"type": "file", "file": {"file_id": "file-1"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AA=="}},
        {"type": "file", "file": {"file_data": "https://x.example/a.pdf"}},
        {"type": "input_audio", "input_audio": audio},
    ]


def test_an_image_that_a_tool_gave_back_follows_its_results() -> None:
    image = {"type": "input_image", "image_url": PIXEL, "detail": "auto"}
    found = messages(
        {"role": "user", "content": "Look"},
        {"type": "function_call", "call_id": "a", "name": "see", "arguments": "{}"},
        {"type": "function_call", "call_id": "b", "name": "see", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "a", "output": [image]},
        {"type": "function_call_output", "call_id": "b", "output": "dark"},
    )
    assert [message["role"] for message in found] == ["user", "assistant", "tool", "tool", "user"]
    assert found[-1]["content"] == [{"type": "image_url", "image_url": {"url": PIXEL, "detail": "auto"}}]


def test_what_a_backend_wants_back_comes_back_with_the_reasoning_item() -> None:
    signed = {"type": "reasoning.text", "signature": "sig", "format": "anthropic-claude-v1", "index": 0}
    call = {"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}, "extra_content": {"google": {"s": 1}}}
    found = streamed(
        request(stream=True),
        [
            chunk({"reasoning_content": "Hm"}),
            chunk({"reasoning_content": "m."}),
            chunk({"reasoning_details": [signed]}),
            chunk({"tool_calls": [call]}),
            chunk({}, "tool_calls"),
        ],
    )
    output = check(found)["output"]
    turn = messages(
        {"role": "user", "content": "?"},
        *output,
        {"type": "function_call_output", "call_id": "a", "output": "1"},
    )[1]
    assert turn["reasoning_content"] == "Hmm."
    assert turn["reasoning_details"] == [{**signed, "text": "Hmm."}]
    assert turn["tool_calls"][0]["extra_content"] == {"google": {"s": 1}}


def test_openai_gets_no_reasoning_that_another_made_and_another_none_of_openais() -> None:
    ours = {"type": "reasoning", "id": "rs_wl00", "summary": [{"type": "summary_text", "text": "Hm"}]}
    theirs = {"type": "reasoning", "id": "rs_68", "summary": [], "encrypted_content": "gAAAA"}
    asked = request(input=[{"role": "user", "content": "?"}, ours, theirs, {"role": "assistant", "content": "!"}])
    assert [item.get("id") for item in native(asked).body["input"]] == [None, "rs_68", None]
    assert asked.body["messages"][1] == {"role": "assistant", "content": "!", "reasoning_content": "Hm"}


def test_what_is_not_changed_goes_to_openai_as_it_came() -> None:
    body = {"model": "m", "input": [{"role": "user", "content": "?"}], "from_the_future": 1}
    read = Responses().read(body, orjson.dumps(body), {})
    assert not isinstance(read, Wrong)
    assert native(read).body is body


def test_a_custom_tool_is_a_function_of_one_text_and_its_call_is_a_custom_one() -> None:
    asked = request(stream=True, tools=[{"type": "custom", "name": "patch", "description": "Applies."}])
    [tool] = asked.body["tools"]
    assert tool["function"]["name"] == "patch"
    assert tool["function"]["parameters"]["required"] == ["input"]
    call = {"index": 0, "id": "a", "function": {"name": "patch", "arguments": '{"input":"*** Begin"}'}}
    [item] = check(streamed(asked, [chunk({"tool_calls": [call]}), chunk({}, "tool_calls")]))["output"]
    assert (item["type"], item["input"], item["call_id"]) == ("custom_tool_call", "*** Begin", "a")
    output = {"type": "custom_tool_call_output", "call_id": "a", "output": "done"}
    found = messages({"role": "user", "content": "?"}, item, output)
    assert found[1]["tool_calls"][0]["function"] == {"name": "patch", "arguments": '{"input":"*** Begin"}'}
    assert found[2] == {"role": "tool", "tool_call_id": "a", "content": "done"}


def test_items_that_only_openais_server_reads_are_lost_elsewhere() -> None:
    search = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search"}}
    asked = request(input=[{"role": "user", "content": "?"}, search])
    assert native(asked).lost == ("input.web_search_call",)


def test_what_only_tunes_openais_server_is_no_reason_to_prefer_it() -> None:
    asked = request(truncation="auto", max_tool_calls=3, context_management=[{"type": "compaction"}])
    assert native(asked).lost == ()
    assert set(native(asked).minor) == {"truncation", "max_tool_calls", "context_management"}
    assert asked.body.keys() == {"model", "messages"}


def test_parameters_that_the_api_does_not_have_arrive_as_they_are() -> None:
    body = request(top_k=5, seed=7, messages="nonsense", from_the_future={"deep": [1]}).body
    assert (body["top_k"], body["seed"], body["from_the_future"]) == (5, 7, {"deep": [1]})
    assert body["messages"] == [{"role": "user", "content": "Hello"}]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"background": True}, "background"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0]"),
        ({"input": None}, "input"),
        ({"input": []}, "input"),
        ({"input": 7}, "input"),
        ({"input": ["x"]}, "input[0]"),
        ({"input": [{"role": "wizard", "content": "x"}]}, "input[0].role"),
        ({"input": [{"role": "user", "content": [{"type": "smell"}]}]}, "input[0].content[0].type"),
        ({"input": [{"type": "dream"}]}, "input[0].type"),
        ({"input": [{"type": []}]}, "input[0].type"),
        ({"input": [{"role": []}]}, "input[0].role"),
        ({"input": [{"role": "user", "content": [{"type": []}]}]}, "input[0].content[0].type"),
        ({"input": [{"type": "function_call_output", "call_id": []}]}, "input[0].call_id"),
        ({"input": [{"type": "function_call", "name": "f"}]}, "input[0]"),
        ({"input": [{"type": "function_call_output", "call_id": "a", "output": ""}]}, "input[0].call_id"),
        ({"instructions": 1}, "instructions"),
        ({"tools": {}}, "tools"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"tool_choice": "maybe"}, "tool_choice"),
        ({"text": "x"}, "text"),
        ({"text": {"format": {"type": "xml"}}}, "text.format.type"),
        ({"text": {"format": {"type": "json_schema"}}}, "text.format.schema"),
        ({"stream": "yes"}, "stream"),
        ({"model": ""}, "model"),
    ],
)
def test_what_cannot_be_done_is_refused_with_its_place(body: dict[str, Any], param: str) -> None:
    found = wrong(**body)
    assert (found.status, found.param) == (400, param)
    assert found.message.endswith(".")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
WORDS = [
    "message",
    "function_call",
    "function_call_output",
    "custom_tool_call",
    "reasoning",
    "item_reference",
    "function",
    "custom",
    "web_search",
    "allowed_tools",
    "json_schema",
    "user",
    "assistant",
    "a",
    "wl1.e30=",
]
KEYS = (
    "type role content call_id name arguments input output summary text encrypted_content id tools mode format schema"
)
ITEM = st.dictionaries(
    st.sampled_from(KEYS.split()),
    st.sampled_from(WORDS) | JSON | st.lists(st.dictionaries(st.sampled_from(KEYS.split()), st.sampled_from(WORDS))),
    max_size=6,
)
NAMES = [
    *("input", "instructions", "tools", "tool_choice", "text", "reasoning", "stream", "include", "background"),
    "max_output_tokens",
]


@settings(max_examples=many(120), deadline=None)
@given(st.dictionaries(st.sampled_from(NAMES), JSON | ITEM | st.lists(ITEM, max_size=4), max_size=5))
def test_whatever_it_is_given_it_is_a_request_or_says_what_is_wrong(body: dict[str, Any]) -> None:
    given_ = {"model": "m", "input": "x", **body}
    api = Responses()
    read = api.read(given_, orjson.dumps(given_), {})
    if isinstance(read, Wrong):
        assert read.message
        return
    assert read.body["messages"]
    orjson.dumps(read.body)
    renderer = api.renderer(read, "req_1", 1)
    assert renderer.push(chunk({"content": "Hi"}, "stop"))
    assert renderer.close(b"")
