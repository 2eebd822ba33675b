"""What is asked of Gemini and of Vertex: every word of OpenAI's said in Google's, or named as left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
import pytest

from proxy.backends.registry import bind, origin
from proxy.config.values import Backend
from proxy.core.call import Origin
from proxy.core.chat import ChatRequest, EmbedRequest
from proxy.core.dialect import Dialect, Prefill, Prepared
from proxy.core.failure import Failure, FailureKind
from proxy.core.route import Target
from proxy.core.secret import Secret

HELLO: list[Any] = [{"role": "user", "content": "Hello"}]
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
OLD, PRO, FLASH, NEW = "gemini-2.0-flash", "gemini-2.5-pro", "gemini-2.5-flash", "gemini-3-flash-preview"
FORMAT = "google-gemini-v1"
PNG = "data:image/png;base64,iVBORw0KGgo="
PLACE = {"project": "my-project", "location": "europe-west4"}


def dialect(model: str = FLASH, type_: str = "gemini", **settings: Any) -> Dialect:
    options = settings.pop("options", PLACE if type_ == "vertex" else {})
    key = Secret("AIza0123456789") if type_ == "gemini" else settings.pop("key", None)
    backend = Backend("g", type_, settings.pop("base_url", ""), key, options=options)
    return bind(backend, Target(f"g/{model}", "g", model, **settings))


def prepared(body: Mapping[str, Any], model: str = FLASH, **settings: Any) -> Prepared:
    whole = {"model": "route", "messages": HELLO, **body}
    found = dialect(model, **settings).chat(ChatRequest(b"", whole, "route", bool(whole.get("stream")), False))
    assert isinstance(found, Prepared), found
    return found


def asked(body: Mapping[str, Any], model: str = FLASH, **settings: Any) -> Any:
    return orjson.loads(prepared(body, model, **settings).call.body)


def contents(messages: list[Any], model: str = FLASH, **settings: Any) -> Any:
    return asked({"messages": messages}, model, **settings)["contents"]


def refused(messages: list[Any], model: str = FLASH, **settings: Any) -> Failure:
    body = {"model": "route", "messages": messages}
    found = dialect(model, **settings).chat(ChatRequest(b"", body, "route", False, False))
    assert isinstance(found, Failure)
    assert found.kind is FailureKind.UNSUPPORTED
    return found


def line(found: Prepared) -> str:
    return found.call.head.split(b"\r\n")[0].decode()


def media(url: str, model: str = FLASH, **settings: Any) -> Any:
    message = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}
    return contents([message], model, **settings)[0]["parts"][0]


def call(key: str, arguments: str = "{}", **more: Any) -> dict[str, Any]:
    return {"id": key, "type": "function", "function": {"name": f"fn_{key}", "arguments": arguments}, **more}


def signed(signature: str) -> dict[str, Any]:
    return {"extra_content": {"google": {"thought_signature": signature}}}


# Where it goes ---------------------------------------------------------------------------------------------------


def test_the_model_and_the_method_stand_in_the_path_and_the_key_in_a_header() -> None:
    found = prepared({})
    assert line(found) == "POST /v1beta/models/gemini-2.5-flash:generateContent HTTP/1.1"
    assert b"\r\nx-goog-api-key: AIza0123456789\r\n" in found.call.head
    assert b"authorization" not in found.call.head.lower()
    assert line(prepared({"stream": True})).endswith(":streamGenerateContent?alt=sse HTTP/1.1")


@pytest.mark.parametrize(
    ("location", "host", "where"),
    [
        ("us-central1", "us-central1-aiplatform.googleapis.com", "us-central1"),
        ("global", "aiplatform.googleapis.com", "global"),
        ("eu", "aiplatform.eu.rep.googleapis.com", "eu"),
        (None, "aiplatform.googleapis.com", "global"),
    ],
)
def test_vertex_is_found_by_project_and_location(location: str | None, host: str, where: str) -> None:
    options = {"project": "my-project", **({"location": location} if location else {})}
    found = prepared({}, type_="vertex", options=options)
    path = f"/v1beta1/projects/my-project/locations/{where}/publishers/google/models/gemini-2.5-flash"
    assert line(found) == f"POST {path}:generateContent HTTP/1.1"
    assert f"\r\nHost: {host}\r\n".encode() in found.call.head
    assert b"authorization" not in found.call.head.lower()
    assert origin(Backend("v", "vertex", options=options)) == Origin("https", host, 443)


def test_on_vertex_a_key_can_stand_for_the_project_and_a_tuned_model_has_an_endpoint() -> None:
    found = prepared({}, type_="vertex", options={"location": "us-central1"}, key=Secret("express-key-1"))
    assert line(found) == "POST /v1beta1/publishers/google/models/gemini-2.5-flash:generateContent HTTP/1.1"
    assert b"\r\nHost: aiplatform.googleapis.com\r\n" in found.call.head
    assert b"\r\nx-goog-api-key: express-key-1\r\n" in found.call.head
    tuned = prepared({}, "endpoints/123", type_="vertex")
    assert "/locations/europe-west4/endpoints/123:generateContent" in line(tuned)


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("../../v1/files?key=1", "/models/%2E%2E/%2E%2E/v1/files%3Fkey%3D1"),
        ("a:countTokens", "/models/a%3AcountTokens"),
        ("a b\r\nX: y", "/models/a%20b%0D%0AX%3A%20y"),
        ("tunedModels/mine-1", "/tunedModels/mine-1"),
        ("models/gemini-2.5-flash", "/models/gemini-2.5-flash"),
    ],
)
def test_a_model_that_a_request_names_stays_within_its_place_in_the_path(model: str, path: str) -> None:
    found = dialect("").chat(ChatRequest(b"", {"messages": HELLO}, f"g/{model}", False, False))
    assert isinstance(found, Prepared)
    assert line(found) == f"POST /v1beta{path}:generateContent HTTP/1.1"


# Roles and parts -------------------------------------------------------------------------------------------------


def test_instructions_stand_apart_and_turns_alternate() -> None:
    said = [
        {"role": "system", "content": "Be brief."},
        {"role": "developer", "content": [{"type": "text", "text": "And kind."}]},
        {"role": "user", "content": "a"},
        {"role": "user", "content": "b"},
        {"role": "assistant", "content": "c"},
        {"role": "system", "content": "d"},
    ]
    body = asked({"messages": said})
    assert body["systemInstruction"] == {"parts": [{"text": "Be brief."}, {"text": "And kind."}]}
    assert body["contents"] == [
        {"role": "user", "parts": [{"text": "a"}, {"text": "b"}]},
        {"role": "model", "parts": [{"text": "c"}]},
        {"role": "user", "parts": [{"text": "d"}]},
    ]


@pytest.mark.parametrize(
    ("messages", "first"),
    [
        ([{"role": "user", "content": ""}], " "),
        ([{"role": "assistant", "content": "c"}], " "),
        ([{"role": "system", "content": "s"}], "s"),
        ([], " "),
    ],
)
def test_there_is_always_a_turn_of_the_user_with_something_in_it(messages: list[Any], first: str) -> None:
    assert contents(messages)[0] == {"role": "user", "parts": [{"text": first}]}


def test_media_in_data_urls_goes_inline() -> None:
    assert media(PNG) == {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}}
    audio = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}}
    pdf = {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}}
    assert contents([{"role": "user", "content": [audio, pdf]}])[0]["parts"] == [
        {"inlineData": {"mimeType": "audio/mp3", "data": "AAAA"}},
        {"inlineData": {"mimeType": "application/pdf", "data": "JVBERi0="}},
    ]


def test_addresses_are_handed_on_where_google_fetches_them_itself() -> None:
    url = "https://example.com/a/cat.png?x=1"
    assert media(url) == {"fileData": {"mimeType": "image/png", "fileUri": url}}
    assert media("https://example.com/cat") == {"fileData": {"fileUri": "https://example.com/cat"}}
    assert media("https://example.com/cat", type_="vertex")["fileData"]["mimeType"] == "image/jpeg"
    assert media("gs://bucket/a.pdf", type_="vertex")["fileData"]["fileUri"] == "gs://bucket/a.pdf"
    tube = "https://www.youtube.com/watch?v=1"
    assert media(tube, OLD) == {"fileData": {"fileUri": tube}}
    own = "https://generativelanguage.googleapis.com/v1beta/files/abc"
    assert media(own, OLD) == {"fileData": {"fileUri": own}}


@pytest.mark.parametrize(
    ("part", "model"),
    [
        ({"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}, OLD),
        ({"type": "image_url", "image_url": {"url": "gs://bucket/a.png"}}, FLASH),
        ({"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}, FLASH),
        ({"type": "image_url", "image_url": {"url": "https://["}}, FLASH),
        ({"type": "file", "file": {"file_id": "file-abc"}}, FLASH),
    ],
)
def test_what_nobody_would_fetch_is_refused_in_clear_words(part: Any, model: str) -> None:
    assert refused([{"role": "user", "content": [part]}], model).message


# Calls, results, thoughts ----------------------------------------------------------------------------------------


def history(first: dict[str, Any], second: dict[str, Any] | None = None, **more: Any) -> list[Any]:
    """A user's question, calls, and their results in the other order."""
    calls = [one for one in (first, second) if one is not None]
    results = [{"role": "tool", "tool_call_id": one["id"], "content": f"of {one['id']}"} for one in reversed(calls)]
    return [*HELLO, {"role": "assistant", "content": None, "tool_calls": calls, **more}, *results]


def test_results_have_their_calls_names_and_stand_in_their_order() -> None:
    _, model, user = contents(history(call("1", '{"a": [1]}'), call("2", "")))
    assert model == {
        "role": "model",
        "parts": [
            {"functionCall": {"name": "fn_1", "args": {"a": [1]}}},
            {"functionCall": {"name": "fn_2", "args": {}}},
        ],
    }
    assert user["parts"] == [
        {"functionResponse": {"name": "fn_1", "response": {"result": "of 1"}}},
        {"functionResponse": {"name": "fn_2", "response": {"result": "of 2"}}},
    ]


def test_from_gemini_3_on_calls_and_results_have_their_ids() -> None:
    _, model, user = contents(history(call("1", **signed("c2ln"))), NEW)
    assert model["parts"] == [{"functionCall": {"id": "1", "name": "fn_1", "args": {}}, "thoughtSignature": "c2ln"}]
    assert user["parts"] == [{"functionResponse": {"id": "1", "name": "fn_1", "response": {"result": "of 1"}}}]


def test_a_result_stays_a_text_so_that_large_numbers_survive() -> None:
    messages = history(call("1"))
    messages[-1]["content"] = '{"id": 9007199254740993}'
    assert contents(messages)[-1]["parts"][0]["functionResponse"]["response"] == {"result": '{"id": 9007199254740993}'}


def test_images_in_results_stand_within_them_where_that_is_possible_and_else_beside_them() -> None:
    messages = history(call("1", **signed("c2ln")))
    messages[-1]["content"] = [{"type": "text", "text": "see"}, {"type": "image_url", "image_url": {"url": PNG}}]
    image = {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}}
    (within,) = contents(messages, NEW)[-1]["parts"]
    assert within["functionResponse"]["parts"] == [image]
    result, beside = contents(messages, FLASH)[-1]["parts"]
    assert "parts" not in result["functionResponse"]
    assert beside == image


def test_signatures_go_back_where_they_came_from() -> None:
    thoughts = [
        {"type": "reasoning.text", "text": "Hm.", "signature": "dGhpbms=", "format": FORMAT},
        {"type": "reasoning.encrypted", "data": "d29yZHM=", "format": FORMAT},
    ]
    message = {"role": "assistant", "content": "Yes.", "reasoning_details": thoughts}
    assert contents([*HELLO, message], NEW)[1]["parts"] == [
        {"text": "Hm.", "thought": True, "thoughtSignature": "dGhpbms="},
        {"text": "Yes.", "thoughtSignature": "d29yZHM="},
    ]
    silent = {"role": "assistant", "content": "", "reasoning_details": thoughts[1:]}
    assert contents([*HELLO, silent], NEW)[1]["parts"] == [{"text": "", "thoughtSignature": "d29yZHM="}]


def test_other_providers_thoughts_are_left_out_and_their_calls_marked_as_unsigned() -> None:
    foreign = [{"type": "reasoning.text", "text": "Hm.", "signature": "x", "format": "anthropic-claude-v1"}]
    messages = history(call("1"), call("2"), reasoning_details=foreign, reasoning_content="Hm.")
    first, second = contents(messages, NEW)[1]["parts"]
    assert first["thoughtSignature"] == "skip_thought_signature_validator"
    assert "thoughtSignature" not in second
    assert all("thoughtSignature" not in part for part in contents(messages, FLASH)[1]["parts"])


def test_a_signature_that_is_none_of_googles_is_left_out() -> None:
    details = [{"type": "reasoning.text", "text": "Hm.", "signature": "sig: x", "format": FORMAT}]
    messages = history(call("1", **signed("not base64!")), reasoning_details=details)
    (part,) = contents(messages, NEW)[1]["parts"]
    assert part["thoughtSignature"] == "skip_thought_signature_validator"


def test_a_signature_that_came_as_a_detail_goes_to_the_first_call() -> None:
    details = [{"type": "reasoning.encrypted", "data": "c2ln", "format": FORMAT}]
    first, second = contents(history(call("1"), call("2"), reasoning_details=details), NEW)[1]["parts"]
    assert first["thoughtSignature"] == "c2ln"
    assert "thoughtSignature" not in second


# Tools and formats -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("choice", "config"),
    [
        ("auto", {"mode": "AUTO"}),
        ("none", {"mode": "NONE"}),
        ("required", {"mode": "ANY"}),
        ({"type": "function", "function": {"name": "f"}}, {"mode": "ANY", "allowedFunctionNames": ["f"]}),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [TOOL]}},
            {"mode": "VALIDATED", "allowedFunctionNames": ["f"]},
        ),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [TOOL]}},
            {"mode": "ANY", "allowedFunctionNames": ["f"]},
        ),
    ],
)
def test_the_choice_of_tools(choice: Any, config: Any) -> None:
    body = asked({"tools": [TOOL], "tool_choice": choice})
    assert body["toolConfig"] == {"functionCallingConfig": config}
    assert body["tools"] == [{"functionDeclarations": [{"name": "f"}]}]


def test_a_choice_without_tools_says_nothing() -> None:
    assert asked({"tool_choice": "auto"}) == {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}


def test_the_older_functions_are_tools_too() -> None:
    found = prepared({"functions": [{"name": "f", "description": "d"}], "function_call": {"name": "f"}})
    body = orjson.loads(found.call.body)
    assert body["tools"] == [{"functionDeclarations": [{"name": "f", "description": "d"}]}]
    assert body["toolConfig"]["functionCallingConfig"] == {"mode": "ANY", "allowedFunctionNames": ["f"]}
    assert not found.dropped


def schema_asked(model: str, **more: Any) -> Prepared:
    schema = {"$ref": "#/definitions/x", "definitions": {"x": {"properties": {"a": {"const": 1, "not": {}}}}}}
    form = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    return prepared({"response_format": form, **more}, model)


def test_a_response_schema_is_handed_on_as_far_as_it_is_taken() -> None:
    config = orjson.loads(schema_asked(FLASH).call.body)["generationConfig"]
    assert config == {
        "responseMimeType": "application/json",
        "responseJsonSchema": {"$ref": "#/$defs/x", "$defs": {"x": {"properties": {"a": {"enum": [1]}}}}},
    }
    old = orjson.loads(schema_asked(OLD).call.body)["generationConfig"]
    assert old["responseSchema"]["properties"]["a"] == {"type": "INTEGER", "description": "One of: 1."}
    assert asked({"response_format": {"type": "json_object"}})["generationConfig"] == {
        "responseMimeType": "application/json"
    }
    assert "generationConfig" not in asked({"response_format": {"type": "text"}})


def test_before_gemini_3_a_format_and_functions_exclude_each_other() -> None:
    assert schema_asked(FLASH, tools=[TOOL]).unsupported == ("response_format",)
    assert schema_asked(NEW, tools=[TOOL]).unsupported == ()


# Parameters ------------------------------------------------------------------------------------------------------


def test_parameters_have_their_names_in_the_generation_config() -> None:
    found = prepared(
        {
            **{"temperature": 0.5, "top_p": 0.9, "top_k": 3, "n": 2, "seed": 2**40 + 5, "stop": "END"},
            **{"max_tokens": 5, "max_completion_tokens": 7, "presence_penalty": 0.1, "frequency_penalty": 0.2},
            **{"logprobs": True, "top_logprobs": 4, "logit_bias": None, "user": None},
        }
    )
    assert orjson.loads(found.call.body)["generationConfig"] == {
        **{"temperature": 0.5, "topP": 0.9, "topK": 3, "candidateCount": 2, "seed": 5, "stopSequences": ["END"]},
        **{"maxOutputTokens": 7, "presencePenalty": 0.1, "frequencyPenalty": 0.2},
        **{"responseLogprobs": True, "logprobs": 4},
    }
    assert found.dropped == found.unsupported == ()


def test_what_gemini_has_no_word_for_is_named_and_what_means_nothing_there_only_left_out() -> None:
    body = {
        **{"logit_bias": {"1": 1}, "verbosity": "low", "modalities": ["text", "audio"], "audio": {"voice": "a"}},
        **{"parallel_tool_calls": False, "tools": [TOOL, {"type": "custom", "custom": {"name": "c"}}]},
        **{"user": "u", "metadata": {"a": "b"}, "store": True, "min_p": 0.1, "web_search_options": {}},
    }
    found = prepared(body)
    beyond = {"logit_bias", "verbosity", "modalities", "audio", "parallel_tool_calls", "tools", "min_p"}
    assert set(found.unsupported) == {*beyond, "web_search_options"}
    assert set(found.dropped) == {*found.unsupported, "user", "metadata", "store"}


def test_defaults_change_nothing_and_are_not_named() -> None:
    body = {"parallel_tool_calls": True, "verbosity": "medium", "modalities": ["text"], "service_tier": "auto"}
    assert prepared({**body, "logit_bias": {}, "logprobs": False}).dropped == ()


@pytest.mark.parametrize(
    ("model", "effort", "config"),
    [
        (FLASH, "none", {"thinkingBudget": 0}),
        (PRO, "none", {"thinkingBudget": 128}),
        (FLASH, "low", {"includeThoughts": True, "thinkingBudget": 1024}),
        (FLASH, "high", {"includeThoughts": True, "thinkingBudget": 24576}),
        (NEW, "none", {"thinkingLevel": "MINIMAL"}),
        (NEW, "medium", {"includeThoughts": True, "thinkingLevel": "MEDIUM"}),
        (NEW, "xhigh", {"includeThoughts": True, "thinkingLevel": "HIGH"}),
        ("gemini-3-pro-preview", "minimal", {"includeThoughts": True, "thinkingLevel": "LOW"}),
        ("gemini-3-pro-preview", "medium", {"includeThoughts": True, "thinkingLevel": "HIGH"}),
        ("gemini-3.1-pro-preview", "medium", {"includeThoughts": True, "thinkingLevel": "MEDIUM"}),
        ("gemini-flash-latest", "low", {"includeThoughts": True, "thinkingLevel": "LOW"}),
    ],
)
def test_an_effort_is_a_budget_or_a_level(model: str, effort: str, config: Any) -> None:
    assert asked({"reasoning_effort": effort}, model)["generationConfig"] == {"thinkingConfig": config}


def test_an_effort_means_nothing_to_a_model_that_does_not_think() -> None:
    assert prepared({"reasoning_effort": "low"}, OLD).unsupported == ("reasoning_effort",)


def test_googles_own_words_are_handed_on() -> None:
    google = {"thinking_config": {"thinking_budget": 5}, "cached_content": "cachedContents/1"}
    safety = [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}]
    own = {"generationConfig": {"mediaResolution": "MEDIA_RESOLUTION_LOW"}, "safetySettings": safety}
    found = prepared({"extra_body": {"google": google}, **own, "temperature": 1})
    body = orjson.loads(found.call.body)
    assert body["generationConfig"] == {
        "temperature": 1,
        "mediaResolution": "MEDIA_RESOLUTION_LOW",
        "thinkingConfig": {"thinkingBudget": 5},
    }
    assert body["cachedContent"] == "cachedContents/1"
    assert body["safetySettings"] == safety
    assert found.dropped == ()


def test_the_operators_safety_holds_unless_the_request_has_its_own() -> None:
    settings = asked({}, options={"safety": "BLOCK_NONE"})["safetySettings"]
    assert {one["threshold"] for one in settings} == {"BLOCK_NONE"}
    assert len({one["category"] for one in settings}) == 4
    assert asked({"safetySettings": []}, options={"safety": "BLOCK_NONE"})["safetySettings"] == []


def test_a_service_tier_goes_to_gemini_and_is_named_on_vertex() -> None:
    assert asked({"service_tier": "flex"})["serviceTier"] == "flex"
    assert prepared({"service_tier": "flex"}, type_="vertex").unsupported == ("service_tier",)


def test_defaults_overrides_and_drop_are_in_openais_terms() -> None:
    found = prepared(
        {"temperature": 1, "seed": 1},
        defaults={"top_p": 0.5, "temperature": 0},
        overrides={"max_tokens": 9, "generationConfig": {"topK": 2}},
        drop=frozenset({"seed", "nosuch"}),
    )
    config = orjson.loads(found.call.body)["generationConfig"]
    assert config == {"temperature": 1, "topP": 0.5, "maxOutputTokens": 9, "topK": 2}
    assert found.dropped == ("seed",)
    assert found.unsupported == ()


def test_that_a_partial_answer_is_continued_is_the_operators_word() -> None:
    assert dialect().prefill is None
    assert dialect(prefill=True).prefill == Prefill()


# Embeddings ------------------------------------------------------------------------------------------------------


def embedded(given: Any, model: str, type_: str = "gemini", **more: Any) -> Prepared:
    body = {"model": "route", "input": given, **more}
    found = dialect(model, type_).embed(EmbedRequest(b"", body, "route", False))
    assert isinstance(found, Prepared), found
    return found


def test_gemini_embeds_in_batches() -> None:
    found = embedded(["a", "b"], "gemini-embedding-001", dimensions=8, user="u", encoding_format="base64")
    assert line(found) == "POST /v1beta/models/gemini-embedding-001:batchEmbedContents HTTP/1.1"
    assert orjson.loads(found.call.body)["requests"] == [
        {
            "model": "models/gemini-embedding-001",
            "content": {"parts": [{"text": text}]},
            "outputDimensionality": 8,
        }
        for text in ("a", "b")
    ]
    assert found.dropped == ("user",)
    assert found.unsupported == ()


def test_vertex_embeds_by_predict_or_by_geminis_methods_and_never_cuts_unasked() -> None:
    found = embedded(["a", "b"], "text-embedding-005", "vertex", dimensions=8, task_type="CLUSTERING")
    assert line(found).endswith("/publishers/google/models/text-embedding-005:predict HTTP/1.1")
    assert orjson.loads(found.call.body) == {
        "instances": [{"content": "a", "task_type": "CLUSTERING"}, {"content": "b", "task_type": "CLUSTERING"}],
        "parameters": {"outputDimensionality": 8, "autoTruncate": False},
    }
    one = embedded("a", "gemini-embedding-001", "vertex", dimensions=8)
    assert line(one).endswith(":embedContent HTTP/1.1")
    config = {"outputDimensionality": 8, "autoTruncate": False}
    assert orjson.loads(one.call.body) == {
        "content": {"role": "user", "parts": [{"text": "a"}]},
        "embedContentConfig": config,
    }
    two = embedded(["a", "b"], "gemini-embedding-001", "vertex", auto_truncate=True)
    assert line(two).endswith(":batchEmbedContents HTTP/1.1")
    assert orjson.loads(two.call.body)["requests"][1] == {
        "content": {"role": "user", "parts": [{"text": "b"}]},
        "embedContentConfig": {"autoTruncate": True},
    }


@pytest.mark.parametrize("given", [[1, 2], [[1, 2]], [], None])
def test_tokens_cannot_be_embedded(given: Any) -> None:
    found = dialect("gemini-embedding-001").embed(EmbedRequest(b"", {"input": given}, "r", False))
    assert isinstance(found, Failure)
    assert (found.kind, found.param) == (FailureKind.UNSUPPORTED, "input")
