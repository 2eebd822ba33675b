"""What Bedrock's answers become, beyond what the fixtures show."""

from __future__ import annotations

import base64
from typing import Any

import orjson
import pytest

from proxy.backends.registry import bind
from proxy.config.values import Backend
from proxy.core.chat import ChatRequest, Completion, End, Event, Kind
from proxy.core.dialect import UNSTAMPED, Decoder, Dialect, Stamp
from proxy.core.failure import Failure, FailureKind
from proxy.core.route import Target
from tests.backends.aws_frames import delta, event, exception, frame, stopped

CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
USAGE = {"inputTokens": 5, "outputTokens": 3, "totalTokens": 8}
METADATA = event("metadata", {"usage": USAGE, "metrics": {"latencyMs": 1}})
START = event("messageStart", {"role": "assistant"})


def bound(model: str = CLAUDE) -> Dialect:
    return bind(Backend("aws", "bedrock", options={"region": "us-east-1"}), Target("aws/m", "aws", model))


def answer(content: list[Any], stop: str = "end_turn", stamp: Stamp = UNSTAMPED, **usage: int) -> Any:
    told = {"output": {"message": {"role": "assistant", "content": content}}, "stopReason": stop}
    body = orjson.dumps({**told, "usage": {**USAGE, **usage}, "metrics": {"latencyMs": 1}})
    return bound().completion(body, stamp=stamp)


def message(found: Completion) -> Any:
    return orjson.loads(found.raw)["choices"][0]["message"]


def read(*pieces: bytes, model: str = CLAUDE, stamp: Stamp = UNSTAMPED) -> tuple[list[Event], Decoder]:
    decoder = bound(model).decoder(wants_usage=True, stamp=stamp)
    return [found for piece in pieces for found in decoder.feed(piece)], decoder


def deltas(events: list[Event]) -> list[Any]:
    chunks = [orjson.loads(found.raw.removeprefix(b"data: ")) for found in events if found.raw]
    return [chunk["choices"][0]["delta"] for chunk in chunks if chunk["choices"]]


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("guardrail_intervened", "content_filter"),
        ("content_filtered", "content_filter"),
        ("something_new", "stop"),
    ],
)
def test_why_it_stopped_whole_and_in_a_stream(reason: str, finish: str) -> None:
    found = answer([{"text": "x"}], reason)
    assert orjson.loads(found.raw)["choices"][0]["finish_reason"] == finish
    events, decoder = read(START, delta("x"), stopped(reason), METADATA)
    assert orjson.loads(events[2].raw[6:])["choices"][0]["finish_reason"] == finish
    assert decoder.close() is End.COMPLETE


def test_a_turn_that_ends_with_a_call_is_finished_by_the_call() -> None:
    found = answer([{"toolUse": {"toolUseId": "t", "name": "f", "input": {}}}], "end_turn")
    assert orjson.loads(found.raw)["choices"][0]["finish_reason"] == "tool_calls"


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("malformed_tool_use", FailureKind.TOOL_USE),
        ("malformed_model_output", FailureKind.SERVER_ERROR),
    ],
)
def test_what_the_model_wrote_wrong_is_a_failure(reason: str, kind: FailureKind) -> None:
    found = answer([{"text": "x"}], reason)
    assert isinstance(found, Failure)
    assert found.kind is kind
    events, decoder = read(START, delta("x"), stopped(reason), METADATA)
    assert events[-1].kind is Kind.ERROR
    assert events[-1].failure is not None
    assert events[-1].failure.kind is kind
    assert decoder.close() is End.ERRORED


def test_what_a_guardrail_withheld_is_filtered_and_not_empty_by_itself() -> None:
    found = answer([], "guardrail_intervened")
    assert found.filtered
    events, decoder = read(START, stopped("guardrail_intervened"), METADATA)
    assert decoder.filtered
    assert not any(found.kind >= Kind.CONTENT for found in events)
    said = answer([{"text": "Sorry, the model cannot answer this question."}], "guardrail_intervened")
    assert not said.filtered


def test_an_answer_that_says_nothing_is_empty_unless_its_tokens_went_into_hidden_thoughts() -> None:
    assert answer([]).empty
    assert not answer([], "max_tokens").empty
    for reason, empty in (("end_turn", True), ("max_tokens", False)):
        _, decoder = read(START, stopped(reason), METADATA)
        assert decoder.empty is empty


def test_what_was_read_from_the_cache_and_written_to_it_is_part_of_the_input() -> None:
    usage = answer([{"text": "x"}], cacheReadInputTokens=100, cacheWriteInputTokens=20).usage
    assert usage == (125, 3, 100, 20, 0, *usage[5:])


def test_the_service_tier_that_it_was_served_in_is_noted() -> None:
    tier = {"usage": USAGE, "serviceTier": {"type": "flex"}}
    body = {"output": {"message": {"content": [{"text": "x"}]}}, "stopReason": "end_turn", **tier}
    found: Any = bound().completion(orjson.dumps(body))
    assert found.usage.tier == "flex"
    _, decoder = read(START, delta("x"), stopped(), event("metadata", tier))
    assert decoder.usage is not None
    assert decoder.usage.tier == "flex"


def test_openais_models_count_it_in_already_when_they_stream_and_not_when_they_do_not() -> None:
    counted = {**USAGE, "inputTokens": 125, "cacheReadInputTokens": 100, "cacheWriteInputTokens": 20}
    events = (START, delta("x"), stopped(), event("metadata", {"usage": counted}))
    for model, given in (("us.openai.gpt-5.6-sol", 125), (CLAUDE, 245)):
        _, decoder = read(*events, model=model)
        assert decoder.usage is not None
        assert decoder.usage.input == given


def test_reasoning_is_shown_and_what_must_come_back_travels_with_it() -> None:
    inner = "EtqCCkgICxABGAIq"
    redacted = base64.b64encode(inner.encode()).decode()
    blocks = [
        {"reasoningContent": {"reasoningText": {"text": "I think.", "signature": "sig"}}},
        {"reasoningContent": {"redactedContent": redacted}},
        {"text": "So."},
    ]
    details = [
        {"type": "reasoning.text", "text": "I think.", "signature": "sig", "format": "anthropic-claude-v1", "index": 0},
        {"type": "reasoning.encrypted", "data": inner, "format": "anthropic-claude-v1", "index": 1},
    ]
    told = message(answer(blocks))
    assert told["reasoning_content"] == "I think."
    assert told["reasoning_details"] == details
    pieces = [{"text": "I "}, {"text": "think."}, {"signature": "sig"}]
    stream = [event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"reasoningContent": p}}) for p in pieces]
    stream.append(event("contentBlockStop", {"contentBlockIndex": 0}))
    stream.append(event("contentBlockDelta", {"contentBlockIndex": 1, "delta": blocks[1]}))
    events, _ = read(START, *stream, delta("So.", 2), stopped(), METADATA)
    said = deltas(events)
    assert [one["reasoning_content"] for one in said if "reasoning_content" in one] == ["I ", "think."]
    assert [one["reasoning_details"][0] for one in said if "reasoning_details" in one] == details


def test_what_was_answered_comes_back_as_it_was() -> None:
    """A turn with thoughts and calls, handed back by the client, is what the model said."""
    blocks = [
        {"reasoningContent": {"reasoningText": {"text": "I think.", "signature": "sig"}}},
        {"text": "Let me look."},
        {"toolUse": {"toolUseId": "tooluse_1", "name": "look_up", "input": {"a": 1}}},
    ]
    told = message(answer(blocks, "tool_use"))
    messages = [{"role": "user", "content": "Hi"}, told, {"role": "tool", "tool_call_id": "tooluse_1", "content": "1"}]
    tool = {"type": "function", "function": {"name": "look_up"}}
    again: Any = bound().chat(ChatRequest(b"", {"messages": messages, "tools": [tool]}, "r", False, False))
    assert orjson.loads(again.call.body)["messages"][1]["content"] == blocks


def test_a_tool_whose_name_the_service_would_not_take_is_called_by_its_own() -> None:
    stamp = Stamp("id", 0, {"tools": [{"type": "function", "function": {"name": "my.tool"}}]})
    use = {"toolUseId": "t", "name": "my_tool"}
    told = message(answer([{"toolUse": {**use, "input": {}}}], stamp=stamp))
    assert told["tool_calls"][0]["function"]["name"] == "my.tool"
    start = event("contentBlockStart", {"contentBlockIndex": 0, "start": {"toolUse": use}})
    events, _ = read(START, start, stamp=stamp)
    assert deltas(events)[1]["tool_calls"][0]["function"]["name"] == "my.tool"


def test_the_older_form_of_tools_is_answered_in_its_own_form() -> None:
    stamp = Stamp("id", 0, {"functions": [{"name": "look_up"}]})
    use = {"toolUseId": "t", "name": "look_up"}
    found = answer([{"toolUse": {**use, "input": {"a": 1}}}], "tool_use", stamp)
    assert message(found)["function_call"] == {"name": "look_up", "arguments": '{"a":1}'}
    assert "tool_calls" not in message(found)
    assert not found.empty
    pieces = [
        event("contentBlockStart", {"contentBlockIndex": 0, "start": {"toolUse": use}}),
        event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"toolUse": {"input": '{"a":1}'}}}),
        event("contentBlockStop", {"contentBlockIndex": 0}),
    ]
    events, _ = read(START, *pieces, stopped("tool_use"), METADATA, stamp=stamp)
    calls = [one["function_call"] for one in deltas(events) if "function_call" in one]
    assert calls == [{"name": "look_up", "arguments": ""}, {"arguments": '{"a":1}'}]
    assert b'"finish_reason":"function_call"' in events[3].raw


def test_a_tool_that_bedrock_runs_itself_is_nobodys_call() -> None:
    use = {"toolUseId": "t", "name": "nova_code_interpreter", "type": "server_tool_use"}
    found = answer([{"toolUse": {**use, "input": {"code": "1"}}}, {"toolResult": {}}, {"text": "1"}])
    assert "tool_calls" not in message(found)
    pieces = [
        event("contentBlockStart", {"contentBlockIndex": 0, "start": {"toolUse": use}}),
        event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"toolUse": {"input": "{}"}}}),
        event("contentBlockStop", {"contentBlockIndex": 0}),
    ]
    events, _ = read(START, *pieces, delta("1", 1), stopped(), METADATA)
    assert not any(found.kind is Kind.TOOL for found in events)


def test_the_usage_may_come_before_the_reason_and_events_that_are_new_are_passed_over() -> None:
    events, decoder = read(START, event("somethingNew", {"a": 1}), delta("x"), METADATA, stopped())
    assert events[-1].kind is Kind.DONE
    assert decoder.close() is End.COMPLETE
    assert decoder.feed(delta("late")) == []


@pytest.mark.parametrize(
    ("name", "body", "kind"),
    [
        ("throttlingException", {"message": "Too many tokens, please wait."}, FailureKind.RATE_LIMITED),
        ("serviceUnavailableException", {"message": "busy"}, FailureKind.OVERLOADED),
        ("internalServerException", {"message": "oops"}, FailureKind.SERVER_ERROR),
        ("validationException", {"message": "Input is too long for requested model."}, FailureKind.CONTEXT_LENGTH),
        ("validationException", {"message": "no"}, FailureKind.BAD_REQUEST),
        ("modelStreamErrorException", {"originalStatusCode": 529, "message": "m"}, FailureKind.OVERLOADED),
        ("modelStreamErrorException", {"originalStatusCode": 424, "message": "m"}, FailureKind.SERVER_ERROR),
        ("modelStreamErrorException", [], FailureKind.SERVER_ERROR),
        (
            "modelStreamErrorException",
            {"message": "Model produced invalid sequence as part of ToolUse."},
            FailureKind.TOOL_USE,
        ),
    ],
)
def test_an_exception_in_mid_stream_is_told_and_ends_it(name: str, body: object, kind: FailureKind) -> None:
    events, decoder = read(START, delta("x"), exception(name, body) + delta("y"))
    assert events[-1].failure is not None
    assert events[-1].failure.kind is kind
    assert decoder.close() is End.ERRORED
    assert decoder.chars == 1


def test_an_error_without_a_shape_of_its_own_is_an_error_too() -> None:
    error = {":message-type": "error", ":error-code": "InternalError", ":error-message": "it broke"}
    for piece, words in ((frame(error, b""), "it broke"), (frame({}, b"?"), "?")):
        events, _ = read(START, piece)
        assert events[-1].failure is not None
        assert events[-1].failure.kind is FailureKind.SERVER_ERROR
        assert events[-1].failure.message == words
