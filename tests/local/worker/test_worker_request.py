"""What our server for llama-cpp-python understands of a request, and what it refuses."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from proxy.local.worker.request import ChatAsk, Refused, Sampling, read_chat, read_embed

MESSAGES = [{"role": "user", "content": "hi"}]


def ask(**more: Any) -> ChatAsk:
    return read_chat(orjson.dumps({"messages": MESSAGES, **more}))


def refusal(**more: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        ask(**more)
    return caught.value


def test_what_is_not_given_is_as_in_llama_server() -> None:
    plain = ask()
    assert plain.sampling == Sampling(0.8, 0.95, 0.05, 1.0, 40, 1.0, 0.0, 0.0, None)
    assert (plain.stream, plain.wants_usage, plain.max_tokens, plain.stop) == (False, False, None, ())
    assert plain.logprobs is None
    assert plain.schema is None


def test_null_is_not_given() -> None:
    names = ("stop", "seed", "temperature", "top_p", "max_tokens", "response_format", "tools", "n", "logprobs")
    assert ask(**dict.fromkeys(names)) == ask()


def test_an_explicit_zero_is_a_zero() -> None:
    asked = ask(temperature=0, top_k=0, top_p=0, seed=0, max_tokens=0)
    assert asked.sampling.temperature == 0
    assert asked.sampling.top_k == 0
    assert asked.sampling.seed == 0
    assert asked.max_tokens == 0


def test_the_new_name_of_max_tokens_wins() -> None:
    assert ask(max_tokens=5, max_completion_tokens=7).max_tokens == 7
    assert ask(max_tokens=-1).max_tokens is None  # llama-server's word for no limit


def test_stop_is_a_text_or_several() -> None:
    assert ask(stop="a").stop == ("a",)
    assert ask(stop=["a", "", "b"]).stop == ("a", "b")


def test_parts_of_text_are_joined_and_other_parts_refused() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert ask(messages=[{"role": "user", "content": parts}]).messages == [{"role": "user", "content": "ab"}]
    image = {"type": "image_url", "image_url": {"url": "data:"}}
    refused = refusal(messages=[{"role": "user", "content": [image]}])
    assert refused.error["code"] == "unsupported_parameter"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tools", [{"type": "function", "function": {"name": "f"}}]),
        ("functions", [{"name": "f"}]),
        ("n", 2),
        ("logit_bias", {"1": 5}),
        ("grammar", "root ::= x"),
    ],
)
def test_what_this_engine_cannot_do_is_refused_so_that_another_may(name: str, value: Any) -> None:
    refused = refusal(**{name: value})
    assert refused.status == 400
    assert refused.error["code"] == "unsupported_parameter"
    assert refused.error["param"] == name


def test_tools_that_must_not_be_used_are_no_obstacle() -> None:
    assert ask(tools=[{"type": "function"}], tool_choice="none") == ask()
    assert ask(tools=[]) == ask()


@pytest.mark.parametrize(
    "wrong",
    [
        {"messages": []},
        {"messages": "x"},
        {"messages": [{"content": "x"}]},
        {"messages": [{"role": "user", "content": 5}]},
        {"temperature": "hot"},
        {"temperature": -1},
        {"temperature": True},
        {"max_tokens": 1.5},
        {"seed": "x"},
        {"stop": 5},
        {"stop": [5]},
        {"logprobs": True, "top_logprobs": 21},
        {"response_format": "json"},
        {"response_format": {"type": "yaml"}},
        {"response_format": {"type": "json_schema"}},
        {"chat_template_kwargs": [1]},
    ],
)
def test_what_makes_no_sense_is_the_callers_fault(wrong: dict[str, Any]) -> None:
    refused = refusal(**wrong)
    assert refused.status == 400
    assert refused.error["type"] == "invalid_request_error"
    assert refused.error["code"] == 400


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"1", b"\xff", b"[" * 5000])
def test_a_body_that_is_no_object_is_a_clean_refusal(raw: bytes) -> None:
    for read in (read_chat, read_embed):
        with pytest.raises(Refused) as caught:
            read(raw)
        assert caught.value.status == 400


def test_a_schema_is_found_in_either_form() -> None:
    schema = {"type": "object"}
    assert ask(response_format={"type": "json_schema", "json_schema": {"schema": schema}}).schema == schema
    assert ask(response_format={"type": "json_object", "schema": schema}).schema == schema
    assert ask(response_format={"type": "json_object"}).schema == {}
    assert ask(response_format={"type": "text"}).schema is None


@pytest.mark.parametrize(
    ("given", "read"),
    [("a", ["a"]), (["a", "b"], ["a", "b"]), ([1, 2], [[1, 2]]), ([[1], [2, 3]], [[1], [2, 3]])],
)
def test_the_four_forms_of_an_embeddings_input(given: Any, read: list[Any]) -> None:
    assert read_embed(orjson.dumps({"input": given})).inputs == read


@pytest.mark.parametrize(
    "wrong",
    [
        {"input": [True]},
        {"input": ["a", 1]},
        {"input": [""]},
        {"input": ["a"] * 2049},
        {"input": "a", "encoding_format": "hex"},
        {"input": "a", "dimensions": 5},
    ],
)
def test_embeddings_that_cannot_be_made_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(Refused) as caught:
        read_embed(orjson.dumps(wrong))
    assert caught.value.status == 400
