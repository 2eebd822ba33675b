"""Thinking that a client hands back: whose it is, and what of it each side may see.

A signature of Anthropic's goes out as it came. What other providers want back next time (their `reasoning_details`,
further members of tool calls such as Gemini's thought signatures) travels sealed, in the signature of a thinking block
or as a redacted one, both of which Anthropic's clients hand on untouched; Anthropic never gets to see it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from proxy.inbound.responses_thoughts import OURS, unsealed

CLAUDE = "anthropic-claude-v1"
"""The `format` of reasoning that Anthropic signed."""


class Thoughts:
    """The thinking blocks of one message, as chat completions carry them."""

    __slots__ = ("_details", "_words", "calls")

    def __init__(self) -> None:
        self._details: list[Mapping[str, Any]] = []
        self._words: list[str] = []
        self.calls: dict[str, Mapping[str, Any]] = {}
        """Further members of tool calls, by their id."""

    def take(self, block: Mapping[str, Any]) -> bool:
        """Is it one?"""
        if block["type"] == "thinking":
            self._thinking(str(block.get("thinking") or ""), block.get("signature"))
        elif block["type"] == "redacted_thinking":
            self._redacted(block.get("data"))
        else:
            return False
        return True

    def members(self) -> dict[str, Any]:
        """What the message holds of them."""
        said: dict[str, Any] = {}
        if self._words:
            said["reasoning_content"] = "\n\n".join(self._words)
        if self._details:
            said["reasoning_details"] = self._details
        return said

    def _thinking(self, text: str, signature: object) -> None:
        if not isinstance(signature, str) or not signature:
            if text:
                self._words.append(text)
        elif signature.startswith(OURS):
            kept = unsealed(signature)
            self._details += kept.details
            self.calls.update(kept.calls)
        else:
            detail = {"type": "reasoning.text", "text": text, "signature": signature, "format": CLAUDE}
            self._details.append({**detail, "index": len(self._details)})

    def _redacted(self, data: object) -> None:
        if not isinstance(data, str):
            return
        if data.startswith(OURS):
            kept = unsealed(data)
            self._details += kept.details
            self.calls.update(kept.calls)
        else:
            detail = {"type": "reasoning.encrypted", "data": data, "format": CLAUDE}
            self._details.append({**detail, "index": len(self._details)})


def without_foreign(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """The request for Anthropic itself, without thinking that it did not sign: it answers that with an error.

    The body itself where there is none. Where the turn that is gone on with loses its thinking, none is asked for:
    Anthropic demands that a turn which was begun with fixed thinking is gone on with so ("Expected `thinking`…").
    """
    messages = body["messages"]
    kept = [_cleaned(message) for message in messages]
    if all(one is other for one, other in zip(kept, messages, strict=True)):
        return body
    cleaned = {**body, "messages": [message for message in kept if message is not None]}
    last = next((place for place in reversed(range(len(messages))) if messages[place].get("role") == "assistant"), 0)
    after = messages[last + 1 :]
    if kept[last] is not messages[last] and any(_holds(message, "tool_result") for message in after):
        thinking = body.get("thinking")
        if isinstance(thinking, Mapping) and thinking.get("type") == "enabled":
            del cleaned["thinking"]
    return cleaned


def _cleaned(message: Mapping[str, Any]) -> Mapping[str, Any] | None:
    content = message.get("content")
    if not isinstance(content, list) or not any(_foreign(block) for block in content):
        return message
    left = [block for block in content if not _foreign(block)]
    return {**message, "content": left} if left else None


def _foreign(block: Mapping[str, Any]) -> bool:
    kind = block.get("type")
    if kind == "thinking":
        given = block.get("signature")
    elif kind == "redacted_thinking":
        given = block.get("data")
    else:
        return False
    return not isinstance(given, str) or not given or given.startswith(OURS)


def _holds(message: Mapping[str, Any], kind: str) -> bool:
    content = message.get("content")
    return isinstance(content, list) and any(block.get("type") == kind for block in content)
