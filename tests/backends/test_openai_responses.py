"""OpenAI's Responses API, handed on as it came."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.backends.registry import bind
from proxy.config.values import Backend
from proxy.core.chat import ChatRequest, Completion, End, Event, Kind, Native
from proxy.core.dialect import Decoder, Dialect, Malformed, Stamp
from proxy.core.failure import Failure, FailureKind
from proxy.core.route import Target
from proxy.core.sse import MAX_EVENT
from proxy.core.usage import Usage
from proxy.testing.conformance import prepared, run

STAMP = Stamp(native="responses")


def at(model: str = "gpt-4o", url: str = "https://api.openai.com/v1", **target: Any) -> Dialect:
    return bind(Backend("b", "openai", url), Target(f"b/{model}", "b", model, **target))


def native(body: Mapping[str, Any], **chat: Any) -> ChatRequest:
    inside = {"model": "r", "messages": [], **chat}
    return ChatRequest(b"", inside, "r", bool(body.get("stream")), False, Native("responses", body))


def sent(dialect: Dialect, **body: Any) -> Any:
    return orjson.loads(prepared(dialect.chat(native({"model": "r", "input": "hi", **body}))).call.body)


def sse(*events: Mapping[str, Any], named: bool = True) -> bytes:
    lines = []
    for event in events:
        name = f"event: {event['type']}\n".encode() if named else b""
        lines.append(name + b"data: " + orjson.dumps(event) + b"\n\n")
    return b"".join(lines)


def decoder(model: str | None = None) -> Decoder:
    return at().decoder(wants_usage=False, model=model, stamp=STAMP)


RESPONSE: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "model": "gpt-4o-2024-08-06",
    "status": "in_progress",
    "output": [],
}
SPENT = {
    "input_tokens": 36,
    "input_tokens_details": {"cached_tokens": 8},
    "output_tokens": 11,
    "output_tokens_details": {"reasoning_tokens": 4},
    "total_tokens": 47,
}
MESSAGE = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hi there"}]}
STREAM: tuple[dict[str, Any], ...] = (
    {"type": "response.created", "sequence_number": 0, "response": RESPONSE},
    {"type": "response.in_progress", "response": RESPONSE},
    {"type": "response.output_item.added", "item": {"type": "message", "content": []}},
    {"type": "response.content_part.added", "part": {"type": "output_text", "text": ""}},
    {"type": "response.output_text.delta", "delta": "Hi", "obfuscation": "xk"},
    {"type": "response.output_text.delta", "delta": " there"},
    {"type": "response.output_text.done", "text": "Hi there"},
    {
        "type": "response.completed",
        "response": {**RESPONSE, "status": "completed", "output": [MESSAGE], "usage": SPENT},
    },
)


def test_openai_and_azure_are_spoken_to_in_it_and_others_are_not() -> None:
    assert at().speaks == at(url="https://us.api.openai.com/v1").speaks == {"responses"}
    assert "responses" not in at(url="http://127.0.0.1:8000/v1").speaks


def test_a_request_goes_as_it_came_but_for_the_model() -> None:
    body = {"model": "r", "input": [{"role": "user", "content": "x"}], "tools": [{"type": "web_search"}], "a": 1}
    asked = prepared(at().chat(native(body)))
    assert orjson.loads(asked.call.body) == {**body, "model": "gpt-4o"}
    assert asked.call.head.startswith(b"POST /v1/responses HTTP/1.1\r\n")
    assert b"text/event-stream" in prepared(at().chat(native({**body, "stream": True}))).call.head
    assert not asked.dropped


def test_what_came_in_another_api_goes_as_chat_completions() -> None:
    request = native({"x": 1})._replace(native=Native("messages", {"x": 1}))
    assert prepared(at().chat(request)).call.head.startswith(b"POST /v1/chat/completions ")
    assert prepared(at().chat(request._replace(native=None))).call.head.startswith(b"POST /v1/chat/completions ")


def test_the_operators_parameters_hold_in_the_places_that_they_have_here() -> None:
    dialect = at(
        defaults={"max_tokens": 5, "reasoning_effort": "low", "temperature": 0.1},
        overrides={"store": False, "response_format": {"type": "json_object"}},
        drop=frozenset({"user", "verbosity"}),
    )
    asked = native({"model": "r", "input": "x", "user": "u", "text": {"verbosity": "low"}, "temperature": 0.7})
    before = copy.deepcopy(asked)
    found = prepared(dialect.chat(asked))
    assert orjson.loads(found.call.body) == {
        "model": "gpt-4o",
        "input": "x",
        "temperature": 0.7,
        "max_output_tokens": 5,
        "reasoning": {"effort": "low"},
        "store": False,
        "text": {"format": {"type": "json_object"}},
    }
    assert (found.dropped, found.unsupported) == (("user", "verbosity"), ())
    assert asked == before


def test_a_reasoning_model_samples_as_it_wants_here_too() -> None:
    found = prepared(at("o3").chat(native({"model": "r", "input": "x", "temperature": 0.1, "top_p": 1})))
    assert found.dropped == found.unsupported == ("temperature",)
    assert orjson.loads(found.call.body) == {"model": "o3", "input": "x", "top_p": 1}
    assert sent(at("gpt-5.2"), temperature=0.1, reasoning={"effort": "none"})["temperature"] == 0.1
    assert "temperature" not in sent(at("gpt-5.2"), temperature=0.1, reasoning={"effort": "high"})


@pytest.mark.parametrize("is_named", [True, False])
def test_its_own_events_are_handed_on_and_what_they_say_is_noted(is_named: bool) -> None:
    body = sse(*STREAM, named=is_named)
    found = decoder()
    events = found.feed(body)
    assert b"".join(event.raw for event in events) == body
    assert [event.text for event in events if event.kind is Kind.CONTENT] == ["Hi", " there"]
    assert [event.kind for event in events].count(Kind.EMPTY) == 6
    assert found.close() is End.COMPLETE
    assert found.finished
    assert (found.model, found.chars, found.choices_seen) == ("gpt-4o-2024-08-06", 8, 1)
    assert found.usage == events[-1].usage == Usage(36, 11, 8, reasoning=4)
    assert not found.empty
    assert not found.filtered


def test_the_cuts_change_nothing() -> None:
    body = sse(*STREAM)
    whole = run(decoder(), [body])
    assert run(decoder(), [body[i : i + 1] for i in range(len(body))]) == whole


def test_a_stream_that_breaks_off_is_truncated() -> None:
    body = sse(*STREAM)
    last = len(sse(*STREAM[:-1]))
    for cut in (0, 50, last, len(body) - 3):
        found = decoder()
        found.feed(body[:cut])
        assert found.close() is End.TRUNCATED
        assert not found.finished


def test_the_routes_name_can_stand_in_it() -> None:
    events = decoder("a-route").feed(sse(*STREAM))
    for event, sent_ in zip(events, STREAM, strict=True):
        shown = orjson.loads(event.raw.partition(b"data: ")[2])
        expected = dict(sent_)
        if "response" in expected:
            expected["response"] = {**expected["response"], "model": "a-route"}
        assert shown == expected
        assert event.raw.startswith(f"event: {sent_['type']}\n".encode())


@pytest.mark.parametrize(
    ("event", "kind", "chars"),
    [
        ({"type": "response.function_call_arguments.delta", "delta": '{"a'}, Kind.TOOL, 3),
        ({"type": "response.custom_tool_call_input.delta", "delta": "ls"}, Kind.TOOL, 2),
        ({"type": "response.reasoning_summary_text.delta", "delta": "hm"}, Kind.REASONING, 2),
        ({"type": "response.reasoning_text.delta", "delta": "hm"}, Kind.REASONING, 2),
        ({"type": "response.refusal.delta", "delta": "No"}, Kind.CONTENT, 2),
        ({"type": "response.audio.delta", "delta": "AAAA"}, Kind.CONTENT, 0),
        ({"type": "response.something_new.delta", "delta": "x"}, Kind.TOOL, 1),
        ({"type": "response.output_item.added", "item": {"type": "function_call", "name": "f"}}, Kind.TOOL, 1),
        ({"type": "response.output_item.added", "item": {"type": "reasoning"}}, Kind.EMPTY, 0),
        ({"type": "response.output_text.delta", "delta": ""}, Kind.EMPTY, 0),
        ({"type": "response.web_search_call.searching"}, Kind.EMPTY, 0),
        ({"type": "keepalive"}, Kind.EMPTY, 0),
    ],
)
def test_each_event_is_what_it_is(event: dict[str, Any], kind: Kind, chars: int) -> None:
    found = decoder()
    (got,) = found.feed(sse(event))
    assert (got.kind, found.chars) == (kind, chars)
    assert got.raw == sse(event)


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        (
            {"type": "error", "code": "rate_limit_exceeded", "message": "Please try again in 2s.", "param": None},
            FailureKind.RATE_LIMITED,
        ),
        ({"type": "error", "error": {"type": "server_error", "message": "x"}}, FailureKind.SERVER_ERROR),
        (
            {"type": "response.failed", "response": {**RESPONSE, "error": {"code": "server_error", "message": "x"}}},
            FailureKind.SERVER_ERROR,
        ),
        (
            {
                "type": "response.failed",
                "response": {**RESPONSE, "usage": SPENT, "error": {"code": "context_length_exceeded", "message": ""}},
            },
            FailureKind.CONTEXT_LENGTH,
        ),
    ],
)
def test_what_failed_has_failed(event: dict[str, Any], kind: FailureKind) -> None:
    found = decoder()
    got = found.feed(sse(STREAM[0], STREAM[4], event, STREAM[5]))[-1]
    assert got.kind is Kind.ERROR
    assert got.failure is not None
    assert got.failure.kind is kind
    assert found.close() is End.ERRORED
    assert found.feed(sse(STREAM[5])) == []


@pytest.mark.parametrize(
    ("reason", "empty", "filtered"), [("max_output_tokens", False, False), ("content_filter", True, True)]
)
def test_an_incomplete_response_is_an_end_with_its_reason(reason: str, empty: bool, filtered: bool) -> None:
    whole = {**RESPONSE, "status": "incomplete", "incomplete_details": {"reason": reason}, "usage": SPENT}
    found = decoder()
    found.feed(sse(STREAM[0], {"type": "response.incomplete", "response": whole}))
    assert found.close() is End.COMPLETE
    assert (found.empty, found.filtered) == (empty, filtered)
    got = at().completion(orjson.dumps(whole), stamp=STAMP)
    assert isinstance(got, Completion)
    assert (got.empty, got.filtered) == (empty, filtered)


def test_a_whole_response_is_handed_on_as_it_came() -> None:
    call = {"type": "function_call", "name": "f", "arguments": "{}", "call_id": "c"}
    thought = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]}
    whole = {**RESPONSE, "status": "completed", "output": [thought, MESSAGE, call], "usage": SPENT, "error": None}
    body = orjson.dumps({**whole, "service_tier": "flex"})
    got = at().completion(body, stamp=STAMP)
    assert got == Completion(
        body, "gpt-4o-2024-08-06", Usage(36, 11, 8, reasoning=4, tier="flex"), False, False, 2 + 8 + 3
    )
    renamed = at().completion(body, model="a-route", stamp=STAMP)
    assert isinstance(renamed, Completion)
    assert orjson.loads(renamed.raw) == {**whole, "service_tier": "flex", "model": "a-route"}


def test_a_whole_response_that_says_nothing_is_empty_and_one_still_under_way_is_not() -> None:
    for output, status, empty in (
        ([], "completed", True),
        ([{"type": "message", "content": [{"type": "output_text", "text": " "}]}], "completed", True),
        ([], "queued", False),
    ):
        body = orjson.dumps({**RESPONSE, "output": output, "status": status})
        got = at().completion(body, stamp=STAMP)
        assert isinstance(got, Completion)
        assert got.empty is empty


def test_a_whole_response_that_failed_is_a_failure() -> None:
    body = {**RESPONSE, "status": "failed", "error": {"code": "rate_limit_exceeded", "message": "slow down"}}
    got = at().completion(orjson.dumps(body), stamp=STAMP)
    assert isinstance(got, Failure)
    assert got.kind is FailureKind.RATE_LIMITED


@given(data=st.binary(max_size=200))
@settings(max_examples=60, deadline=None)
def test_any_bytes_raise_only_malformed(data: bytes) -> None:
    for framed in (data, b"data: " + data + b"\n\n"):
        run(decoder("m"), [framed])
        _whole(framed)


ODD = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from(["", "x", "error", "message", "response.completed"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["type", "response", "item", "delta", "error", "output", "content", "text", "usage", "model"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)


@given(value=ODD)
@settings(max_examples=150, deadline=None)
def test_json_of_any_shape_raises_only_malformed(value: object) -> None:
    for shape in (value, {"type": "response.completed", "response": value}, {"output": [value], "usage": value}):
        run(decoder("m"), [b"data: " + orjson.dumps(shape) + b"\n\n"])
        _whole(orjson.dumps(shape))


def _whole(body: bytes) -> None:
    try:
        at().completion(body, model="m", stamp=STAMP)
    except Malformed:
        return


def test_an_event_without_an_end_is_given_up() -> None:
    found = decoder()
    found.feed(b"data: ")
    with pytest.raises(Malformed):
        for _ in range(MAX_EVENT // 65536 + 2):
            found.feed(b"x" * 65536)


def test_an_end_marker_that_it_does_not_have_is_one() -> None:
    events: list[Event] = decoder().feed(sse(*STREAM) + b"data: [DONE]\n\n")
    assert events[-1].kind is Kind.DONE
