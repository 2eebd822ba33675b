"""A conversation by the Responses API with backends that speak neither it nor chat completions: what each of them wants
back with the next turn comes back, and what is another's stays away."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from proxy.backends.registry import bind
from proxy.config.values import Backend
from proxy.core.chat import ChatRequest
from proxy.core.dialect import Dialect, Prepared, Stamp
from proxy.core.route import Target
from proxy.core.secret import Secret
from proxy.inbound.responses import Responses
from tests.inbound.sequence import RID, check, events, request

TOOL = {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {"city": {}}}}
ASK = {"role": "user", "content": "How is the weather in Rome?"}


def sse(*found: dict[str, Any], named: bool = False) -> bytes:
    names = [b"event: " + one["type"].encode() + b"\n" if named else b"" for one in found]
    return b"".join([n + b"data: " + orjson.dumps(one) + b"\n\n" for n, one in zip(names, found, strict=True)])


CLAUDE = sse(
    {"type": "message_start", "message": {"id": "m", "model": "claude", "usage": {"input_tokens": 7}, "content": []}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": "", "signature": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "I must "}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "look."}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "c2lnbmVk"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use", "id": "t1", "name": "weather"}},
    {
        "type": "content_block_delta",
        "index": 1,
        "delta": {"type": "input_json_delta", "partial_json": '{"city":"Rome"}'},
    },
    {"type": "content_block_stop", "index": 1},
    {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 5}},
    {"type": "message_stop"},
    named=True,
)
GEMINI = sse(
    {
        "candidates": [
            {
                "content": {
                    "role": "model",
                    "parts": [
                        {"text": "I must look.", "thought": True},
                        {"functionCall": {"name": "weather", "args": {"city": "Rome"}}, "thoughtSignature": "c2lnbmVk"},
                    ],
                },
                "finishReason": "STOP",
            }
        ],
        "usageMetadata": {"promptTokenCount": 7, "candidatesTokenCount": 5, "totalTokenCount": 12},
        "modelVersion": "gemini",
    }
)


def dialect(type_: str, model: str) -> Dialect:
    urls = {"anthropic": "https://api.anthropic.com", "gemini": "https://generativelanguage.googleapis.com/v1beta"}
    backend = Backend("up", type_, urls.get(type_, "http://127.0.0.1:8000/v1"), Secret("sk-0123456789"))
    return bind(backend, Target(f"up/{model}", "up", model))


def answered(to: Dialect, asked: ChatRequest, upstream: bytes) -> list[dict[str, Any]]:
    """The output items of a stream of this upstream's."""
    decoder = to.decoder(wants_usage=True, stamp=Stamp("chatcmpl-1", 1, asked.body))
    renderer = Responses().renderer(asked, RID, 1)
    out = b"".join([renderer.push(event.raw) for event in decoder.feed(upstream) if event.raw]) + renderer.close(b"")
    output: list[dict[str, Any]] = check(events(out))["output"]
    return output


def sent(to: Dialect, asked: ChatRequest) -> Any:
    prepared = to.chat(asked)
    assert isinstance(prepared, Prepared)
    return orjson.loads(prepared.call.body)


def next_turn(output: list[dict[str, Any]]) -> ChatRequest:
    [call] = [item for item in output if item["type"] == "function_call"]
    result = {"type": "function_call_output", "call_id": call["call_id"], "output": "12 degrees"}
    return request(stream=True, input=[ASK, *output, result], tools=[TOOL])


FIRST = request(stream=True, input=[ASK], tools=[TOOL], reasoning={"effort": "low"})


def test_claude_gets_its_signed_thinking_back() -> None:
    claude = dialect("anthropic", "claude-sonnet-4-5")
    output = answered(claude, FIRST, CLAUDE)
    assert [item["type"] for item in output] == ["reasoning", "function_call"]
    assert output[0]["summary"][0]["text"] == "I must look."
    turn = sent(claude, next_turn(output))["messages"][1]
    assert turn["role"] == "assistant"
    thinking, use = turn["content"]
    assert (thinking["type"], thinking["thinking"], thinking["signature"]) == ("thinking", "I must look.", "c2lnbmVk")
    assert (use["type"], use["name"], use["input"]) == ("tool_use", "weather", {"city": "Rome"})


def test_gemini_gets_the_signature_of_its_call_back() -> None:
    gemini = dialect("gemini", "gemini-3-pro")
    output = answered(gemini, FIRST, GEMINI)
    assert output[-1]["type"] == "function_call"
    assert "I must look." in [part["text"] for item in output[:-1] for part in item["summary"]]
    turn = sent(gemini, next_turn(output))["contents"][1]
    [part] = [part for part in turn["parts"] if "functionCall" in part]
    assert part["thoughtSignature"] == "c2lnbmVk"


@pytest.mark.parametrize(
    ("type_", "model"), [("groq", "llama"), ("mistral", "large"), ("deepseek", "d"), ("gemini", "g")]
)
def test_a_conversation_that_claude_began_goes_on_elsewhere_without_its_signature(type_: str, model: str) -> None:
    asked = next_turn(answered(dialect("anthropic", "claude-sonnet-4-5"), FIRST, CLAUDE))
    body = orjson.dumps(sent(dialect(type_, model), asked))
    assert b"12 degrees" in body
    assert b"weather" in body
    assert b"c2lnbmVk" not in body
