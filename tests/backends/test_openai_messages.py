"""Conversations that began elsewhere, or came in another API, hold what strict providers of OpenAI's dialect refuse."""

from __future__ import annotations

import copy
from typing import Any

import orjson
import pytest

from proxy.backends.registry import SPECS, bind
from proxy.config.kinds import BACKEND_TYPES
from proxy.config.values import Backend
from proxy.core.chat import ChatRequest
from proxy.core.route import Target
from proxy.core.secret import Secret
from proxy.testing.conformance import prepared

MARK = {"cache_control": {"type": "ephemeral"}}
CALL: dict[str, Any] = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
TOOL: dict[str, Any] = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
THOUGHT = {"reasoning_content": "Hm.", "reasoning_details": [{"type": "reasoning.text", "text": "Hm."}]}
SIGNED = {"extra_content": {"google": {"thought_signature": "c2ln"}}}
FOREIGN: dict[str, Any] = {
    "model": "chat",
    "messages": [
        {"role": "system", "content": [{"type": "text", "text": "Be brief.", **MARK}]},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": None, **THOUGHT, "tool_calls": [{**CALL, **SIGNED}]},
        {"role": "tool", "tool_call_id": "call_1", "content": "1", **MARK},
    ],
    "tools": [{**TOOL, **MARK}],
}
PLAIN: dict[str, Any] = {
    "model": "chat",
    "messages": [
        {"role": "system", "content": [{"type": "text", "text": "Be brief."}]},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "call_1", "content": "1"},
    ],
    "tools": [TOOL],
}


def sent(type_: str, body: dict[str, Any], url: str | None = None) -> Any:
    backend = Backend("up", type_, url or BACKEND_TYPES[type_].base_url or "", Secret("sk-of-a-test-backend"))
    dialect = bind(backend, Target("up/m", "up", "m"))
    before = copy.deepcopy(body)
    found = dialect.chat(ChatRequest(b"", body, "chat", False, False))
    assert body == before, "the request itself is never changed"
    return orjson.loads(prepared(found).call.body)


@pytest.mark.parametrize("type_", ["openai", "groq", "mistral", "fireworks", "cerebras", "together"])
def test_a_strict_provider_gets_what_openais_schema_has(type_: str) -> None:
    found = sent(type_, FOREIGN)
    assert (found["messages"], found["tools"]) == (PLAIN["messages"], PLAIN["tools"])


@pytest.mark.parametrize("type_", ["deepseek", "moonshot", "zai"])
def test_who_wants_its_thoughts_back_gets_them(type_: str) -> None:
    assistant = sent(type_, FOREIGN)["messages"][2]
    assert assistant["reasoning_content"] == "Hm." and "reasoning_details" not in assistant


def test_cache_marks_go_to_who_knows_them() -> None:
    assert sent("dashscope", FOREIGN)["messages"][0]["content"][0]["cache_control"] == MARK["cache_control"]


@pytest.mark.parametrize(
    ("type_", "url"), [("openai", "https://gateway.example.com/v1"), ("vllm", "http://127.0.0.1:1/v1")]
)
def test_a_server_that_nobody_knows_gets_a_request_as_it_came(type_: str, url: str) -> None:
    found = sent(type_, FOREIGN, url)
    assert (found["messages"], found["tools"]) == (FOREIGN["messages"], FOREIGN["tools"])


@pytest.mark.parametrize("type_", sorted(SPECS))
def test_what_is_openais_own_is_left_alone_everywhere(type_: str) -> None:
    url = None if BACKEND_TYPES[type_].base_url else "http://127.0.0.1:1/v1"
    assert sent(type_, PLAIN, url)["messages"] == PLAIN["messages"]
