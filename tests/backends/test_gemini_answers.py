"""What Gemini's answers and errors mean, whole and streamed, beyond what was recorded."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from proxy.backends.registry import bind
from proxy.config.values import Backend
from proxy.core.chat import Completion, Embedding, End, Event, Kind
from proxy.core.dialect import Decoder, Malformed, Stamp
from proxy.core.failure import Failure, FailureKind
from proxy.core.route import Target
from proxy.core.usage import Usage
from proxy.testing.reference import told_by_stream

K = FailureKind
DIALECT = bind(Backend("g", "gemini"), Target("g/m", "g", "gemini-embedding-001"))
STAMP = Stamp("chatcmpl-0123456789", 1790000000, {})
FORMAT = "google-gemini-v1"


def candidate(*parts: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"content": {"role": "model", "parts": list(parts)}, **more}


def reply(*candidates: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"candidates": list(candidates), "modelVersion": "gemini-x", **more}


def event(value: object) -> bytes:
    return b"data: " + orjson.dumps(value) + b"\r\n\r\n"


def streamed(*values: object, wants_usage: bool = True) -> tuple[list[Event], Decoder]:
    decoder = DIALECT.decoder(wants_usage=wants_usage, stamp=STAMP)
    return decoder.feed(b"".join(map(event, values))), decoder


def chunks(events: list[Event]) -> list[Any]:
    return [orjson.loads(one.raw.removeprefix(b"data: ")) for one in events if one.raw]


def deltas(events: list[Event]) -> list[Any]:
    return [chunk["choices"][0]["delta"] for chunk in chunks(events) if chunk["choices"]]


def whole(value: object) -> Any:
    got = DIALECT.completion(orjson.dumps(value), stamp=STAMP)
    assert isinstance(got, Completion), got
    return orjson.loads(got.raw)


def failed(value: object) -> Failure:
    """The same failure, whole and streamed."""
    got = DIALECT.completion(orjson.dumps(value), stamp=STAMP)
    assert isinstance(got, Failure), got
    events, decoder = streamed(value)
    assert events[-1].kind is Kind.ERROR
    assert events[-1].failure == got
    assert decoder.close() is End.ERRORED
    return got


CALL = {"functionCall": {"name": "f", "args": {"a": 1}}}


def test_several_candidates_stay_apart_in_a_stream_and_it_ends_when_all_have() -> None:
    first = reply(candidate({"text": "a"}, index=0), candidate({"text": "x"}, index=1), responseId="id-1")
    second = reply(candidate({"text": "y"}, CALL, index=1, finishReason="STOP"))
    third = reply(candidate({"text": "b"}, index=0, finishReason="MAX_TOKENS"), usageMetadata={"promptTokenCount": 1})
    events, decoder = streamed(first, second)
    assert not decoder.finished
    assert decoder.close() is End.TRUNCATED
    events += decoder.feed(event(third))
    assert decoder.close() is End.COMPLETE
    assert decoder.choices_seen == 2
    told = told_by_stream(b"".join(one.raw for one in events))
    assert [told.choices[n].content for n in (0, 1)] == ["ab", "xy"]
    assert [told.choices[n].finish for n in (0, 1)] == ["length", "tool_calls"]
    assert {chunk["id"] for chunk in chunks(events)} == {"id-1"}
    both = (candidate({"text": text}, index=index, finishReason="STOP") for index, text in ((1, "x"), (0, "a")))
    assert [choice["message"]["content"] for choice in whole(reply(*both))["choices"]] == ["a", "x"]


def test_usage_counts_thoughts_as_output_and_what_tools_brought_in_as_input() -> None:
    counts = {
        **{"promptTokenCount": 100, "cachedContentTokenCount": 60, "toolUsePromptTokenCount": 7},
        **{"candidatesTokenCount": 20, "thoughtsTokenCount": 30, "totalTokenCount": 157, "serviceTier": "flex"},
    }
    value = reply(candidate({"text": "a"}, finishReason="STOP"), usageMetadata=counts)
    got = DIALECT.completion(orjson.dumps(value))
    assert isinstance(got, Completion)
    assert got.usage == Usage(107, 50, 60, 0, 30, tier="flex")
    assert orjson.loads(got.raw)["usage"] == {
        **{"prompt_tokens": 107, "completion_tokens": 50, "total_tokens": 157},
        "prompt_tokens_details": {"cached_tokens": 60},
        "completion_tokens_details": {"reasoning_tokens": 30},
    }


def test_usage_is_cumulative_and_the_last_counts_even_of_a_stream_that_is_left() -> None:
    values = [
        reply(candidate({"text": "a"}), usageMetadata={"promptTokenCount": 5, "candidatesTokenCount": made})
        for made in (1, 2, 3)
    ]
    _, decoder = streamed(*values)
    assert decoder.usage == Usage(5, 3)
    last = reply(candidate({"text": ""}, finishReason="STOP"), usageMetadata={"trafficType": "X"})
    events = decoder.feed(event(last))
    assert [one.usage for one in events if one.kind is Kind.USAGE] == [Usage(5, 3)]
    events = decoder.feed(event({"usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 4}}))
    assert [one.usage for one in events] == [Usage(5, 4)]


def test_thoughts_are_reasoning_and_what_is_signed_comes_as_details() -> None:
    parts: list[dict[str, Any]] = [
        {"text": "Hm.", "thought": True},
        {"text": "So.", "thought": True, "thoughtSignature": "dGg="},
        {"text": "Yes", "thoughtSignature": "d28="},
        {"text": "", "thoughtSignature": "bnU="},
    ]
    details: list[dict[str, Any]] = [
        {"type": "reasoning.text", "text": "So.", "signature": "dGg=", "format": FORMAT, "index": 0},
        {"type": "reasoning.encrypted", "data": "d28=", "format": FORMAT, "index": 1},
        {"type": "reasoning.encrypted", "data": "bnU=", "format": FORMAT, "index": 2},
    ]
    value = reply(candidate(*parts, finishReason="STOP"))
    message = whole(value)["choices"][0]["message"]
    assert (message["content"], message["reasoning_content"]) == ("Yes", "Hm.So.")
    assert message["reasoning_details"] == details
    events, decoder = streamed(value)
    said = deltas(events)
    assert [one for delta in said for one in delta.get("reasoning_details", ())] == details
    assert "".join(delta.get("reasoning_content", "") for delta in said) == "Hm.So."
    assert "".join(one.text for one in events) == "Yes"
    assert decoder.chars == 9


def test_a_calls_signature_travels_with_it_and_a_missing_id_is_made_of_the_answers() -> None:
    value = reply(candidate({**CALL, "thoughtSignature": "c2k="}, CALL, finishReason="STOP"), responseId="Abc_-9")
    signed, other = whole(value)["choices"][0]["message"]["tool_calls"]
    assert signed == {
        **{"id": "call_Abc_-9_0_0", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}},
        "extra_content": {"google": {"thought_signature": "c2k="}},
    }
    assert other["id"] == "call_Abc_-9_0_1"
    assert "extra_content" not in other
    events, _ = streamed(value)
    assert [one for delta in deltas(events) for one in delta.get("tool_calls", ())] == [
        {"index": 0, **signed},
        {"index": 1, **other},
    ]
    own = {"functionCall": {"name": "f", "id": "k1"}}
    (call,) = whole(reply(candidate(own, finishReason="STOP")))["choices"][0]["message"]["tool_calls"]
    assert (call["id"], call["function"]["arguments"]) == ("k1", "{}")


def test_log_probabilities_are_openais() -> None:
    probable = {
        "chosenCandidates": [{"token": "é", "tokenId": 5, "logProbability": -0.5}],
        "topCandidates": [{"candidates": [{"token": "é", "logProbability": -0.5}, {"token": "e"}]}],
    }
    value = reply(candidate({"text": "é"}, finishReason="STOP", logprobsResult=probable))
    token = {"token": "é", "logprob": -0.5, "bytes": [195, 169]}
    expected = {
        "content": [{**token, "top_logprobs": [token, {"token": "e", "logprob": 0.0, "bytes": [101]}]}],
        "refusal": None,
    }
    assert whole(value)["choices"][0]["logprobs"] == expected
    events, _ = streamed(value)
    assert [chunk["choices"][0].get("logprobs") for chunk in chunks(events)] == [None, expected, None]


def test_an_image_is_handed_on_as_a_data_url() -> None:
    value = reply(candidate({"inlineData": {"mimeType": "image/png", "data": "AAAA"}}, finishReason="STOP"))
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    message = whole(value)["choices"][0]["message"]
    assert (message["content"], message["images"]) == (None, [image])
    events, decoder = streamed(value)
    assert {"images": [image]} in deltas(events)
    assert not decoder.empty


@pytest.mark.parametrize(
    "reason", ["SAFETY", "RECITATION", "PROHIBITED_CONTENT", "BLOCKLIST", "SPII", "LANGUAGE", 3, 8]
)
def test_a_filter_that_steps_in_is_told_as_the_finish_reason(reason: object) -> None:
    value = reply(candidate({"text": "Half"}, finishReason=reason))
    assert whole(value)["choices"][0]["finish_reason"] == "content_filter"
    events, decoder = streamed(value)
    assert chunks(events)[-1]["choices"][0]["finish_reason"] == "content_filter"
    assert not decoder.filtered
    _, silent = streamed(reply({"finishReason": reason, "index": 0}))
    assert silent.filtered
    assert silent.empty


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("MALFORMED_FUNCTION_CALL", K.TOOL_USE),
        ("UNEXPECTED_TOOL_CALL", K.TOOL_USE),
        ("MISSING_THOUGHT_SIGNATURE", K.UNSUPPORTED),
        ("OTHER", K.SERVER_ERROR),
        (5, K.SERVER_ERROR),
        ("SOMETHING_NEW", K.SERVER_ERROR),
    ],
)
def test_a_reason_that_is_no_finish_is_a_failure_and_never_a_clean_end(reason: object, kind: FailureKind) -> None:
    got = failed(reply(candidate({"text": "Half"}, finishReason=reason)))
    assert got.kind is kind


def test_where_every_chunk_has_a_finish_reason_the_last_one_holds() -> None:
    """As the models of 2024 sent them."""
    values = [reply(candidate({"text": text}, finishReason=why)) for text, why in (("a", "STOP"), ("b", "MAX_TOKENS"))]
    events, decoder = streamed(*values)
    told = told_by_stream(b"".join(one.raw for one in events)).choices[0]
    assert (told.content, told.finish) == ("ab", "length")
    assert decoder.close() is End.COMPLETE
    assert whole(values)["choices"][0]["finish_reason"] == "length"


def test_a_blocked_prompt_tells_why_and_shows_nothing_of_it() -> None:
    got = failed({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {"promptTokenCount": 5}})
    assert (got.kind, got.code) == (K.FILTERED, "prohibited_content")


def test_a_budget_that_went_into_hidden_thoughts_is_no_empty_answer_but_silence_is() -> None:
    counts = {"promptTokenCount": 1, "thoughtsTokenCount": 50}
    spent = reply({"content": {"role": "model"}, "finishReason": "MAX_TOKENS"}, usageMetadata=counts)
    silent = reply(candidate({"text": ""}, finishReason="STOP"), usageMetadata=counts)
    for value, empty in ((spent, False), (silent, True)):
        got = DIALECT.completion(orjson.dumps(value))
        assert isinstance(got, Completion)
        assert got.empty is empty
        assert streamed(value)[1].empty is empty


def test_an_answer_without_a_finish_reason_is_none() -> None:
    with pytest.raises(Malformed):
        DIALECT.completion(orjson.dumps(reply(candidate({"text": "Half"}))))
    with pytest.raises(Malformed):
        DIALECT.completion(b'{"choices": []}')


# Errors ----------------------------------------------------------------------------------------------------------


def status(code: int, word: str, message: str, *details: Any) -> dict[str, Any]:
    return {"error": {"code": code, "status": word, "message": message, "details": list(details)}}


def quota(key: str) -> dict[str, Any]:
    return {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": key}]}


DELAY = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "27.5s"}
MINUTE = "GenerateRequestsPerMinutePerProjectPerModel-FreeTier"
DAY = "GenerateRequestsPerDayPerProjectPerModel-FreeTier"
LIMIT = "RESOURCE_EXHAUSTED"
BAD = "INVALID_ARGUMENT"
ERRORS = [
    (status(429, LIMIT, "You exceeded your current quota", quota(MINUTE), DELAY), K.RATE_LIMITED, 27.5),
    (status(429, LIMIT, "Resource has been exhausted (e.g. check quota)."), K.RATE_LIMITED, None),
    (status(429, LIMIT, "You exceeded your current quota. Please retry in 27s.", quota(DAY), DELAY), K.QUOTA, None),
    (status(429, LIMIT, "Quota exceeded, limit: 0, model: gemini-3-pro. Please retry in 5s."), K.QUOTA, None),
    (status(503, "UNAVAILABLE", "The model is overloaded. Please try again later."), K.OVERLOADED, None),
    (status(500, "INTERNAL", "An internal error has occurred."), K.SERVER_ERROR, None),
    (status(504, "DEADLINE_EXCEEDED", "The request timed out."), K.SERVER_ERROR, None),
    (status(403, "PERMISSION_DENIED", "Your API key was reported as leaked."), K.KEY_REFUSED, None),
    (status(401, "UNAUTHENTICATED", "Request had invalid authentication credentials."), K.KEY_REFUSED, None),
    (status(400, "FAILED_PRECONDITION", "User location is not supported for the API use."), K.KEY_REFUSED, None),
    (
        status(400, BAD, "The input token count (1200009) exceeds the maximum number of tokens allowed (1048576)."),
        *(K.CONTEXT_LENGTH, None),
    ),
    (
        status(400, BAD, "The input token count is 9000 but the model only supports up to 2048. Reduce it."),
        *(K.CONTEXT_LENGTH, None),
    ),
    (status(429, LIMIT, "Your project has exceeded its monthly spending cap. Retry in 5s."), K.QUOTA, None),
    (status(400, "FAILED_PRECONDITION", "Please enable billing on your project."), K.KEY_REFUSED, None),
    (status(403, "PERMISSION_DENIED", "Permission 'aiplatform.endpoints.predict' denied"), K.KEY_REFUSED, None),
    (status(400, BAD, "Function calling is not enabled for models/gemma-3"), K.UNSUPPORTED, None),
    (status(400, BAD, "Logprobs is not enabled for models/gemini-2.5-pro"), K.UNSUPPORTED, None),
    (status(400, BAD, "Thinking level is not supported for this model."), K.UNSUPPORTED, None),
    (status(400, BAD, "Function call is missing a thought_signature in functionCall parts."), K.UNSUPPORTED, None),
    (status(400, BAD, "Unknown name \"x\" at 'tools[0]': Cannot find field."), K.UNSUPPORTED, None),
    (status(400, BAD, "Request payload size exceeds the limit: 20971520 bytes."), K.UNSUPPORTED, None),
    (status(400, BAD, "Unsupported MIME type: image/bmp"), K.UNSUPPORTED, None),
    (status(400, BAD, "Invalid value at 'generation_config.temperature'"), K.BAD_REQUEST, None),
]


@pytest.mark.parametrize(("body", "kind", "wait"), ERRORS, ids=lambda value: getattr(value, "value", None))
def test_googles_errors_land_on_their_rows_however_they_come(
    body: dict[str, Any], kind: FailureKind, wait: float | None
) -> None:
    code = body["error"]["code"]
    for value in (body, [body]):
        got = DIALECT.failure(code, [], orjson.dumps(value))
        assert (got.kind, got.retry_after, got.status) == (kind, wait, code)
        assert got.message
        assert failed(value)._replace(message="") == got._replace(message="")


def test_an_error_between_the_events_without_data_before_it_is_found() -> None:
    """As google-genai reads it too."""
    bare = orjson.dumps(status(503, "UNAVAILABLE", "overloaded"), option=orjson.OPT_INDENT_2)
    for text in (bare, b"[" + bare + b"\n]", bare.replace(b"\n", b"\r\n")):
        decoder = DIALECT.decoder(wants_usage=False, stamp=STAMP)
        body = event(reply(candidate({"text": "a"}))) + text + b"\r\n" + event(reply(candidate({"text": "b"})))
        events = [one for byte in body for one in decoder.feed(bytes([byte]))]
        assert [one.kind for one in events] == [Kind.EMPTY, Kind.CONTENT, Kind.ERROR]
        assert events[-1].failure is not None
        assert events[-1].failure.kind is K.OVERLOADED
        assert decoder.close() is End.ERRORED


# Embeddings ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "usage"),
    [
        ({"embeddings": [{"values": [0.5]}, {"values": [1]}]}, None),
        ({"embeddings": [{"values": [0.5]}, {"values": [1]}], "usageMetadata": {"promptTokenCount": 4}}, Usage(4, 0)),
        (
            {"predictions": [{"embeddings": {"values": [v], "statistics": {"token_count": 3}}} for v in (0.5, 1)]},
            Usage(6, 0),
        ),
    ],
)
def test_embeddings_of_every_shape_are_openais(body: Any, usage: Usage | None) -> None:
    got = DIALECT.embedding(orjson.dumps(body), base64=False)
    assert isinstance(got, Embedding)
    assert got.usage == usage
    read = orjson.loads(got.raw)
    assert [row["embedding"] for row in read["data"]] == [[0.5], [1]]
    assert read["model"] == "gemini-embedding-001"


def test_a_single_embedding_of_vertex() -> None:
    got = DIALECT.embedding(orjson.dumps({"embedding": {"values": [1.0, -2.0]}, "truncated": False}), base64=True)
    assert isinstance(got, Embedding)
    assert orjson.loads(got.raw)["data"] == [{"object": "embedding", "index": 0, "embedding": "AACAPwAAAMA="}]
