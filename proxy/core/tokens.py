"""An estimate of token counts where nobody reported them. Never mixed up with a reported count: see `Source`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from proxy.core.usage import Source, Usage

Counter = Callable[[str], int]
"""Tokens in a text: by a model's own tokenizer, or about (`of_text`)."""

MOST, PIECE = 40_000, 1000
"""Characters of a request that a tokenizer is given, about: a caller waits for it, and so does everybody else (6 ms at
about 7 million characters a second). Of a longer one it gets pieces of so many, as far apart as they must be."""
CHARS_PER_TOKEN = 4
"""OpenAI's rule of thumb for English text (help.openai.com, "What are tokens and how to count them?")."""
CALIBRATES = 64
"""Estimated tokens from which on a report says something of a tokenizer."""
CALIBRATION = 0.05
"""Weight of one report."""
DENSITIES = (0.4, 2.5)
"""Of tokens by those of four bytes each: code and CJK text in an old vocabulary take up to 2, long English words in a
new one 0.8; a whole request in base64 or in spaces stands outside."""
_ROUNDS = CHARS_PER_TOKEN - 1
"""Added before a division, it rounds up."""
_PER_MESSAGE = 3
"""Separators of one message, beside its role and its content, in the chat formats of OpenAI and ChatML."""
_BEGINNING = 3
"""With which the answer begins (OpenAI cookbook, "How to count tokens with tiktoken")."""
_PARTS = ("image_url", "input_audio", "file")
"""A tuple, since what is looked for may be a list: `"type": ["string", "null"]` of a schema."""
_PER_IMAGE = 765
"""A 1024 x 1024 image in OpenAI's high detail: 170 for each of four tiles, and 85."""


class Tokenizer(Protocol):
    """A `Counter` that counts as a model does, once its vocabulary is there."""

    @property
    def vocabulary(self) -> str:
        """Its name: what counts alike. Empty: it is not loaded (yet), and tokens are counted about."""

    def __call__(self, text: str) -> int: ...


def of_chars(chars: int) -> int:
    """Tokens in so many characters, about; at least one where there is any."""
    return -(-chars // CHARS_PER_TOKEN)


def of_text(text: str) -> int:
    """Tokens in this text, about. Counts UTF-8 bytes, since scripts beyond Latin take more tokens a character."""
    return of_chars(len(text.encode("utf-8", "surrogatepass")))


def of_request(body: Mapping[str, Any], count: Counter = of_text) -> int:
    """Tokens of input in a chat or embeddings request, about."""
    total = _of_input(body.get("input"), count)
    messages = body.get("messages")
    if isinstance(messages, list):
        total += _BEGINNING + sum(_PER_MESSAGE + _of_value(message, count) for message in messages)
    for name in ("tools", "functions"):
        if isinstance(body.get(name), list) and body[name]:
            total += _of_tools(body[name], count)
    return total + _of_value(body.get("response_format"), count)


def of_bounded(body: Mapping[str, Any], count: Counter) -> int:
    """The same in bounded time, however long the request is: exact up to `MOST` characters, beyond them within some
    hundredths, if it is not made to be otherwise."""
    if count is of_text:
        return of_request(body)
    frame = of_request(body, lambda _: 0)
    chars = of_request(body, len) - frame
    if chars <= MOST:
        return of_request(body, count)
    sample = _Sample(count, chars)
    of_request(body, sample)
    return frame + sample.tokens


class _Sample:
    """Counts some pieces of texts that have so many characters together, spread evenly over all of them."""

    def __init__(self, count: Counter, chars: int) -> None:
        self._count = count
        self._step = max(chars * PIECE // MOST, 1)
        self._chars = chars
        self._next = 0
        """Characters until the next piece begins."""
        self._seen = self._found = 0

    def __call__(self, text: str) -> int:
        at, length = self._next, len(text)
        while at < length:
            piece = text[at : at + PIECE]
            self._seen += len(piece)
            self._found += self._count(piece)
            at += self._step
        self._next = at - length
        return 0

    @property
    def tokens(self) -> int:
        """In all of it."""
        return self._found * self._chars // max(self._seen, 1)


def of_plain(messages: object) -> int | None:
    """The same, quickly, for messages that hold nothing but a role and a text; `None`: these hold more."""
    if type(messages) is not list:
        return None
    total = _BEGINNING + _PER_MESSAGE * len(messages)
    try:
        for message in messages:
            one, other = message.values()
            if one.isascii() and other.isascii():
                total += (len(one) + _ROUNDS) // CHARS_PER_TOKEN + (len(other) + _ROUNDS) // CHARS_PER_TOKEN
            else:
                total += of_text(one) + of_text(other)
    except (AttributeError, ValueError):  # JSON knows nothing else that has these methods: to ask first takes longer
        return None
    return total


def calibrated(dense: float, estimate: int, reported: int) -> float:
    """Reported tokens for each that is estimated, after one more report: an average over the last 20 or so, within
    bounds that no tokenizer is known to leave, so that an upstream that reports anything it likes moves it only so
    far. Short requests say nothing: what an upstream adds of its own outweighs them."""
    if estimate < CALIBRATES or reported <= 0:
        return dense
    lowest, highest = DENSITIES
    return dense + CALIBRATION * (min(max(reported / estimate, lowest), highest) - dense)


def estimated(body: Mapping[str, Any], chars: int, count: Counter = of_text, said: str = "") -> Usage:
    """The usage of a request whose answer so far has `chars` characters, marked as estimated. `said`: the part of
    them that is known."""
    output = of_bounded({"input": said}, count) + of_chars(max(chars - len(said), 0)) if said else of_chars(chars)
    return Usage(of_bounded(body, count), output, source=Source.ESTIMATED)


def _of_input(value: object, count: Counter) -> int:
    """An embeddings input: text, texts, token ids, or lists of those."""
    if isinstance(value, str):
        return count(value)
    if isinstance(value, list):
        return sum(1 if isinstance(item, int) else _of_input(item, count) for item in value)
    return 0


def _of_tools(tools: list[Any], count: Counter) -> int:
    """What OpenAI makes of tools is not JSON, and shorter (OpenAI cookbook, "How to count tokens with tiktoken")."""
    total = 12
    for tool in tools:
        function = tool.get("function", tool) if isinstance(tool, dict) else None
        if not isinstance(function, dict):
            continue
        total += 7 + count(_line(function.get("name"), function))
        schema = function.get("parameters")
        properties = schema.get("properties") if isinstance(schema, dict) else None
        if not isinstance(properties, dict) or not properties:
            continue
        total += 3
        for name, value in properties.items():
            told = value if isinstance(value, dict) else {}
            total += 3 + count(_line(f"{name}:{told.get('type')}", told))
            total += _of_value({k: v for k, v in told.items() if k not in ("type", "description")}, count)
    return total


def _line(name: object, told: dict[str, Any]) -> str:
    described = told.get("description")
    return f"{name}:{described.removesuffix('.') if isinstance(described, str) else ''}"


def _of_value(value: object, count: Counter) -> int:
    """All text in a JSON value, keys included; an image counts as one of usual size, not by the length of its data."""
    total = 0
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            total += count(item)
        elif isinstance(item, list):
            stack += item
        elif isinstance(item, dict):
            if item.get("type") in _PARTS:
                total += _PER_IMAGE
            else:
                stack += item.values()
    return total
