"""What of a body is looked at: as little as routing needs, and that strictly."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.chat import ChatRequest, EmbedRequest
from proxy.wire.body import BadBody, chat_request, embed_request

CHAT = {"model": "chat", "messages": [{"role": "user", "content": "hi"}]}


def chat(**changes: object) -> ChatRequest | BadBody:
    return chat_request(json.dumps({**CHAT, **changes}).encode(), 64)


def embed(**changes: object) -> EmbedRequest | BadBody:
    return embed_request(json.dumps({"model": "e", "input": "text", **changes}).encode(), 64)


def complaint(answer: object) -> tuple[str, str | None]:
    """Message and param."""
    assert isinstance(answer, BadBody), answer
    assert answer.status == 400
    assert b"x-wayline-request-id: r\r\n" in answer.headers_for("r")
    error = json.loads(answer.body)["error"]
    assert error["type"] == "invalid_request_error"
    return error["message"], error["param"]


def test_a_request_is_read_and_its_bytes_travel_along() -> None:
    raw = json.dumps({**CHAT, "stream": True, "from_the_future": {"x": [1]}}).encode()
    request = chat_request(raw, 64)
    assert isinstance(request, ChatRequest)
    assert (request.raw, request.model, request.stream, request.wants_usage) == (raw, "chat", True, False)
    assert request.body["from_the_future"] == {"x": [1]}


def test_usage_is_wanted_only_by_who_streams_and_asks_for_it() -> None:
    for changes, wants in (
        ({"stream": True, "stream_options": {"include_usage": True}}, True),
        ({"stream": True, "stream_options": {"include_usage": False}}, False),
        ({"stream": True, "stream_options": None}, False),
        ({"stream": None, "stream_options": {"include_usage": True}}, False),
    ):
        request = chat(**changes)
        assert isinstance(request, ChatRequest)
        assert request.wants_usage is wants


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"model": None}, "model"),
        ({"model": ""}, "model"),
        ({"model": 3}, "model"),
        ({"messages": None}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"stream": "true"}, "stream"),
        ({"stream": 1}, "stream"),
        ({"stream_options": []}, "stream_options"),
    ],
)
def test_what_routing_needs_is_checked_and_the_parameter_named(changes: dict[str, object], param: str) -> None:
    assert complaint(chat(**changes))[1] == param


@pytest.mark.parametrize("given", ["text", ["a", "b"], [1, 2, 3], [[1], [2]]])
def test_embeddings_take_every_form_of_input(given: object) -> None:
    assert isinstance(embed(input=given), EmbedRequest)


@pytest.mark.parametrize("given", [None, "", [], 5, {"text": "a"}])
def test_embeddings_without_input_are_refused(given: object) -> None:
    assert complaint(embed(input=given))[1] == "input"


def test_the_encoding_of_embeddings_is_read() -> None:
    for encoding, base64 in (("base64", True), ("float", False), (None, False)):
        request = embed(encoding_format=encoding)
        assert isinstance(request, EmbedRequest)
        assert request.base64 is base64
    assert complaint(embed(encoding_format="hex"))[1] == "encoding_format"
    assert complaint(embed(model=None))[1] == "model"


@pytest.mark.parametrize("raw", [b"[]", b'"text"', b"3", b"null"])
def test_a_body_that_is_no_object_is_refused(raw: bytes) -> None:
    assert "object" in complaint(chat_request(raw, 64))[0]


def test_broken_json_is_refused_with_its_place_and_without_its_content() -> None:
    message, _ = complaint(chat_request(b'{"model": "chat",\n "secret prompt" oops}', 64))
    assert "line 2, column" in message
    assert "secret" not in message and "oops" not in message
    assert "empty" in complaint(chat_request(b" \n", 64))[0]


@pytest.mark.parametrize("value", [b"NaN", b"Infinity", b'"\\ud800"', b"01", b"1e999x"])
def test_what_other_parsers_would_let_through_is_refused(value: bytes) -> None:
    assert isinstance(chat_request(b'{"model":"a","messages":[' + value + b"]}", 64), BadBody)


def test_invalid_utf8_is_refused_with_its_place() -> None:
    message, _ = complaint(chat_request(b'{"model": "a\xff"}', 64))
    assert "UTF-8 at byte 12" in message


def test_of_two_members_of_one_name_the_last_counts() -> None:
    request = chat_request(b'{"model":"a","model":"b","messages":[1]}', 64)
    assert isinstance(request, ChatRequest)
    assert request.model == "b"


def nested(depth: int) -> bytes:
    """An object as deep as said, itself included."""
    inner = b"[" * (depth - 1) + b"]" * (depth - 1)
    return b'{"model":"a","messages":[1],"x":' + (inner or b"0") + b"}"


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 80), st.integers(3, 80))
def test_depth_is_bounded_exactly(depth: int, bound: int) -> None:
    assert isinstance(chat_request(nested(depth), bound), BadBody) is (depth > bound)


def test_brackets_side_by_side_or_in_text_are_no_depth() -> None:
    wide = json.dumps({**CHAT, "tools": [{"a": [{}]}] * 500, "note": "[{" * 500}).encode()
    assert isinstance(chat_request(wide, 64), ChatRequest)


@pytest.mark.parametrize("raw", [b"[" * 1_000_000, b'{"a":' * 100_000, b"[" * 500_000 + b"]" * 500_000])
def test_no_depth_at_all_brings_anything_down(raw: bytes) -> None:
    assert isinstance(chat_request(raw, 64), BadBody)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=60).map(str.encode))
def test_any_bytes_are_a_request_or_a_complaint(raw: bytes) -> None:
    assert isinstance(chat_request(raw, 64), ChatRequest | BadBody)
    assert isinstance(embed_request(raw, 64), EmbedRequest | BadBody)
