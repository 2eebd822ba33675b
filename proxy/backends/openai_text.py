"""What a delta or a message says: text, reasoning, tool calls, audio."""

from __future__ import annotations

from typing import Any

from proxy.core.chat import Kind
from proxy.core.dialect import Malformed

_CONTENT = Kind.CONTENT
_REASONING = Kind.REASONING
_TOOL = Kind.TOOL

Said = tuple[Kind, str, int]
"""What a client would miss: its kind (content before tool calls before reasoning where one message holds several), its
content as text, and its characters of all kinds together. (A plain tuple: made for every event of a stream.)"""


def said_in(message: Any) -> Said | None:
    """What a `delta` or a `message` says; `None` for one with a role only, or empty. Raises `Malformed`."""
    if not message:
        return None
    if type(message) is not dict:
        raise Malformed("a message of the upstream is not a JSON object")
    text, chars = "", 0
    if content := message.get("content"):
        text, chars = (content, len(content)) if type(content) is str else _content(content)
    thought = message.get("reasoning_content") or message.get("reasoning")
    if thought:
        chars += len(_text(thought))
    if refusal := message.get("refusal"):
        chars += len(_text(refusal))
    tools = message.get("tool_calls") or message.get("function_call")
    if tools:
        chars += _tools(tools)
    if text or refusal or message.get("audio") or message.get("images"):
        return _CONTENT, text, chars
    if tools:
        return _TOOL, "", chars
    return (_REASONING, "", chars) if chars else None


def _content(content: object) -> tuple[str, int]:
    """Text, and characters with the reasoning: Mistral's reasoning models send content as a list of typed parts."""
    if not isinstance(content, list):
        raise Malformed("content of the upstream is neither text nor a list of parts")
    text, thought = "", 0
    for part in content:
        if not isinstance(part, dict):
            text += _text(part)
        elif part.get("type") == "thinking":
            parts = part.get("thinking")
            thought += sum(len(_text(_at(inner, "text"))) for inner in (parts if isinstance(parts, list) else ()))
        else:
            text += _text(part.get("text"))
    return text, len(text) + thought


def _tools(tools: object) -> int:
    """Characters of tool calls, or of the older `function_call`."""
    if isinstance(tools, dict):
        return _function(tools)
    if not isinstance(tools, list):
        raise Malformed("`tool_calls` of the upstream is not a list")
    return sum(_function(_at(call, "function") or _at(call, "custom")) for call in tools)


def _function(function: object) -> int:
    if not isinstance(function, dict):
        return 0
    return sum(len(value) for value in function.values() if isinstance(value, str))


def _text(value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Malformed("text of the upstream is not a string")
    return value


def _at(value: object, name: str) -> object:
    return value.get(name) if isinstance(value, dict) else None
