"""Chat requests as OpenAI's schema allows them (CreateChatCompletionRequest), for property tests of dialects."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

Json = dict[str, Any]

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
NAME = st.from_regex(r"[A-Za-z0-9_-]{1,12}", fullmatch=True)
IDS = st.sampled_from(["call_1", "call_2", "toolu_01ABC", "fc_9|x", "a" * 45, "1"])
SCHEMAS = st.sampled_from(
    [
        {},
        {"type": "object"},
        {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        {"type": "object", "properties": {"a": {"$ref": "#/$defs/n"}}, "$defs": {"n": {"type": ["integer", "null"]}}},
        {"type": "object", "properties": {}, "additionalProperties": False, "title": "T"},
        {"anyOf": [{"type": "object"}, {"type": "object", "properties": {"x": {"enum": [1, "b", None]}}}]},
    ]
)
ARGUMENTS = st.sampled_from(['{"city": "Bern"}', "{}", "", "[1]", "not json", '"text"', '{"a": {"b": [1, null]}}'])
PNG = "data:image/png;base64,iVBORw0KGgo="


def optional(required: dict[str, st.SearchStrategy[Any]], **more: st.SearchStrategy[Any]) -> st.SearchStrategy[Json]:
    return st.fixed_dictionaries(required, optional=more)


TEXT_PART = optional({"type": st.just("text"), "text": TEXT})
REFUSAL = optional({"type": st.just("refusal"), "refusal": TEXT})
IMAGE = optional(
    {
        "type": st.just("image_url"),
        "image_url": optional({"url": st.just(PNG)}, detail=st.sampled_from(["auto", "low", "high"])),
    }
)
AUDIO = st.just({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}})
FILE = st.sampled_from(
    [
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}},
        {"type": "file", "file": {"file_id": "file-1"}},
    ]
)
REMOTE = st.just({"type": "image_url", "image_url": {"url": "https://example.com/a.png"}})
WORDS = TEXT | st.lists(TEXT_PART, min_size=1, max_size=3)
CALL = optional(
    {
        "id": IDS,
        "type": st.just("function"),
        "function": optional({"name": NAME, "arguments": ARGUMENTS}),
    }
)
ASSISTANT = optional(
    {"role": st.just("assistant")},
    content=st.none() | TEXT | st.lists(TEXT_PART | REFUSAL, min_size=1, max_size=2),
    refusal=st.none() | TEXT,
    tool_calls=st.lists(CALL, min_size=1, max_size=3),
    name=NAME,
)
TOOL_RESULT = optional({"role": st.just("tool"), "tool_call_id": IDS, "content": WORDS})
FUNCTION_RESULT = optional({"role": st.just("function"), "name": NAME, "content": st.none() | TEXT})
TOOL = optional(
    {"type": st.just("function")}
    | {"function": optional({"name": NAME}, description=TEXT, parameters=SCHEMAS, strict=st.none() | st.booleans())}
)
CHOICE: st.SearchStrategy[Any] = st.sampled_from(["auto", "none", "required"]) | NAME.map(
    lambda name: {"type": "function", "function": {"name": name}}
)
FORMAT: st.SearchStrategy[Json] = st.sampled_from([{"type": "text"}, {"type": "json_object"}]) | SCHEMAS.map(
    lambda schema: {"type": "json_schema", "json_schema": {"name": "x", "schema": schema, "strict": True}}
)


def user(*parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Json]:
    """A user's message of words, images in data URLs, and these parts besides."""
    part = st.one_of(TEXT_PART, IMAGE, *parts)
    return optional({"role": st.just("user"), "content": TEXT | st.lists(part, min_size=1, max_size=4)}, name=NAME)


def conversations(*parts: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Json]]:
    """Any messages in any order, as the schema allows: what is sensible is not its business."""
    system = optional({"role": st.sampled_from(["system", "developer"]), "content": WORDS}, name=NAME)
    message = st.one_of(system, user(*parts), ASSISTANT, TOOL_RESULT, FUNCTION_RESULT)
    return st.lists(message, min_size=1, max_size=7)


def requests(*parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Json]:
    """Whole requests. `parts`: parts of a user's message besides words and images in data URLs."""
    return optional(
        {"model": st.just("r"), "messages": conversations(*parts)},
        stream=st.none() | st.booleans(),
        temperature=st.none() | st.floats(0, 2),
        top_p=st.none() | st.floats(0, 1),
        n=st.none() | st.integers(1, 3),
        seed=st.none() | st.integers(-(2**63), 2**63 - 1),
        stop=st.none() | TEXT | st.lists(TEXT, min_size=1, max_size=4),
        max_tokens=st.none() | st.integers(1, 100),
        max_completion_tokens=st.none() | st.integers(1, 100),
        presence_penalty=st.none() | st.floats(-2, 2),
        frequency_penalty=st.none() | st.floats(-2, 2),
        logprobs=st.none() | st.booleans(),
        top_logprobs=st.integers(0, 20),
        logit_bias=st.none() | st.just({"50256": -100}),
        reasoning_effort=st.none() | st.sampled_from(["none", "minimal", "low", "medium", "high", "xhigh"]),
        response_format=FORMAT,
        tools=st.lists(TOOL, min_size=1, max_size=3),
        tool_choice=CHOICE,
        parallel_tool_calls=st.booleans(),
        user=TEXT,
        metadata=st.none() | st.just({"k": "v"}),
        store=st.none() | st.booleans(),
        service_tier=st.none() | st.sampled_from(["auto", "default", "flex", "priority"]),
        verbosity=st.none() | st.sampled_from(["low", "medium", "high"]),
    )
