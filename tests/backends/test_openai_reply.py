"""Whole answers in OpenAI's dialect."""

from __future__ import annotations

import base64
import struct
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.backends.openai_usage import read_usage
from proxy.backends.registry import bind
from proxy.config.values import Backend
from proxy.core.chat import Completion, Embedding
from proxy.core.dialect import Dialect, Malformed
from proxy.core.failure import Failure, FailureKind
from proxy.core.route import Target
from proxy.core.usage import Usage

PLAIN = bind(Backend("b", "openai"), Target("b/m", "b", "m"))


def reply(*messages: Any, finish: str = "stop", **more: Any) -> bytes:
    choices = [{"index": i, "message": message, "finish_reason": finish} for i, message in enumerate(messages)]
    return orjson.dumps({"id": "c", "model": "gpt-1", "choices": choices, **more})


def completed(dialect: Dialect, body: bytes) -> Completion:
    got = dialect.completion(body)
    assert isinstance(got, Completion)
    return got


@pytest.mark.parametrize(
    ("message", "chars"),
    [
        ({"content": "hi"}, 2),
        ({"content": None, "refusal": "no"}, 2),
        ({"content": None, "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}, 3),
        ({"content": None, "function_call": {"name": "f", "arguments": ""}}, 1),
        ({"content": "", "reasoning_content": "hm"}, 2),
        ({"content": None, "audio": {"id": "a"}}, 0),
    ],
)
def test_whatever_is_said_is_an_answer_and_its_bytes_are_the_upstreams(
    dialect: Dialect, message: Any, chars: int
) -> None:
    body = b"\n  " + reply(message)
    got = completed(dialect, body)
    assert got == Completion(body, "gpt-1", None, empty=False, filtered=False, chars=chars)
    assert got.raw is body


@pytest.mark.parametrize(
    "messages", [(), ({},), ({"content": ""},), ({"content": None, "tool_calls": []},), (None, {})]
)
def test_an_answer_that_says_nothing_is_empty(dialect: Dialect, messages: tuple[Any, ...]) -> None:
    got = completed(dialect, reply(*messages))
    assert got.empty
    assert not got.filtered


def test_one_choice_that_speaks_is_enough(dialect: Dialect) -> None:
    assert not completed(dialect, reply({"content": ""}, {"content": "b"})).empty


def test_a_filter_that_left_nothing_is_known(dialect: Dialect) -> None:
    assert completed(dialect, reply({"content": ""}, finish="content_filter")).filtered
    assert not completed(dialect, reply({"content": "a"}, finish="content_filter")).filtered


def test_an_error_under_200_is_a_failure(dialect: Dialect) -> None:
    got = dialect.completion(b'{"error": {"message": "Overloaded", "type": "overloaded_error"}}')
    assert isinstance(got, Failure)
    assert got.kind is FailureKind.OVERLOADED
    failed = dialect.completion(reply({"content": "half an ans"}, finish="error"))
    assert isinstance(failed, Failure)


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"1", b"{}", b'{"choices": 1}', b'{"choices": [1]}', b'{"object": "list"}', b"\xff"]
)
def test_what_is_no_completion_is_malformed(dialect: Dialect, body: bytes) -> None:
    with pytest.raises(Malformed):
        dialect.completion(body)


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (None, None),
        ({}, None),
        ([], None),
        ({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}, Usage(0, 0)),
        ({"prompt_tokens": 7, "total_tokens": 7}, Usage(7, 0)),
        ({"prompt_tokens": 7, "total_tokens": 9}, Usage(7, 2)),
        ({"completion_tokens": 2, "total_tokens": 9}, Usage(7, 2)),
        ({"input_tokens": 7, "output_tokens": 2}, Usage(7, 2)),
        ({"prompt_tokens": 7.0, "completion_tokens": True}, Usage(7, 0)),
        ({"prompt_tokens": -7, "completion_tokens": 1e30}, None),
        ({"prompt_tokens": 9, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 4}}, Usage(9, 1, 4)),
        ({"prompt_tokens": 9, "completion_tokens": 1, "prompt_cache_hit_tokens": 4}, Usage(9, 1, 4)),
        ({"prompt_tokens": 9, "completion_tokens": 1, "cached_tokens": 4}, Usage(9, 1, 4)),
        (
            {
                "prompt_tokens": 9,
                "completion_tokens": 1,
                "prompt_tokens_details": {"cached_tokens": 0},
                "cached_tokens": 4,
            },
            Usage(9, 1, 0),
        ),
        (
            {"prompt_tokens": 9, "completion_tokens": 1, "prompt_tokens_details": {"cache_write_tokens": 3}},
            Usage(9, 1, 0, 3),
        ),
        (
            {"prompt_tokens": 9, "completion_tokens": 5, "completion_tokens_details": {"reasoning_tokens": 4}},
            Usage(9, 5, reasoning=4),
        ),
    ],
)
def test_usage_is_read_as_reported(usage: object, expected: Usage | None) -> None:
    assert read_usage(usage) == expected


def test_xai_leaves_reasoning_out_of_the_completion_tokens() -> None:
    details = {"completion_tokens_details": {"reasoning_tokens": 502}}
    assert read_usage({"prompt_tokens": 429, "completion_tokens": 44, "total_tokens": 975, **details}) == Usage(
        429, 546, reasoning=502
    )


def vectors(*given: Any) -> bytes:
    rows = [{"object": "embedding", "index": i, "embedding": vector} for i, vector in enumerate(given)]
    return orjson.dumps(
        {"object": "list", "model": "e", "data": rows, "usage": {"prompt_tokens": 3, "total_tokens": 3}}
    )


def embedded(body: bytes, *, base64: bool, model: str | None = None) -> tuple[Embedding, list[Any]]:
    got = PLAIN.embedding(body, base64=base64, model=model)
    assert isinstance(got, Embedding)
    return got, [row["embedding"] for row in orjson.loads(got.raw)["data"]]


def pack(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


@given(
    st.lists(
        st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=4),
        min_size=1,
        max_size=4,
    )
)
@settings(max_examples=60, deadline=None)
def test_numbers_and_base64_turn_into_each_other_and_keep_their_order(rows: list[list[float]]) -> None:
    packed = [pack(row) for row in rows]
    assert embedded(vectors(*rows), base64=True)[1] == packed
    assert embedded(vectors(*packed), base64=False)[1] == rows


def test_what_is_as_asked_for_is_handed_on_as_it_came() -> None:
    for body, wanted in ((vectors([0.5, 1]), False), (vectors("AAAAPw=="), True)):
        got, _ = embedded(body, base64=wanted)
        assert got.raw is body
        assert (got.model, got.usage) == ("e", Usage(3, 0))


def test_a_pooled_vector_in_a_list_is_taken_out_of_it() -> None:
    assert embedded(vectors([[0.5, 1.0]]), base64=False)[1] == [[0.5, 1.0]]
    assert embedded(vectors([[0.5]]), base64=True)[1] == ["AAAAPw=="]


def test_the_routes_name_can_stand_in_the_answer() -> None:
    got, rows = embedded(vectors([0.5]), base64=True, model="route")
    assert orjson.loads(got.raw)["model"] == "route"
    assert got.model == "e"
    assert rows == ["AAAAPw=="]


@pytest.mark.parametrize(
    "vector", [[[1.0], [2.0]], [[]], [], None, 1, ["a"], [None], [True], "A", "AAAA", "", "é", {"a": 1}]
)
@pytest.mark.parametrize("wanted", [True, False])
def test_what_is_not_one_vector_is_malformed(vector: Any, wanted: bool) -> None:
    """Token embeddings above all: `[[…], […]]` is what llama.cpp gives for a model without pooling."""
    if isinstance(vector, str) and wanted:
        assert embedded(vectors(vector), base64=True)[1] == [vector]
        return
    with pytest.raises(Malformed):
        PLAIN.embedding(vectors(vector), base64=wanted)


@pytest.mark.parametrize("body", [b"{}", b'{"data": []}', b'{"data": [1]}', b"[]", b"x", vectors([1e300])])
def test_what_holds_no_embeddings_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        PLAIN.embedding(body, base64=True)


def test_an_error_instead_of_embeddings_is_a_failure() -> None:
    got = PLAIN.embedding(b'{"error": {"code": 501, "type": "not_supported_error"}}', base64=False)
    assert isinstance(got, Failure)
    assert got.kind is FailureKind.UNSUPPORTED
