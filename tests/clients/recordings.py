"""What the providers of this folder answer: recorded exchanges, by scene, and what a reader of each finds in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from proxy.testing.exchange import Exchange, load

FIXTURES = Path(__file__).parents[1] / "backends" / "fixtures"
EXCHANGES = {
    exchange.id: exchange
    for name in ("openai", "vertex", "gemini", "ollama", "anthropic")
    for exchange in load(FIXTURES / f"{name}.jsonl")
}
PROVIDERS = ("openai", "anthropic", "gemini", "ollama")
FAMILIES = {"openai": "gpt-4o", "anthropic": "claude-sonnet-4-5", "gemini": "gemini-2.5-flash", "ollama": "qwen3"}
JOKE = orjson.loads(EXCHANGES["anthropic-056"].body)["content"][0]["text"]
"""A recorded answer to a request with a JSON schema."""


class Scene(NamedTuple):
    """The recorded answers to a request without and with `stream`."""

    whole: Exchange
    stream: Exchange


@dataclass
class Said:
    """What an answer says."""

    text: str = ""
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)


def events(exchange: Exchange) -> list[Any]:
    """The JSON values of an answer, whole or streamed."""
    if not exchange.streaming:
        return [orjson.loads(exchange.body)]
    lines = [line.removeprefix(b"data:").strip() for line in exchange.body.splitlines()]
    return [orjson.loads(line) for line in lines if line.startswith(b"{")]


def said(exchange: Exchange) -> Said:
    """Read off by a few lines that know nothing of the dialects."""
    found = Said()
    pieces: dict[int, list[str]] = {}
    for event in events(exchange):
        if exchange.url.endswith("/chat/completions"):
            _openai(event, found, pieces)
        elif "/v1/messages" in exchange.url:
            _anthropic(event, found, pieces)
        elif "enerateContent" in exchange.url:
            for part in event["candidates"][0]["content"].get("parts", []):
                found.text += "" if part.get("thought") else part.get("text", "")
                if call := part.get("functionCall"):
                    found.calls.append((call["name"], call["args"]))
        else:
            found.text += event["message"]["content"]
            for call in event["message"].get("tool_calls", []):
                found.calls.append((call["function"]["name"], call["function"]["arguments"]))
    for at, texts in pieces.items():
        found.calls[at] = (found.calls[at][0], orjson.loads("".join(texts)))
    return found


def _openai(event: Any, found: Said, pieces: dict[int, list[str]]) -> None:
    for choice in event["choices"]:
        message = choice.get("message") or choice["delta"]
        found.text += message.get("content") or ""
        for n, call in enumerate(message.get("tool_calls") or []):
            if "name" in call["function"]:
                found.calls.append((call["function"]["name"], {}))
            pieces.setdefault(call.get("index", n), []).append(call["function"]["arguments"])


def _anthropic(event: Any, found: Said, pieces: dict[int, list[str]]) -> None:
    for block in event.get("content", [event.get("content_block", {})]):
        found.text += block.get("text", "")
        if block.get("type") == "tool_use":
            found.calls.append((block["name"], block["input"]))
    delta = event.get("delta", {})
    found.text += delta.get("text", "")
    if "partial_json" in delta:
        pieces.setdefault(len(found.calls) - 1, []).append(delta["partial_json"])


def reworded(exchange: Exchange, text: str) -> Exchange:
    """A whole recorded answer with another text."""
    value = orjson.loads(exchange.body)
    if "choices" in value:
        value["choices"][0]["message"]["content"] = text
    elif "candidates" in value:
        value["candidates"][0]["content"]["parts"] = [{"text": text}]
    elif "message" in value:
        value["message"]["content"] = text
    else:
        value["content"] = [{"type": "text", "text": text}]
    return replace(exchange, body=orjson.dumps(value))


def in_lines(exchange: Exchange) -> Exchange:
    """A whole answer of Ollama as it streams one with calls: they come in one line, and the end in another."""
    value = orjson.loads(exchange.body)
    end = {**value, "message": {"role": "assistant", "content": ""}}
    first = {"model": value["model"], "created_at": value["created_at"], "message": value["message"], "done": False}
    return replace(exchange, streaming=True, body=orjson.dumps(first) + b"\n" + orjson.dumps(end) + b"\n")


def _scene(whole: str, stream: str = "") -> Scene:
    return Scene(EXCHANGES[whole], EXCHANGES[stream] if stream else in_lines(EXCHANGES[whole]))


TEXT = {
    "openai": _scene("openai-008", "openai-018"),
    "anthropic": _scene("anthropic-051", "anthropic-067"),
    "gemini": _scene("gemini-084", "vertex-103"),
    "ollama": _scene("ollama-129", "ollama-131"),
}
TOOLS = {
    "openai": _scene("azure-041", "azure-044"),
    "anthropic": _scene("anthropic-053", "anthropic-070"),
    "gemini": _scene("gemini-080", "gemini-089"),
    "ollama": _scene("ollama-128"),
}
"""Of Anthropic's the second one thinks first, of Gemini's both are signed."""
JSON = {name: Scene(reworded(scene.whole, JOKE), scene.stream) for name, scene in TEXT.items()}
REFUSED = {
    "openai": EXCHANGES["openai-027"],
    "anthropic": EXCHANGES["anthropic-074"],
    "gemini": EXCHANGES["vertex-104"],
    "ollama": replace(EXCHANGES["ollama-141"], status=400, body=b'{"error":"invalid options: temperature"}'),
}
"""Bad requests."""
SCENES: Mapping[str, Mapping[str, Scene]] = {"text": TEXT, "tools": TOOLS, "json": JSON, "image": TEXT, "cut": TEXT}
