"""Messages without what their provider does not take: members beyond OpenAI's schema.

Conversations hold such where they began elsewhere (`reasoning_details`, Gemini's `extra_content`) or came in another
API (cache marks). Strict providers answer them with an error: Groq "property 'reasoning_content' is unsupported",
Fireworks "Extra inputs are not permitted, field: 'messages[0].cache_control'".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

BEYOND = frozenset({"cache_control", "extra_content", "reasoning", "reasoning_content", "reasoning_details"})
"""Members of messages, parts, tool calls and tools that other providers know, and OpenAI does not."""


def without(body: dict[str, Any], names: frozenset[str]) -> None:
    """Takes these members out of a request's messages and tools; the lists and objects in it are never changed."""
    for key in ("messages", "tools"):
        given = body.get(key)
        if isinstance(given, list) and _found(given, names):
            body[key] = [_cleaned(one, names) for one in given]


def as_system(body: dict[str, Any]) -> None:
    """Developer messages as the system's, which is what they are to OpenAI's own models too (its model spec)."""
    given = body.get("messages")
    for message in given if isinstance(given, list) else ():
        if type(message) is dict and message.get("role") == "developer":
            body["messages"] = [_renamed(one) for one in given or ()]
            return


def _renamed(message: Any) -> Any:
    developer = isinstance(message, Mapping) and message.get("role") == "developer"
    return {**message, "role": "system"} if developer else message


def _found(items: list[Any], names: frozenset[str]) -> bool:
    """Is there anything to take out? (Looked at for every request: no call for a message that is plain.)"""
    for item in items:
        if type(item) is not dict:
            continue
        if not names.isdisjoint(item):
            return True
        parts, calls = item.get("content"), item.get("tool_calls")
        if (type(parts) is list and _found(parts, names)) or (type(calls) is list and _found(calls, names)):
            return True
    return False


def _cleaned(item: Any, names: frozenset[str]) -> Any:
    """The item itself where there is nothing to take out."""
    if not isinstance(item, Mapping):
        return item
    left = item if names.isdisjoint(item) else {name: value for name, value in item.items() if name not in names}
    for key in ("content", "tool_calls"):
        given = item.get(key)
        if isinstance(given, list) and any(isinstance(one, Mapping) and not names.isdisjoint(one) for one in given):
            left = {**left, key: [_cleaned(one, names) for one in given]}
    return left
