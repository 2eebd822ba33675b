"""What providers demand of a conversation beyond its messages' shapes: every call has its result, next and once."""

from __future__ import annotations

from itertools import pairwise
from typing import Any


def unpaired(provider: str, body: Any) -> list[str]:
    """What is not in order, in words."""
    return {"openai": _openai, "anthropic": _anthropic, "gemini": _gemini, "ollama": _ollama}[provider](body)


def _openai(body: Any) -> list[str]:
    open_: list[str] = []
    wrong = []
    for message in body["messages"]:
        if message["role"] == "tool":
            if message["tool_call_id"] not in open_:
                wrong.append(f"a result of no call: {message['tool_call_id']}")
                continue
            open_.remove(message["tool_call_id"])
        elif open_:
            wrong.append(f"no result for {open_}")
        open_ += [call["id"] for call in message.get("tool_calls") or []]
    return wrong + [f"no result for {id_}" for id_ in open_]


def _anthropic(body: Any) -> list[str]:
    wrong = []
    turns = [(m["role"], m["content"] if isinstance(m["content"], list) else []) for m in body["messages"]]
    for (_, blocks), (_, following) in pairwise([*turns, ("user", [])]):
        calls = [block["id"] for block in blocks if block["type"] == "tool_use"]
        results = [block["tool_use_id"] for block in following if block["type"] == "tool_result"]
        if sorted(calls) != sorted(results):
            wrong.append(f"calls {calls}, but then results {results}")
    return wrong


def _gemini(body: Any) -> list[str]:
    wrong = []
    turns = [content["parts"] for content in body["contents"]]
    for parts, following in pairwise([*turns, []]):
        calls = [part["functionCall"]["name"] for part in parts if "functionCall" in part]
        results = [part["functionResponse"]["name"] for part in following if "functionResponse" in part]
        if calls != results:
            wrong.append(f"calls {calls}, but then results {results}")
    roles = [content["role"] for content in body["contents"]]
    return wrong + [f"two turns of the {one} in a row" for one, other in pairwise(roles) if one == other]


def _ollama(body: Any) -> list[str]:
    calls = [c["function"]["name"] for m in body["messages"] for c in m.get("tool_calls") or []]
    results = [message["tool_name"] for message in body["messages"] if message["role"] == "tool"]
    return [] if calls == results else [f"calls {calls}, but results {results}"]
