"""What Anthropic can say besides what was recorded: citations, redacted thoughts, its own tools, errors in a stream."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from proxy.backends.registry import bind
from proxy.config.values import Backend
from proxy.core.chat import Completion, End, Event, Kind
from proxy.core.dialect import Decoder, Dialect, Malformed, Stamp
from proxy.core.failure import Failure, FailureKind
from proxy.core.route import Target
from proxy.core.secret import Secret
from proxy.core.usage import Usage
from proxy.testing.reference import told_by_answer, told_by_stream

KEY = "sk-ant-api03-0123456789abcdef"
STAMP = Stamp("chatcmpl-1", 7, {})
NATIVE = STAMP._replace(native="messages")
USAGE = {"input_tokens": 10, "cache_read_input_tokens": 5, "cache_creation_input_tokens": 2, "output_tokens": 3}
FORMAT = "anthropic-claude-v1"


def dialect() -> Dialect:
    return bind(Backend("a", "anthropic", api_key=Secret(KEY)), Target("a/m", "a", "claude-sonnet-4-5"))


def sse(*events: dict[str, Any]) -> bytes:
    return b"".join(b"event: %s\ndata: %s\n\n" % (str(one["type"]).encode(), orjson.dumps(one)) for one in events)


def start(usage: Any = USAGE) -> dict[str, Any]:
    return {"type": "message_start", "message": {"id": "msg_1", "model": "claude", "content": [], "usage": usage}}


def opened(index: int, kind: str, **more: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": {"type": kind, **more}}


def delta(index: int, kind: str, **more: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **more}}


def closed(index: int) -> dict[str, Any]:
    return {"type": "content_block_stop", "index": index}


def stopped(reason: str | None = "end_turn", **usage: Any) -> dict[str, Any]:
    return {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}, "usage": usage}


STOP: dict[str, Any] = {"type": "message_stop"}
HI = (opened(0, "text", text=""), delta(0, "text_delta", text="Hi"), closed(0))


def fed(*events: dict[str, Any], stamp: Stamp = STAMP, wants_usage: bool = False) -> tuple[list[Event], Decoder]:
    decoder = dialect().decoder(wants_usage=wants_usage, stamp=stamp)
    return decoder.feed(sse(*events)), decoder


def deltas(events: list[Event]) -> list[Any]:
    chunks = [orjson.loads(event.raw.removeprefix(b"data: ")) for event in events if event.raw]
    return [chunk["choices"][0]["delta"] for chunk in chunks if chunk["choices"]]


def whole(*blocks: dict[str, Any], stop: str = "end_turn", stamp: Stamp = STAMP) -> Completion:
    message = {
        "id": "msg_1",
        "type": "message",
        "model": "claude",
        "content": blocks,
        "stop_reason": stop,
        "usage": USAGE,
    }
    found = dialect().completion(orjson.dumps(message), stamp=stamp)
    assert isinstance(found, Completion)
    return found


def message(found: Completion) -> Any:
    return orjson.loads(found.raw)["choices"][0]["message"]


# Thoughts ------------------------------------------------------------------------------------------------------------


def test_thoughts_are_shown_and_come_whole_with_their_signature() -> None:
    events, decoder = fed(
        start(),
        opened(0, "thinking", thinking="", signature=""),
        delta(0, "thinking_delta", thinking="Let me "),
        delta(0, "thinking_delta", thinking="see."),
        delta(0, "signature_delta", signature="sig"),
        closed(0),
        opened(1, "redacted_thinking", data="secret"),
        closed(1),
        opened(2, "thinking", thinking="", signature=""),
        delta(2, "signature_delta", signature="sig2"),
        closed(2),
        *HI,
        stopped(output_tokens=9),
    )
    details = [
        {"type": "reasoning.text", "text": "Let me see.", "signature": "sig", "format": FORMAT, "index": 0},
        {"type": "reasoning.encrypted", "data": "secret", "format": FORMAT, "index": 1},
        {"type": "reasoning.text", "text": "", "signature": "sig2", "format": FORMAT, "index": 2},
    ]
    found = [one for said in deltas(events) for one in said.get("reasoning_details", [])]
    assert found == details
    assert "".join(said.get("reasoning_content", "") for said in deltas(events)) == "Let me see."
    assert decoder.chars == len("Let me see.Hi")
    answer = message(
        whole(
            {"type": "thinking", "thinking": "Let me see.", "signature": "sig"},
            {"type": "redacted_thinking", "data": "secret"},
            {"type": "thinking", "thinking": "", "signature": "sig2"},
            {"type": "text", "text": "Hi"},
        )
    )
    assert (answer["reasoning_details"], answer["reasoning_content"], answer["content"]) == (
        details,
        "Let me see.",
        "Hi",
    )


def test_a_signature_alone_is_no_answer() -> None:
    _, decoder = fed(start(), opened(0, "thinking", thinking="", signature="s"), closed(0), stopped(output_tokens=4))
    assert decoder.finished
    assert decoder.empty
    assert whole({"type": "thinking", "thinking": "", "signature": "s"}).empty


def test_a_budget_that_went_into_hidden_thoughts_is_no_empty_answer() -> None:
    block = opened(0, "thinking", thinking="", signature="s")
    _, decoder = fed(start(), block, closed(0), stopped("max_tokens", output_tokens=4))
    assert not decoder.empty
    assert not whole({"type": "thinking", "thinking": "", "signature": "s"}, stop="max_tokens").empty


# Tools ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "pieces", "arguments"),
    [
        ({}, ['{"a"', ": 1}"], '{"a": 1}'),
        ({}, [], "{}"),
        ({}, [""], "{}"),
        ({"a": 1}, [], '{"a":1}'),
        (None, [], "{}"),
    ],
)
def test_a_calls_arguments_are_json_however_they_come(given: Any, pieces: list[str], arguments: str) -> None:
    events, decoder = fed(
        start(),
        opened(0, "tool_use", id="toolu_1", name="f", input=given),
        *(delta(0, "input_json_delta", partial_json=piece) for piece in pieces),
        closed(0),
        opened(1, "tool_use", id="toolu_2", name="g", input={}),
        closed(1),
        stopped("tool_use", output_tokens=9),
    )
    told = told_by_stream(b"".join(event.raw for event in events)).choices[0]
    assert told.tools == {0: ["f", arguments], 1: ["g", "{}"]}
    assert told.finish == "tool_calls"
    assert deltas(events)[1]["tool_calls"][0]["id"] == "toolu_1"
    assert all(event.kind in (Kind.TOOL, Kind.EMPTY, Kind.USAGE) for event in events)
    assert decoder.chars == len(f"f{arguments}g{{}}")


def test_a_client_of_the_older_functions_gets_a_function_call() -> None:
    stamp = STAMP._replace(body={"functions": [{"name": "f"}]})
    block = opened(0, "tool_use", id="toolu_1", name="f", input={})
    piece = delta(0, "input_json_delta", partial_json='{"a":1}')
    events, _ = fed(start(), block, piece, closed(0), stopped("tool_use"), stamp=stamp)
    told = told_by_stream(b"".join(event.raw for event in events)).choices[0]
    assert (told.tools, told.finish) == ({0: ["f", '{"a":1}']}, "function_call")
    assert not any("tool_calls" in said for said in deltas(events))
    found = whole({"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}}, stop="tool_use", stamp=stamp)
    assert message(found)["function_call"] == {"name": "f", "arguments": '{"a":1}'}
    assert told_by_answer(found.raw).choices[0].finish == "function_call"
    assert found.chars == len('f{"a":1}')


OWN = (
    opened(0, "server_tool_use", id="srvtoolu_1", name="web_search", input={}),
    delta(0, "input_json_delta", partial_json='{"query": "x"}'),
    closed(0),
    opened(1, "web_search_tool_result", tool_use_id="srvtoolu_1", content=[]),
    closed(1),
)


def test_calls_of_anthropics_own_tools_are_no_calls_for_the_client() -> None:
    events, decoder = fed(start(), *OWN, *HI, stopped(output_tokens=9), STOP)
    assert not any("tool_calls" in said for said in deltas(events))
    assert decoder.chars == 2
    assert decoder.close() is End.COMPLETE


def test_for_a_client_that_speaks_it_they_are_content() -> None:
    events, decoder = fed(start(), *OWN, stopped("pause_turn", output_tokens=9), STOP, stamp=NATIVE)
    assert [event.kind for event in events][1] is Kind.CONTENT
    assert not decoder.empty
    found = whole({"type": "server_tool_use", "id": "x", "name": "web_search", "input": {}}, stamp=NATIVE)
    assert not found.empty


# Ends ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
        ("pause_turn", "length"),
        ("model_context_window_exceeded", "length"),
        ("something_new", "stop"),
    ],
)
def test_every_stop_reason_is_one_of_openais(reason: str, finish: str) -> None:
    events, decoder = fed(start(), *HI, stopped(reason, output_tokens=3))
    assert told_by_stream(b"".join(event.raw for event in events)).choices[0].finish == finish
    assert decoder.close() is End.COMPLETE
    assert told_by_answer(whole({"type": "text", "text": "Hi"}, stop=reason).raw).choices[0].finish == finish


def test_a_refusal_before_any_word_is_the_filters() -> None:
    _, decoder = fed(start(), stopped("refusal", output_tokens=1), STOP)
    assert decoder.filtered
    assert whole(stop="refusal").filtered
    _, decoder = fed(start(), *HI, stopped("refusal", output_tokens=1), STOP)
    assert not decoder.filtered


def test_the_last_usage_counts_and_keeps_what_the_first_said() -> None:
    events, decoder = fed(
        start(), *HI, stopped(None, output_tokens=4), stopped(output_tokens=6, input_tokens=11), STOP, wants_usage=True
    )
    assert decoder.usage == Usage(11 + 5 + 2, 6, 5, 2)
    usages = told_by_stream(b"".join(event.raw for event in events)).usages
    assert usages == [
        {
            "prompt_tokens": 18,
            "completion_tokens": 6,
            "total_tokens": 24,
            "prompt_tokens_details": {"cached_tokens": 5, "cache_write_tokens": 2},
        }
    ]
    _, silent = fed(start(None), *HI, stopped())
    assert silent.usage is None


def test_a_message_stop_ends_it_and_nothing_after_it_counts() -> None:
    events, decoder = fed(start(), *HI, STOP, *HI, stopped())
    assert [event.kind for event in events][-1] is Kind.DONE
    assert decoder.chars == 2
    assert decoder.close() is End.COMPLETE
    assert decoder.feed(sse(*HI)) == []


def test_pings_and_what_is_new_say_nothing_to_others_and_are_handed_on_to_those_who_speak_it() -> None:
    odd = ({"type": "ping"}, {"type": "something_new", "x": 1}, opened(9, "compaction"), delta(9, "x_delta"), closed(9))
    events, _ = fed(start(), *odd, *HI, stopped(output_tokens=1), STOP)
    plain, _ = fed(start(), *HI, stopped(output_tokens=1), STOP)
    assert events == plain
    native, _ = fed(start(), *odd, *HI, stopped(output_tokens=1), STOP, stamp=NATIVE)
    assert b"".join(event.raw for event in native) == sse(start(), *odd, *HI, stopped(output_tokens=1), STOP)


# Citations -----------------------------------------------------------------------------------------------------------


def test_citations_of_pages_become_annotations_of_the_text_that_they_stand_by() -> None:
    page = {"type": "web_search_result_location", "url": "https://example.com/a", "title": "A", "cited_text": "…"}
    own = {"type": "char_location", "document_index": 0, "document_title": "mine", "cited_text": "…"}
    events, _ = fed(
        start(),
        *HI,
        opened(1, "text", text="", citations=[]),
        delta(1, "text_delta", text=" there"),
        delta(1, "citations_delta", citation=page),
        delta(1, "citations_delta", citation=own),
        closed(1),
        stopped(output_tokens=3),
    )
    inner = {"start_index": 2, "end_index": 8, "url": "https://example.com/a", "title": "A"}
    expected = [{"type": "url_citation", "url_citation": inner}]
    assert [said["annotations"] for said in deltas(events) if "annotations" in said] == [expected]
    found = whole(
        {"type": "text", "text": "Hi"},
        {"type": "text", "text": " there", "citations": [page, own]},
    )
    assert message(found)["annotations"] == expected


# Errors --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "told", "expected"),
    [
        ("overloaded_error", "Overloaded", FailureKind.OVERLOADED),
        ("api_error", "Internal server error", FailureKind.SERVER_ERROR),
        ("timeout_error", "Request timed out", FailureKind.SERVER_ERROR),
        ("rate_limit_error", "Slow down", FailureKind.RATE_LIMITED),
        ("billing_error", "Pay first", FailureKind.QUOTA),
        ("authentication_error", "invalid x-api-key", FailureKind.KEY_REFUSED),
        ("invalid_request_error", "Output blocked by content filtering policy", FailureKind.FILTERED),
        ("invalid_request_error", "messages: wrong", FailureKind.BAD_REQUEST),
    ],
)
@pytest.mark.parametrize("stamp", [STAMP, NATIVE])
def test_an_error_in_a_stream_under_200_is_a_failure(kind: str, told: str, expected: FailureKind, stamp: Stamp) -> None:
    error = {"type": "error", "error": {"type": kind, "message": told}}
    events, decoder = fed(start(), *HI, error, *HI, stamp=stamp)
    assert events[-1].kind is Kind.ERROR
    assert events[-1].raw == b""
    assert events[-1].failure is not None
    assert events[-1].failure.kind is expected
    assert decoder.close() is End.ERRORED
    assert decoder.usage is not None
    assert decoder.usage.input == 17
    found = dialect().completion(orjson.dumps(error), stamp=stamp)
    assert isinstance(found, Failure)
    assert found.kind is expected


def test_an_error_event_that_is_no_json_is_a_failure_too() -> None:
    decoder = dialect().decoder(wants_usage=False, stamp=STAMP)
    [event] = decoder.feed(b"event: error\ndata: upstream connect error\n\n")
    assert event.failure is not None
    assert event.failure.kind is FailureKind.SERVER_ERROR


ERRORS = [
    (400, "invalid_request_error", "prompt is too long: 201000 tokens > 200000 maximum", FailureKind.CONTEXT_LENGTH),
    (
        400,
        "invalid_request_error",
        "input length and `max_tokens` exceed context limit: 190000 + 64000 > 200000, decrease input length",
        FailureKind.CONTEXT_LENGTH,
    ),
    (413, "request_too_large", "Request exceeds the maximum size", FailureKind.CONTEXT_LENGTH),
    (
        400,
        "invalid_request_error",
        "Your credit balance is too low to access the Anthropic API.",
        FailureKind.QUOTA,
    ),
    (
        400,
        "invalid_request_error",
        "You have reached your specified API usage limits. You will regain access on 2026-12-01 at 00:00 UTC.",
        FailureKind.QUOTA,
    ),
    (402, "billing_error", "There is an issue with your billing.", FailureKind.QUOTA),
    (401, "authentication_error", "invalid x-api-key", FailureKind.KEY_REFUSED),
    (403, "permission_error", "Your API key does not have permission.", FailureKind.KEY_REFUSED),
    (400, "invalid_request_error", "This organization has been disabled.", FailureKind.KEY_REFUSED),
    (404, "not_found_error", "model: claude-9", FailureKind.NOT_FOUND),
    (429, "rate_limit_error", "This request would exceed your organization's rate limit", FailureKind.RATE_LIMITED),
    (500, "api_error", "Internal server error", FailureKind.SERVER_ERROR),
    (504, "timeout_error", "Request timed out", FailureKind.SERVER_ERROR),
    (529, "overloaded_error", "Overloaded", FailureKind.OVERLOADED),
    (
        400,
        "invalid_request_error",
        "This model does not support assistant message prefill. The conversation must end with a user message.",
        FailureKind.UNSUPPORTED,
    ),
    (400, "invalid_request_error", "`temperature` is deprecated for this model.", FailureKind.UNSUPPORTED),
    (
        400,
        "invalid_request_error",
        "`temperature` and `top_p` cannot both be specified for this model. Please use only one.",
        FailureKind.UNSUPPORTED,
    ),
    (
        400,
        "invalid_request_error",
        '"thinking.type.disabled" is not supported for this model. Use "thinking.type.adaptive".',
        FailureKind.UNSUPPORTED,
    ),
    (
        400,
        "invalid_request_error",
        "max_tokens: 200000 > 64000, which is the maximum allowed number of output tokens for claude-sonnet-4-5",
        FailureKind.UNSUPPORTED,
    ),
    (
        400,
        "invalid_request_error",
        "messages.1.content.0: Invalid `signature` in `thinking` block",
        FailureKind.UNSUPPORTED,
    ),
    (400, "invalid_request_error", "messages.0.content: Input should be a valid list", FailureKind.BAD_REQUEST),
]


@pytest.mark.parametrize(("status", "kind", "told", "expected"), ERRORS)
def test_an_error_means_what_it_says(status: int, kind: str, told: str, expected: FailureKind) -> None:
    body = {"type": "error", "error": {"type": kind, "message": told}, "request_id": "req_1"}
    found = dialect().failure(status, [(b"retry-after", b"7")], orjson.dumps(body))
    assert found.kind is expected
    waits = {FailureKind.RATE_LIMITED, FailureKind.OVERLOADED, FailureKind.SERVER_ERROR, FailureKind.QUOTA}
    assert found.retry_after == (7.0 if expected in waits else None)


def test_the_limit_that_is_used_up_names_the_wait() -> None:
    headers = [
        (b"date", b"Sat, 21 Nov 2026 12:00:00 GMT"),
        (b"anthropic-ratelimit-requests-remaining", b"10"),
        (b"anthropic-ratelimit-requests-reset", b"2026-11-21T13:00:00Z"),
        (b"anthropic-ratelimit-output-tokens-remaining", b"0"),
        (b"anthropic-ratelimit-output-tokens-reset", b"2026-11-21T12:00:20Z"),
    ]
    body = b'{"type":"error","error":{"type":"rate_limit_error","message":"Too much"}}'
    assert dialect().failure(429, headers, body).retry_after == 20


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"{}", b'{"choices": []}', b'{"content": [1]}', b'{"content": "x"}']
)
def test_what_is_no_message_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        dialect().completion(body)
