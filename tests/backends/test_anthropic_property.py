"""Any conversation that OpenAI's schema allows gives a body that Anthropic's own schema allows, in whichever order who
said what, and wherever it began."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from proxy.backends.registry import bind
from proxy.config.values import Backend
from proxy.core.chat import ChatRequest
from proxy.core.dialect import Prepared
from proxy.core.route import Target
from tests.examples import many

HERE = Path(__file__).parent / "fixtures"
SCHEMA = orjson.loads((HERE / "anthropic-schema.json").read_bytes())
BODY = Draft202012Validator({**SCHEMA, "$ref": "#/components/schemas/CreateMessageParams"})
MODELS = (
    *("claude-3-opus-20240229", "claude-sonnet-4-0", "claude-haiku-4-5", "claude-sonnet-4-6", "claude-opus-4-8"),
    *("claude-sonnet-5", "claude-fable-5-1", "glm-5"),
)

WORDS = st.sampled_from(["", " ", "\n", "a", "Hello", "Grüße", "x" * 300])
NAMES = st.sampled_from(["f", "get_weather", "a-b"])
IDS = st.sampled_from(["call_1", "call_2", "functions.f:0", "", "é"])
TEXT = st.fixed_dictionaries({"type": st.just("text"), "text": WORDS})
IMAGE = st.fixed_dictionaries(
    {
        "type": st.just("image_url"),
        "image_url": st.fixed_dictionaries(
            {"url": st.sampled_from(["data:image/png;base64,AAAA", "https://example.com/a.jpg"])},
            optional={"detail": st.sampled_from(["auto", "low", "high"])},
        ),
    }
)
FILE = st.sampled_from(
    [
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}},
        {"type": "file", "file": {"filename": "", "file_data": "JVBERi0="}},
    ]
)
REFUSAL = st.fixed_dictionaries({"type": st.just("refusal"), "refusal": WORDS})
CALLS = st.lists(
    st.builds(
        lambda call_id, name, arguments: {
            "id": call_id,
            "type": "function",
            "function": {"name": name, "arguments": arguments},
        },
        IDS,
        NAMES,
        st.sampled_from(["", "{}", '{"a": {"b": [1]}}', "[1]", "not json", "null"]),
    ),
    min_size=1,
    max_size=3,
)
DETAILS = st.lists(
    st.fixed_dictionaries(
        {"type": st.sampled_from(["reasoning.text", "reasoning.encrypted", "reasoning.summary"])},
        optional={
            "text": WORDS,
            "signature": st.sampled_from(["", "sig"]),
            "data": st.sampled_from(["", "data"]),
            "format": st.sampled_from(["anthropic-claude-v1", "google-gemini-v1", "openai-responses-v1"]),
        },
    ),
    max_size=3,
)
NAME = {"name": st.just("bob")}
SYSTEM = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "developer"]), "content": WORDS | st.lists(TEXT, min_size=1, max_size=2)},
    optional=NAME,
)
USER = st.fixed_dictionaries(
    {"role": st.just("user"), "content": WORDS | st.lists(TEXT | IMAGE | FILE, min_size=1, max_size=3)}, optional=NAME
)
ASSISTANT = st.fixed_dictionaries(
    {"role": st.just("assistant")},
    optional={
        "content": st.none() | WORDS | st.lists(TEXT | REFUSAL, min_size=1, max_size=2),
        "refusal": st.none() | WORDS,
        "tool_calls": CALLS,
        "function_call": st.fixed_dictionaries({"name": NAMES, "arguments": st.just("{}")}),
        "reasoning_content": WORDS,
        "reasoning_details": DETAILS,
        "name": st.just("bob"),
    },
)
TOOL = st.fixed_dictionaries(
    {"role": st.just("tool"), "tool_call_id": IDS, "content": WORDS | st.lists(TEXT, min_size=1, max_size=2)}
)
FUNCTION = st.fixed_dictionaries({"role": st.just("function"), "name": NAMES, "content": st.none() | WORDS})
MESSAGES = st.lists(SYSTEM | USER | ASSISTANT | TOOL | FUNCTION, min_size=1, max_size=8)

FUNCTIONS = st.fixed_dictionaries(
    {"name": NAMES},
    optional={
        "description": WORDS,
        "strict": st.none() | st.booleans(),
        "parameters": st.sampled_from(
            [
                {},
                {"type": "object", "properties": {"a": {"type": "string", "minLength": 1}}, "required": ["a"]},
                {"properties": {"a": {"enum": [1, None]}}},
                {"type": "object", "$defs": {"x": {"type": "array", "items": {"$ref": "#/$defs/x"}}}},
            ]
        ),
    },
)
TOOLS = st.lists(st.builds(lambda one: {"type": "function", "function": one}, FUNCTIONS), min_size=1, max_size=3)
SCHEMAS = st.sampled_from([{"type": "object", "properties": {"a": {"type": "integer"}}}, {"anyOf": [{"type": "null"}]}])
BODIES = st.fixed_dictionaries(
    {"messages": MESSAGES},
    optional={
        "tools": TOOLS,
        "functions": st.lists(FUNCTIONS, min_size=1, max_size=2),
        "tool_choice": st.sampled_from(["none", "auto", "required", {"type": "function", "function": {"name": "f"}}]),
        "parallel_tool_calls": st.booleans(),
        "max_tokens": st.none() | st.integers(1, 200_000),
        "max_completion_tokens": st.integers(1, 200_000),
        "temperature": st.none() | st.floats(0, 2),
        "top_p": st.none() | st.floats(0, 1),
        "stop": st.none() | WORDS | st.lists(WORDS, min_size=1, max_size=4),
        "reasoning_effort": st.sampled_from([None, "none", "minimal", "low", "medium", "high", "xhigh"]),
        "reasoning": st.fixed_dictionaries(
            {}, optional={"effort": st.just("low"), "max_tokens": st.integers(0, 99_999)}
        ),
        "response_format": st.sampled_from([{"type": "text"}, {"type": "json_object"}])
        | st.builds(lambda schema: {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}, SCHEMAS),
        "user": st.just("u-1"),
        "safety_identifier": st.just("s-1"),
        "metadata": st.none() | st.just({"a": "b"}),
        "service_tier": st.sampled_from(["auto", "default", "flex", "priority"]),
        "n": st.integers(1, 3),
        "seed": st.integers(0, 9),
        "stream": st.booleans(),
        "logprobs": st.booleans(),
    },
)


def translated(body: dict[str, Any], model: str) -> Any:
    request = ChatRequest(orjson.dumps(body), body, "route", bool(body.get("stream")), False)
    found = bind(Backend("a", "anthropic"), Target("a/m", "a", model)).chat(request)
    assert isinstance(found, Prepared), found
    assert set(found.unsupported) <= set(found.dropped) <= {*body, "strict"}
    return orjson.loads(found.call.body)


@given(body=BODIES, model=st.sampled_from(MODELS))
@settings(max_examples=many(150), deadline=None)
def test_any_request_of_openais_schema_is_one_of_anthropics(body: dict[str, Any], model: str) -> None:
    before = orjson.dumps(body)
    sent = translated(body, model)
    assert orjson.dumps(body) == before, "a request is never changed"
    thinking = sent.get("thinking", {})
    thinking.pop("block_binding", None)  # a beta, which the description does not know
    BODY.validate(sent)
    in_order(sent["messages"])
    if thinking.get("type") == "enabled":
        assert sent["max_tokens"] > thinking["budget_tokens"]


def in_order(messages: list[Any]) -> None:
    """What the description says in words only, and the API refuses otherwise."""
    assert messages[0]["role"] == "user"
    assert all(one["role"] != other["role"] for one, other in pairwise(messages))
    seen: set[str] = set()
    for place, message in enumerate(messages):
        blocks = message["content"]
        assert blocks
        assert all(block["text"].strip() for block in blocks if block["type"] == "text")
        calls = [block["id"] for block in blocks if block["type"] == "tool_use"]
        assert len(set(calls)) == len(calls)
        assert seen.isdisjoint(calls)
        seen.update(calls)
        if message["role"] == "assistant":
            following = messages[place + 1]["content"] if place + 1 < len(messages) else []
            first = [block["tool_use_id"] for block in following[: len(calls)] if block["type"] == "tool_result"]
            assert sorted(first) == sorted(calls)
        results = [block for block in blocks if block["type"] == "tool_result"]
        assert blocks[: len(results)] == results
        before = messages[place - 1]["content"] if place else []
        assert {one["tool_use_id"] for one in results} == {one["id"] for one in before if one["type"] == "tool_use"}
    last = messages[-1]["content"][-1]
    if messages[-1]["role"] == "assistant":
        assert last["text"] == last["text"].rstrip()


@given(messages=MESSAGES, model=st.sampled_from(MODELS), more=MESSAGES)
@settings(max_examples=60, deadline=None)
def test_what_was_said_is_always_said_in_the_same_words(
    messages: list[dict[str, Any]], model: str, more: list[dict[str, Any]]
) -> None:
    """A longer conversation begins as the shorter one did, or nothing could be read from a prompt cache."""
    history = [*messages, {"role": "user", "content": "And?"}]
    short = translated({"messages": history}, model)["messages"]
    long = translated({"messages": [*history, {"role": "assistant", "content": "So."}, *more]}, model)["messages"]
    assert long[: len(short)] == short
