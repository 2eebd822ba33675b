"""What Anthropic's answers say in OpenAI's words, in a stream and whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from proxy.backends.anthropic_history import FORMAT

_FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "pause_turn": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
"""`pause_turn`: a loop of Anthropic's own tools was broken off, so that the answer is not all there is."""


def finish_of(reason: str, *, legacy: bool = False) -> str:
    """OpenAI's finish reason; `legacy`: for a request with `functions`."""
    finish = _FINISH.get(reason, "stop")
    return "function_call" if legacy and finish == "tool_calls" else finish


def signed(text: str, signature: str, index: int) -> dict[str, Any]:
    """A thinking block as a `reasoning_details` entry, in OpenRouter's shape."""
    return {"type": "reasoning.text", "text": text, "signature": signature, "format": FORMAT, "index": index}


def encrypted(data: str, index: int) -> dict[str, Any]:
    """A redacted thinking block as a `reasoning_details` entry."""
    return {"type": "reasoning.encrypted", "data": data, "format": FORMAT, "index": index}


def annotation(citation: Any, start: int, end: int) -> dict[str, Any] | None:
    """A citation of something with an address as OpenAI's `url_citation`, of the text from `start` to `end`. (It has no
    word for a citation of a document that the caller sent.)"""
    if not isinstance(citation, Mapping):
        return None
    url = citation.get("url") or citation.get("source")
    if not isinstance(url, str) or not url.startswith(("https://", "http://")):
        return None
    title = citation.get("title")
    inner = {"start_index": start, "end_index": end, "url": url, "title": title if isinstance(title, str) else ""}
    return {"type": "url_citation", "url_citation": inner}


def word(block: Mapping[str, Any], name: str) -> str:
    """A text member of a block; nothing else counts."""
    value = block.get(name)
    return value if isinstance(value, str) else ""
