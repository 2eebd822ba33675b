"""Any request that Anthropic's API takes is one that OpenAI's takes; any JSON at all is a request, or wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.chat import ChatRequest
from proxy.inbound.messages import Messages
from proxy.inbound.way import Wrong
from tests.examples import many

Valid = Callable[[str, Any], None]
API = Messages()
PNG = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}
SCHEMA = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}
SIGNED = {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}
REDACTED = {"type": "redacted_thinking", "data": "Ymx1cg=="}
UNSIGNED = {"type": "thinking", "thinking": "Hm.", "signature": ""}

words = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
marks = st.sampled_from([{}, {"cache_control": {"type": "ephemeral"}}])
ids = st.from_regex(r"[a-zA-Z0-9_-]{1,12}", fullmatch=True)
names = st.from_regex(r"[a-zA-Z0-9_-]{1,12}", fullmatch=True)
texts = st.builds(lambda t, m: {"type": "text", "text": t, **m}, words, marks)
images = st.sampled_from(
    [{"type": "image", "source": PNG}, {"type": "image", "source": {"type": "url", "url": "https://example.com/x"}}]
)
documents = st.sampled_from(
    [
        {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="}},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "x"}, "title": "T"},
        {"type": "document", "source": {"type": "content", "content": "x"}, "citations": {"enabled": True}},
    ]
)
results = st.builds(
    lambda key, content, bad: {"type": "tool_result", "tool_use_id": key, "content": content, "is_error": bad},
    ids,
    words | st.lists(texts | images | documents, max_size=3),
    st.booleans(),
)
uses = st.builds(
    lambda key, name, given: {"type": "tool_use", "id": key, "name": name, "input": given},
    ids,
    names,
    st.dictionaries(words, words | st.integers(-5, 5) | st.none(), max_size=2),
)
thoughts = st.sampled_from([SIGNED, REDACTED, UNSIGNED])
ran = st.sampled_from(
    [
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}},
        {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []},
    ]
)
turns = st.builds(
    lambda content: {"role": "user", "content": content},
    words | st.lists(texts | images | documents | results, min_size=1, max_size=4),
) | st.builds(
    lambda content: {"role": "assistant", "content": content},
    words | st.lists(texts | uses | thoughts | ran, min_size=1, max_size=4),
)
tools = st.builds(
    lambda name, more: {"name": name, "input_schema": SCHEMA, **more},
    names,
    st.sampled_from([{}, {"description": "x"}, {"strict": True}, {"cache_control": {"type": "ephemeral"}}]),
)
own_tools = st.sampled_from(
    [{"type": "web_search_20250305", "name": "web_search"}, {"type": "bash_20250124", "name": "bash"}]
)
choices = st.sampled_from([{"type": "auto"}, {"type": "any", "disable_parallel_tool_use": True}, {"type": "none"}])
requests = st.fixed_dictionaries(
    {"model": st.just("best"), "max_tokens": st.integers(1, 9999), "messages": st.lists(turns, min_size=1, max_size=6)},
    optional={
        "system": words | st.lists(texts, min_size=1, max_size=3),
        "stream": st.booleans(),
        "temperature": st.floats(0, 1),
        "top_p": st.floats(0, 1),
        "top_k": st.integers(0, 50),
        "stop_sequences": st.lists(words, max_size=4),
        "metadata": st.fixed_dictionaries({"user_id": words}),
        "service_tier": st.sampled_from(["auto", "standard_only"]),
        "thinking": st.sampled_from(
            [{"type": "disabled"}, {"type": "adaptive"}, {"type": "enabled", "budget_tokens": 2000}]
        ),
        "output_config": st.sampled_from(
            [{"effort": "high"}, {"effort": "max", "format": {"type": "json_schema", "schema": SCHEMA}}]
        ),
        "tools": st.lists(tools | own_tools, max_size=3),
        "tool_choice": choices,
    },
)


@given(requests)
@settings(max_examples=many(150), deadline=None)
def test_any_request_valid_for_anthropics_schema_is_valid_for_openais(
    anthropic_schema: Valid, chat_schema: Valid, body: dict[str, Any]
) -> None:
    anthropic_schema("CreateMessageParams", body)
    before = orjson.dumps(body)
    request = API.read(body, before, {})
    assert isinstance(request, ChatRequest) and request.native is not None
    if request.body["messages"]:
        chat_schema("CreateChatCompletionRequest", request.body)
    anthropic_schema("CreateMessageParams", request.native.body)
    assert orjson.dumps(body) == before, "what the client sent is not changed"


WORDS = ["", "text", "user", "tool", "auto", "base64", "enabled", "json_schema"]
BLOCKS = ["text", "image", "document", "tool_use", "tool_result", "thinking", "redacted_thinking", "search_result"]
MEMBERS = ["type", "role", "content", "text", "source", "data", "id", "name", "input", "tool_use_id", "signature"]
MORE = ["thinking", "citations", "url", "media_type", "schema", "format", "cache_control", "input_schema", "title"]
TOP = [
    "system",
    "stream",
    "stop_sequences",
    "metadata",
    "thinking",
    "tools",
    "tool_choice",
    "output_config",
    "container",
]
json = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(WORDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(MEMBERS + MORE), inner, max_size=4),
    max_leaves=12,
)
blocks = st.fixed_dictionaries(
    {"type": st.sampled_from([*BLOCKS, "mid_conv_system", "new"])}, optional=dict.fromkeys(MEMBERS[2:] + MORE, json)
)
messages = st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant"]), "content": st.lists(blocks)})
odd = st.fixed_dictionaries(
    {"model": st.just("m") | json, "max_tokens": st.just(5) | json, "messages": st.lists(messages, max_size=3) | json},
    optional=dict.fromkeys([*TOP, "output_format", "service_tier", "temperature"], json),
)


@given(odd)
@settings(max_examples=many(300), deadline=None)
def test_any_json_at_all_is_a_request_or_wrong(body: dict[str, Any]) -> None:
    found = API.read(body, orjson.dumps(body), {})
    assert isinstance(found, ChatRequest | Wrong)
