"""What translating costs, by the processor's time: the least of many rounds, which a busy machine disturbs little."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import orjson

from proxy.backends.registry import bind
from proxy.config.values import Backend
from proxy.core.chat import ChatRequest
from proxy.core.dialect import Dialect
from proxy.core.route import Target

ANTHROPIC = bind(Backend("a", "anthropic"), Target("a/m", "a", "claude-sonnet-4-5"))
OPENAI = bind(Backend("o", "openai"), Target("o/m", "o", "gpt-4o"))
A_DELTA = b'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" help you with"}      }'
A_CHUNK = (
    b'{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"gpt-4o","choices":[{"index":0,'
    b'"delta":{"content":" help you with"},"logprobs":null,"finish_reason":null}]}'
)


def least(work: Callable[[], object], rounds: int) -> float:
    """Seconds of the processor's time."""
    best = 1e9
    for _ in range(rounds):
        before = time.process_time()
        work()
        best = min(best, time.process_time() - before)
    return best


def history() -> list[dict[str, Any]]:
    """100 messages, a quarter of which call a tool, and a quarter of which are what it gave back."""
    messages: list[dict[str, Any]] = []
    for number in range(25):
        function = {"name": "get_weather", "arguments": '{"city": "Paris", "unit": "celsius"}'}
        messages += [
            {"role": "user", "content": "What is the weather like there today? " * 3},
            {"role": "assistant", "tool_calls": [{"id": f"c{number}", "type": "function", "function": function}]},
            {"role": "tool", "tool_call_id": f"c{number}", "content": "20 degrees, and sunny all day." * 4},
            {"role": "assistant", "content": "It is sunny, and stays so. " * 8},
        ]
    return messages


def test_a_history_of_100_messages_with_tools_is_translated_within_a_millisecond() -> None:
    tool = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}
    body = {"model": "r", "messages": history(), "tools": [tool] * 8, "stream": True}
    request = ChatRequest(orjson.dumps(body), body, "r", True, False)
    assert least(lambda: ANTHROPIC.chat(request), 200) < 0.001


def test_a_translated_event_costs_at_most_three_that_are_handed_on() -> None:
    def of(dialect: Dialect, event: bytes) -> float:
        decoder = dialect.decoder(wants_usage=False)
        decoder.feed(event)

        def work() -> None:
            for _ in range(500):
                decoder.feed(event)

        return least(work, 30)

    translated = of(ANTHROPIC, b"event: content_block_delta\ndata: " + A_DELTA + b"\n\n")
    assert translated < 3 * of(OPENAI, b"data: " + A_CHUNK + b"\n\n")
