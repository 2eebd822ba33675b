"""Real answers of providers that speak OpenAI's dialect, in Anthropic's words: valid by its schema, and nothing lost.

The recordings are those of `tests/backends/fixtures`; their `golden` says what each answer holds.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from proxy.backends.registry import bind
from proxy.config.values import Backend
from proxy.core.chat import ChatRequest, Completion
from proxy.core.dialect import Dialect
from proxy.core.route import Target
from proxy.inbound.messages import Messages
from proxy.inbound.way import Renderer
from proxy.testing.exchange import Exchange, load

Valid = Callable[[str, Any], None]
RECORDED = [
    exchange
    for exchange in load(Path(__file__).parents[1] / "backends" / "fixtures" / "openai.jsonl")
    if exchange.endpoint == "chat" and exchange.status == 200 and "error" not in exchange.golden
    if "functions" not in exchange.sent  # the older form, which is never asked for here
]
ASKED = {"model": "best", "max_tokens": 50, "messages": [{"role": "user", "content": "Hi"}]}


def dialect_of(exchange: Exchange) -> Dialect:
    backend = Backend("up", "openai", exchange.base_url("/chat/completions"))
    return bind(backend, Target("up/m", "up", exchange.model))


def renderer() -> Renderer:
    request = Messages().read({**ASKED}, b"", {})
    assert isinstance(request, ChatRequest)
    return Messages().renderer(request, "req_1", 1)


def holds(exchange: Exchange, blocks: list[dict[str, Any]], usage: dict[str, Any]) -> None:
    """The blocks are what the first choice says, and the counts what was reported."""
    golden = next(one for one in exchange.golden["choices"])
    texts = [block["text"] for block in blocks if block["type"] == "text"]
    assert sum(map(len, texts)) == golden["content"] + golden["refusal"]
    thoughts = [block["thinking"] for block in blocks if block["type"] == "thinking"]
    assert sum(map(len, thoughts)) == golden["reasoning"]
    assert [block["name"] for block in blocks if block["type"] == "tool_use"] == [name for name, _ in golden["tools"]]
    told = exchange.golden["usage"]
    if told is not None:
        parts = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
        assert usage["cache_read_input_tokens"] == min(told.get("cached_input", 0), told["input"])
        assert sum(usage[part] for part in parts) == told["input"]


@pytest.mark.parametrize("exchange", [one for one in RECORDED if not one.streaming], ids=lambda one: one.id)
def test_whole_answers(exchange: Exchange, anthropic_schema: Valid) -> None:
    found = dialect_of(exchange).completion(exchange.body)
    assert isinstance(found, Completion)
    message = orjson.loads(renderer().whole(found.raw))
    anthropic_schema("Message", message)
    holds(exchange, message["content"], message["usage"])


@pytest.mark.parametrize("exchange", [one for one in RECORDED if one.streaming], ids=lambda one: one.id)
def test_streams(exchange: Exchange, anthropic_schema: Valid) -> None:
    decoder, rendering = dialect_of(exchange).decoder(wants_usage=True), renderer()
    sent = b"".join(rendering.push(event.raw) for event in decoder.feed(exchange.body)) + rendering.close(b"")
    blocks: list[dict[str, Any]] = []
    usage: dict[str, Any] = {}
    for one in sent.split(b"\n\n"):
        if one.startswith(b"event: "):
            event = orjson.loads(one.partition(b"\ndata: ")[2])
            anthropic_schema("MessageStreamEvent", event)
            if event["type"] == "content_block_start":
                blocks.append(event["content_block"])
            elif event["type"] == "content_block_delta":
                block = blocks[event["index"]]
                for name in ("text", "thinking"):
                    block[name] = block.get(name, "") + event["delta"].get(name, "")
            elif event["type"] == "message_delta":
                usage = event["usage"]
    holds(exchange, blocks, usage)
