"""What Ollama is asked, of what a client asks in OpenAI's terms."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from proxy.backends.registry import bind, origin
from proxy.config.values import Backend
from proxy.core.call import Origin
from proxy.core.chat import ChatRequest
from proxy.core.dialect import Prepared
from proxy.core.failure import Failure, FailureKind
from proxy.core.outcome import How
from proxy.core.resume import resume
from proxy.core.route import Target
from proxy.core.seam import Sent
from proxy.core.secret import Secret

HELLO = [{"role": "user", "content": "hello"}]
REFUSES = {"truncate": False, "shift": False}
PNG = "data:image/png;base64,iVBORw0KGgo="
WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}


def asked(body: dict[str, Any], *, options: dict[str, Any] | None = None, **target: Any) -> Prepared | Failure:
    dialect = bind(Backend("o", "ollama", options=options or {}), Target("o/m", "o", "m", **target))
    body = {"model": "r", "messages": HELLO, **body}
    return dialect.chat(ChatRequest(b"", body, "r", bool(body.get("stream")), False))


def sent(body: dict[str, Any], **more: Any) -> dict[str, Any]:
    prepared = asked(body, **more)
    assert isinstance(prepared, Prepared), prepared
    found: dict[str, Any] = orjson.loads(prepared.call.body)
    assert found.pop("model") == "m"
    return found


def without(name: str, **body: Any) -> tuple[str, ...]:
    """What a request with this parameter loses, and it is not sent."""
    prepared = asked({name: body.pop("value"), **body})
    assert isinstance(prepared, Prepared)
    said = orjson.loads(prepared.call.body)
    assert name not in said
    assert set(prepared.unsupported) <= set(prepared.dropped)
    return prepared.unsupported


def failed(body: dict[str, Any]) -> Failure:
    failure = asked(body)
    assert isinstance(failure, Failure), failure
    assert failure.kind is FailureKind.UNSUPPORTED
    return failure


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("", "/api/chat at 127.0.0.1:11434"),
        ("http://gpu:11434", "/api/chat at gpu:11434"),
        ("http://gpu:11434/v1", "/api/chat at gpu:11434"),
        ("http://gpu:11434/api", "/api/chat at gpu:11434"),
        ("https://proxy.example/ollama/v1", "/ollama/api/chat at proxy.example"),
        ("https://ollama.com", "/api/chat at ollama.com"),
    ],
)
def test_the_address_is_found_also_where_a_configuration_names_the_openai_door(url: str, path: str) -> None:
    backend = Backend("o", "ollama", url)
    dialect = bind(backend, Target("o/m", "o", "m"))
    prepared = dialect.chat(ChatRequest(b"", {"model": "r", "messages": HELLO}, "r", False, False))
    assert isinstance(prepared, Prepared)
    line, host = prepared.call.head.decode().split("\r\n")[:2]
    assert f"{line.split()[1]} at {host.removeprefix('Host: ')}" == path
    assert origin(backend).host == path.split(" at ")[1].split(":")[0]


def test_without_an_address_it_is_on_this_machine_and_no_key_is_sent() -> None:
    assert origin(Backend("o", "ollama")) == Origin("http", "127.0.0.1", 11434)
    prepared = asked({})
    assert isinstance(prepared, Prepared)
    assert b"authorization" not in prepared.call.head.lower()


def test_a_key_is_a_bearer_token_as_ollamas_cloud_wants_it() -> None:
    dialect = bind(Backend("o", "ollama", "https://ollama.com", Secret("ollama-key-1234")), Target("o/m", "o", "m"))
    prepared = dialect.chat(ChatRequest(b"", {"messages": HELLO}, "r", True, False))
    assert isinstance(prepared, Prepared)
    assert b"\r\nAuthorization: Bearer ollama-key-1234\r\n" in prepared.call.head
    assert b"\r\nAccept: application/x-ndjson\r\n" in prepared.call.head


def test_a_plain_request_says_that_it_is_no_stream_and_that_nothing_is_to_be_cut() -> None:
    assert sent({}) == {"messages": HELLO, "stream": False, **REFUSES}
    assert sent({"stream": True, "stream_options": {"include_usage": True}})["stream"] is True


def test_sampling_goes_into_options() -> None:
    body = {
        **{"temperature": 0, "top_p": 0.5, "seed": 7, "stop": "END", "presence_penalty": 1, "frequency_penalty": -1},
        **{"max_completion_tokens": 9, "top_k": 3, "min_p": 0.1, "repetition_penalty": 1.2},
    }
    assert sent(body)["options"] == {
        **{"temperature": 0, "top_p": 0.5, "seed": 7, "stop": ["END"], "presence_penalty": 1, "frequency_penalty": -1},
        **{"num_predict": 9, "top_k": 3, "min_p": 0.1, "repeat_penalty": 1.2},
    }
    assert sent({"max_tokens": 5})["options"] == {"num_predict": 5}
    assert "options" not in sent({"temperature": None, "stop": None, "seed": None, "max_tokens": None})


def test_ollamas_own_parameters_can_be_given_too_and_win() -> None:
    body = {
        "options": {"num_ctx": 99, "mirostat": 1},
        "max_tokens": 5,
        "keep_alive": "1h",
        "think": "max",
        "num_ctx": 7,
    }
    found = sent(body, options={"num_ctx": 8192, "keep_alive": 60.0, "think": False})
    assert found["options"] == {"num_ctx": 99, "mirostat": 1, "num_predict": 5}
    assert (found["keep_alive"], found["think"]) == ("1h", "max")
    assert sent({"format": {"type": "object"}})["format"] == {"type": "object"}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"num_ctx": 8192}, {"options": {"num_ctx": 8192}, **REFUSES}),
        ({"keep_alive": 0.0}, {"keep_alive": "0s", **REFUSES}),
        ({"keep_alive": -1.0}, {"keep_alive": "-1s", **REFUSES}),
        ({"keep_alive": 5400.0}, {"keep_alive": "5400s", **REFUSES}),
        ({"keep_alive": 604800.0}, {"keep_alive": "604800s", **REFUSES}),
        ({"think": "low"}, {"think": "low", **REFUSES}),
        ({"think": False}, {"think": False, **REFUSES}),
        ({"truncate": True}, {}),
        ({"truncate": False, "pull": True}, REFUSES),
    ],
)
def test_the_backends_options_hold_for_every_request(options: dict[str, Any], expected: dict[str, Any]) -> None:
    assert sent({}, options=options) == {"messages": HELLO, "stream": False, **expected}


def test_what_the_operator_sets_for_a_target_comes_in_openais_terms_or_in_ollamas() -> None:
    found = sent(
        {"temperature": 1, "user": "u"},
        defaults={"temperature": 0, "max_tokens": 3},
        overrides={"options": {"num_gpu": 1}, "truncate": True, "shift": True},
        drop=frozenset({"seed"}),
    )
    assert found["options"] == {"temperature": 1, "num_predict": 3, "num_gpu": 1}
    assert (found["truncate"], found["shift"]) == (True, True)
    prepared = asked({"seed": 4, "n": 2}, drop=frozenset({"seed"}))
    assert isinstance(prepared, Prepared)
    assert (prepared.dropped, prepared.unsupported) == (("n", "seed"), ("n",))


@pytest.mark.parametrize(
    ("body", "think"),
    [
        ({"reasoning_effort": "none"}, False),
        ({"reasoning_effort": "minimal"}, "low"),
        ({"reasoning_effort": "low"}, "low"),
        ({"reasoning_effort": "medium"}, "medium"),
        ({"reasoning_effort": "high"}, "high"),
        ({"reasoning_effort": "xhigh"}, "max"),
        ({"think": True, "reasoning_effort": "low"}, True),
        ({"think": False}, False),
    ],
)
def test_an_effort_is_a_level_of_thinking(body: dict[str, Any], think: object) -> None:
    assert sent(body)["think"] == think
    assert sent(body, options={"think": "medium"})["think"] == think


@pytest.mark.parametrize(
    ("wanted", "form"),
    [
        ({"type": "json_object"}, "json"),
        ({"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "array"}}}, {"type": "array"}),
        ({"type": "json_schema", "json_schema": {"name": "x"}}, "json"),
    ],
)
def test_structured_output_is_a_format(wanted: object, form: object) -> None:
    assert sent({"response_format": wanted})["format"] == form
    assert "format" not in sent({"response_format": {"type": "text"}})


def test_log_probabilities_are_asked_for_as_they_are() -> None:
    found = sent({"logprobs": True, "top_logprobs": 2})
    assert (found["logprobs"], found["top_logprobs"]) == (True, 2)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n", 2),
        ("logit_bias", {"5": 1}),
        ("modalities", ["text", "audio"]),
        ("audio", {"voice": "alloy", "format": "wav"}),
        ("verbosity", "low"),
        ("web_search_options", {}),
        ("chat_template_kwargs", {"x": 1}),
    ],
)
def test_what_ollama_has_no_word_for_is_named(name: str, value: object) -> None:
    assert without(name, value=value) == (name,)


def test_a_tool_cannot_be_forced_but_tools_that_are_not_to_be_called_are_not_shown() -> None:
    assert without("tool_choice", value="required", tools=[WEATHER]) == ("tool_choice",)
    named = {"type": "function", "function": {"name": "weather"}}
    assert without("tool_choice", value=named, tools=[WEATHER]) == ("tool_choice",)
    assert without("function_call", value={"name": "weather"}, functions=[WEATHER["function"]]) == ("function_call",)
    assert without("parallel_tool_calls", value=False, tools=[WEATHER]) == ("parallel_tool_calls",)
    assert without("tool_choice", value="auto", tools=[WEATHER]) == ()
    assert without("parallel_tool_calls", value=True, tools=[WEATHER]) == ()
    assert "tools" not in sent({"tool_choice": "none", "tools": [WEATHER]})


def test_tools_are_functions_only() -> None:
    custom = {"type": "custom", "custom": {"name": "c"}}
    prepared = asked({"tools": [WEATHER, custom]})
    assert isinstance(prepared, Prepared)
    assert prepared.unsupported == ("tools",)
    assert orjson.loads(prepared.call.body)["tools"] == [WEATHER]
    assert sent({"functions": [{"name": "f", "description": "d"}]})["tools"] == [
        {
            "type": "function",
            "function": {"name": "f", "description": "d", "parameters": {"type": "object", "properties": {}}},
        }
    ]


@pytest.mark.parametrize("name", ["user", "store", "metadata", "service_tier", "prompt_cache_key", "prediction"])
def test_what_means_nothing_to_a_model_at_home_is_left_out_and_no_reason_to_go_elsewhere(name: str) -> None:
    prepared = asked({name: "x"})
    assert isinstance(prepared, Prepared)
    assert (prepared.dropped, prepared.unsupported) == ((name,), ())


def test_nothing_is_lost_by_parameters_that_ask_for_what_comes_anyway() -> None:
    prepared = asked({"n": 1, "logit_bias": {}, "modalities": ["text"], "logprobs": None, "verbosity": None})
    assert isinstance(prepared, Prepared)
    assert prepared.dropped == ()


def test_images_travel_as_base64_beside_the_words() -> None:
    parts = [
        {"type": "text", "text": "what"},
        {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}},
        {"type": "text", "text": "is it?"},
    ]
    found = sent({"messages": [{"role": "user", "content": parts}]})
    assert found["messages"] == [{"role": "user", "content": "what\nis it?", "images": ["iVBORw0KGgo="]}]


@pytest.mark.parametrize(
    ("part", "word"),
    [
        ({"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}, "data URL"),
        ({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}, "audio"),
        ({"type": "file", "file": {"file_id": "file-1"}}, "file"),
    ],
)
def test_what_ollama_cannot_be_given_is_refused_in_clear_words(part: dict[str, Any], word: str) -> None:
    assert word in failed({"messages": [{"role": "user", "content": [part]}]}).message


def test_a_history_with_tools_keeps_its_order_roles_and_names() -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Bern"}'}}
    history = [
        {"role": "developer", "content": "be brief"},
        {"role": "user", "content": "weather?"},
        {"role": "assistant", "content": None, "reasoning_content": "hm", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": [{"type": "text", "text": "rain"}]},
        {"role": "system", "content": "now in German"},
        {"role": "user", "content": "again"},
        {"role": "assistant", "content": None, "function_call": {"name": "weather", "arguments": ""}},
        {"role": "function", "name": "weather", "content": "sun"},
    ]
    assert sent({"messages": history})["messages"] == [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "weather?"},
        {
            "role": "assistant",
            "content": "",
            "thinking": "hm",
            "tool_calls": [{"id": "call_1", "function": {"name": "weather", "arguments": {"city": "Bern"}}}],
        },
        {"role": "tool", "content": "rain", "tool_name": "weather", "tool_call_id": "call_1"},
        {"role": "system", "content": "now in German"},
        {"role": "user", "content": "again"},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"id": "weather", "function": {"name": "weather", "arguments": {}}}],
        },
        {"role": "tool", "content": "sun", "tool_name": "weather"},
    ]


def test_a_result_whose_call_is_not_in_the_conversation_has_no_name() -> None:
    history = [{"role": "tool", "tool_call_id": "call_9", "content": "rain"}]
    expected = {"role": "tool", "content": "rain", "tool_call_id": "call_9"}
    assert sent({"messages": history})["messages"] == [expected]


def test_thoughts_of_another_provider_stay_out() -> None:
    details = [
        {"type": "reasoning.text", "text": "secret", "signature": "s", "format": "anthropic-claude-v1"},
        {"type": "reasoning.encrypted", "data": "xyz", "format": "google-gemini-v1"},
        {"type": "reasoning.text", "text": "plain"},
    ]
    message = {"role": "assistant", "content": "hi", "reasoning_details": details}
    found = sent({"messages": [message, *HELLO]})["messages"][0]
    assert found == {"role": "assistant", "content": "hi", "thinking": "plain"}


def test_an_answer_that_was_cut_is_continued_without_thinking_anew() -> None:
    dialect = bind(Backend("o", "ollama"), Target("o/m", "o", "m"))
    request = ChatRequest(b"", {"messages": HELLO, "reasoning_effort": "high"}, "r", True, False)
    again, _ = resume(request, How.PREFILL, Sent("id", 1, "Once upon "), dialect.prefill)
    prepared = dialect.chat(again)
    assert isinstance(prepared, Prepared)
    body = orjson.loads(prepared.call.body)
    assert body["messages"][-1] == {"role": "assistant", "content": "Once upon "}
    assert body["think"] is False
    assert bind(Backend("o", "ollama"), Target("o/m", "o", "m", prefill=False)).prefill is None
