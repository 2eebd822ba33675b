"""What is sent to Bedrock: what Converse has for it, by the model's maker where it has nothing."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from proxy.backends.registry import bind, origin
from proxy.config.values import Backend
from proxy.core.call import Origin
from proxy.core.chat import ChatRequest, EmbedRequest
from proxy.core.dialect import Prepared
from proxy.core.failure import Failure, FailureKind
from proxy.core.route import Target
from proxy.core.secret import Secret

CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
ADAPTIVE = "anthropic.claude-opus-4-7-v1:0"
NOVA2 = "us.amazon.nova-2-lite-v1:0"
GPT = "us.openai.gpt-5.6-sol"
OSS = "openai.gpt-oss-120b-1:0"
MISTRAL = "mistral.mistral-large-2407-v1:0"
TOOL = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}}}
CALL = {"id": "call_1", "type": "function", "function": {"name": "look_up", "arguments": "{}"}}
HELLO = {"role": "user", "content": "Hello"}
HISTORY = [
    HELLO,
    {"role": "assistant", "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "call_1", "content": "1"},
]


def prepared(
    model: str = CLAUDE, options: dict[str, Any] | None = None, target: dict[str, Any] | None = None, **body: Any
) -> Any:
    backend = Backend("aws", "bedrock", options={"region": "eu-west-1", **(options or {})})
    dialect = bind(backend, Target(f"aws/{model}", "aws", model, **(target or {})))
    asked = {"model": "r", "messages": [HELLO], **body}
    return dialect.chat(ChatRequest(b"", asked, "r", bool(body.get("stream")), False))


def sent(model: str = CLAUDE, **body: Any) -> Any:
    found = prepared(model, **body)
    assert isinstance(found, Prepared)
    assert found.unsupported == ()
    return orjson.loads(found.call.body)


def lost(model: str = CLAUDE, **body: Any) -> tuple[str, ...]:
    found = prepared(model, **body)
    assert isinstance(found, Prepared)
    assert set(found.unsupported) <= set(found.dropped)
    return found.unsupported


# Where to ------------------------------------------------------------------------------------------------------------


def test_an_id_and_an_arn_stand_in_the_path_encoded() -> None:
    head = prepared().call.head
    assert head.startswith(b"POST /model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse HTTP/1.1\r\n")
    assert b"\r\nHost: bedrock-runtime.eu-west-1.amazonaws.com\r\n" in head
    arn = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.amazon.nova-lite-v1:0"
    head = prepared(arn, stream=True).call.head
    assert head.startswith(
        b"POST /model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Ainference-profile%2Fus.amazon.nova-lite-v1%3A0"
        b"/converse-stream HTTP/1.1\r\n"
    )
    assert b"\r\nAccept: application/vnd.amazon.eventstream\r\n" in head


def test_a_key_is_a_bearer_token_and_without_one_there_is_none() -> None:
    assert b"Authorization" not in prepared().call.head
    backend = Backend("aws", "bedrock", api_key=Secret("ABSKQmVkcm9ja0FQSUtleS1abc"), options={"region": "us-east-1"})
    dialect = bind(backend, Target("aws/m", "aws", "m"))
    found = dialect.chat(ChatRequest(b"", {"messages": [HELLO]}, "r", False, False))
    assert isinstance(found, Prepared)
    assert b"\r\nAuthorization: Bearer ABSKQmVkcm9ja0FQSUtleS1abc\r\n" in found.call.head


def test_an_endpoint_of_ones_own_and_chinas_are_elsewhere() -> None:
    options = {"region": "us-east-1"}
    vpc = "https://vpce-1a2b.bedrock-runtime.us-east-1.vpce.amazonaws.com"
    assert origin(Backend("aws", "bedrock", vpc, options=options)) == Origin("https", vpc[8:], 443)
    china = Backend("aws", "bedrock", options={"region": "cn-north-1"})
    assert origin(china).host == "bedrock-runtime.cn-north-1.amazonaws.com.cn"
    with pytest.raises(ValueError, match="region"):
        origin(Backend("aws", "bedrock"))


def test_a_target_without_a_model_serves_the_one_that_is_asked_for() -> None:
    dialect = bind(Backend("aws", "bedrock", options={"region": "us-east-1"}), Target("aws/", "aws", ""))
    found = dialect.chat(ChatRequest(b"", {"messages": [HELLO]}, f"aws/{CLAUDE}", False, False))
    assert isinstance(found, Prepared)
    assert found.call.head.startswith(b"POST /model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse ")


# What is said --------------------------------------------------------------------------------------------------------


def test_blank_words_are_left_out_and_what_would_be_empty_says_so() -> None:
    body = sent(messages=[{"role": "system", "content": " "}, {"role": "user", "content": "\n"}])
    assert body["messages"] == [{"role": "user", "content": [{"text": "(An empty message.)"}]}]
    assert "system" not in body


def test_a_conversation_that_the_assistant_begins_is_taken_by_claude_only() -> None:
    messages = [{"role": "assistant", "content": "Hi!"}, HELLO]
    assert [turn["role"] for turn in sent(messages=messages)["messages"]] == ["assistant", "user"]
    assert [turn["role"] for turn in sent(MISTRAL, messages=messages)["messages"]] == ["user", "assistant", "user"]


def test_calls_without_results_get_one_and_results_without_calls_are_words() -> None:
    messages = [
        HELLO,
        {"role": "assistant", "content": None, "tool_calls": [CALL, {**CALL, "id": "call_2"}]},
        {"role": "tool", "tool_call_id": "call_2", "content": ""},
        {"role": "tool", "tool_call_id": "nobody", "content": "orphan"},
        {"role": "user", "content": "So?"},
    ]
    body = sent(messages=messages, tools=[TOOL])
    assert body["messages"][2]["content"] == [
        {"toolResult": {"toolUseId": "call_2", "content": [{"text": "(An empty message.)"}]}},
        {"toolResult": {"toolUseId": "call_1", "content": [{"text": "(No result was given.)"}], "status": "error"}},
        {"text": "orphan"},
        {"text": "So?"},
    ]


def test_that_a_result_is_missing_is_said_with_a_status_where_the_model_takes_one() -> None:
    messages = [HELLO, {"role": "assistant", "tool_calls": [CALL]}, HELLO]
    for model, there in ((CLAUDE, True), (NOVA2, True), (MISTRAL, False)):
        assert ("status" in sent(model, messages=messages)["messages"][2]["content"][0]["toolResult"]) is there


def test_ids_of_other_providers_are_made_acceptable_and_stay_the_same_ones() -> None:
    call = {**CALL, "id": "fc_9|x" + "y" * 90}
    result = {"role": "tool", "tool_call_id": call["id"], "content": "1"}
    messages = [HELLO, {"role": "assistant", "tool_calls": [call]}, result]
    for model, longest in ((CLAUDE, 64), (MISTRAL, 9)):
        turns = sent(model, messages=messages, tools=[TOOL])["messages"]
        key = turns[1]["content"][0]["toolUse"]["toolUseId"]
        assert key == turns[2]["content"][0]["toolResult"]["toolUseId"]
        assert len(key) <= longest
        assert key.isalnum()
    assert sent(messages=messages, tools=[TOOL]) == sent(messages=messages, tools=[TOOL])


def test_thoughts_of_others_are_left_out_and_those_that_came_in_pieces_are_one() -> None:
    def thought(**more: str) -> dict[str, Any]:
        return {"type": "reasoning.text", "text": "", "format": "anthropic-claude-v1", **more}

    details = [thought(text="I "), thought(text="think."), thought(signature="sig")]
    said = {"role": "assistant", "content": "So.", "reasoning_details": details}
    theirs = [thought(format="google-gemini-v1", signature="s", text="t")]
    others = {"role": "assistant", "content": "So.", "reasoning_content": "hm", "reasoning_details": theirs}
    reasoning = {"reasoningContent": {"reasoningText": {"text": "I think.", "signature": "sig"}}}
    assert sent(messages=[HELLO, said, HELLO])["messages"][1]["content"] == [reasoning, {"text": "So."}]
    assert sent(messages=[HELLO, others, HELLO])["messages"][1]["content"] == [{"text": "So."}]
    assert sent(MISTRAL, messages=[HELLO, said, HELLO])["messages"][1]["content"] == [{"text": "So."}]


def test_a_turn_of_thoughts_alone_is_left_out() -> None:
    thought = {"type": "reasoning.text", "text": "t", "signature": "s", "format": "anthropic-claude-v1"}
    alone = {"role": "assistant", "content": None, "reasoning_details": [thought]}
    assert sent(messages=[HELLO, alone, HELLO])["messages"] == [{"role": "user", "content": [{"text": "Hello"}] * 2}]


def test_documents_have_names_that_the_service_takes_each_its_own_and_words_beside_them() -> None:
    def file(name: str, kind: str = "application/pdf") -> dict[str, Any]:
        return {"type": "file", "file": {"filename": name, "file_data": f"data:{kind};base64,AAAA"}}

    parts = [file("résumé #1.pdf"), file("résumé #1.pdf")]
    parts += [file("분기보고서.docx", "application/octet-stream"), file("a.csv", "text/plain")]
    content = sent(messages=[{"role": "user", "content": parts}])["messages"][0]["content"]
    assert content[0] == {"text": "(See the document.)"}
    found = [(block["document"]["name"], block["document"]["format"]) for block in content[1:]]
    assert found == [("r sum 1", "pdf"), ("r sum 1 2", "pdf"), ("Document", "docx"), ("a", "csv")]


def test_what_lies_in_s3_is_handed_over_and_sound_too() -> None:
    parts = [
        {"type": "text", "text": "These:"},
        {"type": "image_url", "image_url": {"url": "s3://bucket/cat.png"}},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}},
    ]
    content = sent(messages=[{"role": "user", "content": parts}])["messages"][0]["content"]
    assert content[1:] == [
        {"image": {"format": "png", "source": {"s3Location": {"uri": "s3://bucket/cat.png"}}}},
        {"audio": {"format": "mp3", "source": {"bytes": "AAAA"}}},
    ]


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ({"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}, "fetches nothing"),
        ({"type": "image_url", "image_url": {"url": "data:image/tiff;base64,AAAA"}}, "not image/tiff"),
        ({"type": "file", "file": {"file_id": "file-1"}}, "file_id"),
        ({"type": "file", "file": {"file_data": "data:application/zip;base64,AAAA"}}, "not application/zip"),
        ({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "midi"}}, "audio/midi"),
    ],
)
def test_what_cannot_be_given_is_refused_in_clear_words(part: dict[str, Any], words: str) -> None:
    found = prepared(messages=[{"role": "user", "content": [part]}])
    assert isinstance(found, Failure)
    assert found.kind is FailureKind.UNSUPPORTED
    assert words in found.message


def test_cache_marks_become_cache_points_where_the_model_takes_them() -> None:
    mark = {"type": "ephemeral"}
    messages = [{"role": "user", "content": [{"type": "text", "text": "Long", "cache_control": mark}]}]
    tools = [{**TOOL, "cache_control": mark}]
    point = {"cachePoint": {"type": "default"}}
    body = sent(messages=messages, tools=tools)
    assert body["messages"][0]["content"] == [{"text": "Long"}, point]
    assert body["toolConfig"]["tools"][1] == point
    body = sent("amazon.nova-pro-v1:0", messages=messages, tools=tools)
    assert body["messages"][0]["content"] == [{"text": "Long"}, point]
    assert len(body["toolConfig"]["tools"]) == 1
    for other in (MISTRAL, NOVA2, "anthropic.claude-3-haiku-20240307-v1:0", "nvidia.nemotron-super-3-120b"):
        assert sent(other, messages=messages, tools=tools)["messages"][0]["content"] == [{"text": "Long"}]
    profile = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc"
    assert sent(profile, messages=messages)["messages"][0]["content"] == [{"text": "Long"}, point]


def test_a_cache_point_does_not_stand_directly_behind_a_document() -> None:
    file = {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"}}
    parts = [{"type": "text", "text": "This:"}, {**file, "cache_control": {"type": "ephemeral"}}]
    content = sent(messages=[{"role": "user", "content": parts}])["messages"][0]["content"]
    assert [next(iter(block)) for block in content] == ["text", "document", "text", "cachePoint"]
    assert content[2] == {"text": "\n"}
    content = sent("amazon.nova-pro-v1:0", messages=[{"role": "user", "content": parts}])["messages"][0]["content"]
    assert [next(iter(block)) for block in content] == ["text", "document"]


def test_a_partial_answer_is_continued_by_models_that_do_that_and_others_are_told_to_go_on() -> None:
    messages = [HELLO, {"role": "assistant", "content": "Once upon "}]
    assert sent(messages=messages)["messages"][-1] == {"role": "assistant", "content": [{"text": "Once upon"}]}
    for model in (ADAPTIVE, MISTRAL):
        assert sent(model, messages=messages)["messages"][-1] == {"role": "user", "content": [{"text": "(Go on.)"}]}
        told = sent(model, messages=messages, target={"prefill": True})["messages"][-1]
        assert told == {"role": "assistant", "content": [{"text": "Once upon"}]}
    assert sent(messages=messages, target={"prefill": False})["messages"][-1]["role"] == "user"


# Tools and forms -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ("auto", {"auto": {}}),
        ("required", {"any": {}}),
        ({"type": "function", "function": {"name": "look_up"}}, {"tool": {"name": "look_up"}}),
    ],
)
def test_the_choice_among_tools(choice: object, said: object) -> None:
    assert sent(tools=[TOOL], tool_choice=choice)["toolConfig"]["toolChoice"] == said


def test_no_tool_is_to_be_called() -> None:
    assert "toolConfig" not in sent(tools=[TOOL], tool_choice="none")
    for model in (CLAUDE, MISTRAL):  # with calls in the history there must be tools, and there is no word for none
        assert lost(model, messages=HISTORY, tools=[TOOL], tool_choice="none") == ("tool_choice",)


def test_a_history_with_calls_has_its_tools_where_the_request_names_none() -> None:
    for model in (CLAUDE, MISTRAL):
        assert [tool["toolSpec"]["name"] for tool in sent(model, messages=HISTORY)["toolConfig"]["tools"]] == [
            "look_up"
        ]


def test_one_call_at_a_time_is_said_in_claudes_own_field_and_only_there() -> None:
    body = sent(tools=[TOOL], parallel_tool_calls=False, tool_choice="required")
    assert "toolChoice" not in body["toolConfig"]
    assert body["additionalModelRequestFields"] == {"tool_choice": {"type": "any", "disable_parallel_tool_use": True}}
    assert lost(MISTRAL, tools=[TOOL], parallel_tool_calls=False) == ("parallel_tool_calls",)


def test_of_allowed_tools_the_others_are_left_out() -> None:
    other = {"type": "function", "function": {"name": "other"}}
    choice = {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [TOOL]}}
    config = sent(tools=[TOOL, other], tool_choice=choice)["toolConfig"]
    assert [tool["toolSpec"]["name"] for tool in config["tools"]] == ["look_up"]
    assert config["toolChoice"] == {"any": {}}


def test_a_json_object_without_a_schema_cannot_be_asked_for() -> None:
    assert lost(response_format={"type": "json_object"}) == ("response_format",)
    assert sent(response_format={"type": "text"}).keys() == {"messages"}
    old = "anthropic.claude-3-haiku-20240307-v1:0"
    schema = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}
    assert lost(old, response_format=schema) == ("response_format",)


# How much to think ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "body", "more"),
    [
        (CLAUDE, {"max_tokens": 10_000}, {"thinking": {"type": "enabled", "budget_tokens": 8000}}),
        (
            ADAPTIVE,
            {},
            {"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "high"}},
        ),
        (NOVA2, {}, {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "high"}}),
        (NOVA2, {"max_tokens": 9}, {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "medium"}}),
        (GPT, {}, {"reasoning_effort": "high"}),
        (OSS, {}, {"reasoning_effort": "high"}),
        ("moonshot.kimi-k2-thinking", {}, {"reasoning_effort": "high"}),
        ("qwen.qwen3-32b-v1:0", {}, {"reasoning_config": "high"}),
    ],
)
def test_an_effort_is_said_as_the_models_maker_says_it(model: str, body: dict[str, Any], more: dict[str, Any]) -> None:
    assert sent(model, reasoning_effort="high", **body)["additionalModelRequestFields"] == more


def test_where_there_is_no_word_for_an_effort_it_is_named() -> None:
    for model in ("us.meta.llama4-maverick-17b-instruct-v1:0", "us.deepseek.r1-v1:0", "anthropic.claude-3-haiku-v1:0"):
        assert lost(model, reasoning_effort="low") == ("reasoning_effort",)
    assert sent("us.deepseek.r1-v1:0", reasoning_effort="none").keys() == {"messages"}


def test_claude_does_not_think_with_a_budget_after_results_of_calls_that_it_made_without_thinking() -> None:
    assert lost(messages=HISTORY, tools=[TOOL], reasoning_effort="high", max_tokens=9000) == ("reasoning_effort",)


def test_a_model_that_thinks_is_not_asked_to_sample() -> None:
    found = lost(thinking={"type": "enabled", "budget_tokens": 1024}, max_tokens=4000, temperature=0.2, top_k=5)
    assert found == ("temperature", "top_k")
    assert sent(thinking={"type": "enabled", "budget_tokens": 1024}, max_tokens=4000, temperature=1)


# Everything else -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "more"),
    [
        (CLAUDE, {"top_k": 20}),
        (MISTRAL, {"top_k": 20}),
        ("amazon.nova-micro-v1:0", {"inferenceConfig": {"topK": 20}}),
        ("cohere.command-r-plus-v1:0", {"k": 20}),
    ],
)
def test_top_k_is_said_as_the_models_maker_says_it(model: str, more: dict[str, Any]) -> None:
    assert sent(model, top_k=20)["additionalModelRequestFields"] == more


def test_what_changes_nothing_is_left_out_in_silence_and_what_does_is_named() -> None:
    assert sent(n=1, logprobs=False, frequency_penalty=0, logit_bias={}, modalities=["text"]).keys() == {"messages"}
    assert lost(n=2, seed=7, frequency_penalty=0.5, verbosity="low") == ("n", "seed", "frequency_penalty", "verbosity")
    hints = prepared(user="me", store=True, prompt_cache_key="k", metadata={"a": "x" * 300})
    assert hints.unsupported == ()
    assert set(hints.dropped) == {"user", "store", "prompt_cache_key", "metadata"}


def test_models_with_open_weights_take_openais_own_parameters() -> None:
    assert sent(OSS, seed=7)["additionalModelRequestFields"] == {"seed": 7}
    assert lost(GPT, temperature=0.2, top_p=0.5, stop=["x"]) == ("temperature", "top_p", "stop")


def test_stops_of_white_space_alone_are_not_for_claude() -> None:
    assert lost(stop=["\n", "END"]) == ("stop",)
    assert sent(MISTRAL, stop=["\n"])["inferenceConfig"] == {"stopSequences": ["\n"]}


def test_converses_own_parameters_are_handed_on() -> None:
    body = sent(performanceConfig={"latency": "optimized"}, additionalModelRequestFields={"anthropic_beta": ["x"]})
    assert body["performanceConfig"] == {"latency": "optimized"}
    assert body["additionalModelRequestFields"] == {"anthropic_beta": ["x"]}


def test_what_the_operator_says_of_parameters_holds() -> None:
    target = {"defaults": {"max_tokens": 50}, "overrides": {"temperature": 0}, "drop": frozenset({"top_p"})}
    found = prepared(target=target, temperature=1, top_p=0.1)
    assert found.dropped == ("top_p",)
    assert found.unsupported == ()
    assert orjson.loads(found.call.body)["inferenceConfig"] == {"maxTokens": 50, "temperature": 0}


def test_the_operators_guardrail_holds_whatever_a_request_says() -> None:
    guard = {"guardrail": {"id": "abc", "version": "1", "streams": "async"}}
    config = {"guardrailIdentifier": "abc", "guardrailVersion": "1", "trace": "disabled"}
    body = sent(options=guard, guardrailConfig={"guardrailIdentifier": "none"})
    assert body["guardrailConfig"] == config
    body = sent(options=guard, stream=True)
    assert body["guardrailConfig"] == {**config, "streamProcessingMode": "async"}


# Embeddings ----------------------------------------------------------------------------------------------------------


def embed(model: str, **body: Any) -> Prepared | Failure:
    dialect = bind(Backend("aws", "bedrock", options={"region": "us-east-1"}), Target("aws/e", "aws", model))
    return dialect.embed(EmbedRequest(b"", {"model": "r", **body}, "r", False))


@pytest.mark.parametrize(
    ("model", "given", "words"),
    [
        ("amazon.titan-embed-text-v2:0", ["a", "b"], "one text a call"),
        ("amazon.titan-embed-text-v2:0", [1, 2], "token ids"),
        ("cohere.embed-v4:0", [[1, 2]], "token ids"),
        ("cohere.embed-v4:0", [], "texts"),
        (CLAUDE, "a", "Titan's and Cohere's"),
    ],
)
def test_what_cannot_be_embedded_is_refused_in_clear_words(model: str, given: object, words: str) -> None:
    found = embed(model, input=given)
    assert isinstance(found, Failure)
    assert found.kind is FailureKind.UNSUPPORTED
    assert words in found.message


def test_dimensions_that_a_model_does_not_have_are_named() -> None:
    for model in ("amazon.titan-embed-text-v1", "cohere.embed-english-v3"):
        found = embed(model, input="a", dimensions=64, user="me")
        assert isinstance(found, Prepared)
        assert found.unsupported == ("dimensions",)
        assert set(found.dropped) == {"dimensions", "user"}
    found = embed("amazon.titan-embed-image-v1", input="a", dimensions=256)
    assert isinstance(found, Prepared)
    assert orjson.loads(found.call.body) == {"inputText": "a", "embeddingConfig": {"outputEmbeddingLength": 256}}
