"""An estimate of token counts where nobody reported them. Never mixed up with a reported count: see `Source`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from proxy.core.usage import Source, Usage

CHARS_PER_TOKEN = 4
"""OpenAI's rule of thumb for English text (help.openai.com, "What are tokens and how to count them?")."""
_PER_MESSAGE = 4
"""Role and separators of one message, about, in the chat formats of OpenAI and ChatML."""
_PER_IMAGE = 765
"""A 1024 x 1024 image in OpenAI's high detail: 170 for each of four tiles, and 85."""


def of_chars(chars: int) -> int:
    """Tokens in so many characters, about; at least one where there is any."""
    return -(-chars // CHARS_PER_TOKEN)


def of_text(text: str) -> int:
    """Tokens in this text, about. Counts UTF-8 bytes, since scripts beyond Latin take more tokens a character."""
    return of_chars(len(text.encode("utf-8", "surrogatepass")))


def of_request(body: Mapping[str, Any]) -> int:
    """Tokens of input in a chat or embeddings request, about."""
    total = _of_input(body.get("input"))
    messages = body.get("messages")
    if isinstance(messages, list):
        total += sum(_PER_MESSAGE + _of_value(message) for message in messages)
    return total + sum(_of_value(body[name]) for name in ("tools", "functions", "response_format") if name in body)


def estimated(body: Mapping[str, Any], chars: int) -> Usage:
    """The usage of a request whose answer so far has `chars` characters, marked as estimated."""
    return Usage(of_request(body), of_chars(chars), source=Source.ESTIMATED)


def _of_input(value: object) -> int:
    """An embeddings input: text, texts, token ids, or lists of those."""
    if isinstance(value, str):
        return of_text(value)
    if isinstance(value, list):
        return sum(1 if isinstance(item, int) else _of_input(item) for item in value)
    return 0


def _of_value(value: object) -> int:
    """All text in a JSON value, keys included; an image counts as one of usual size, not by the length of its data."""
    total = 0
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            total += of_text(item)
        elif isinstance(item, list):
            stack += item
        elif isinstance(item, dict):
            if item.get("type") in {"image_url", "input_audio", "file"}:
                total += _PER_IMAGE
            else:
                stack += item.values()
    return total
