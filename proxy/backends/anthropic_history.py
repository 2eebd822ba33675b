"""A conversation in Anthropic's words: turns that alternate and begin with the user's, and results behind their calls.

What comes from elsewhere is mended where Anthropic would refuse it: ids, calls without results and results without
calls, empty turns, thoughts of other providers. The same conversation always gives the same words, or prompt caches and
thinking blocks that are bound to what stood before them would be lost.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from proxy.backends.conversation import Call, Conversation, Media, Part, Result, Text, Thought, conversation

Block = dict[str, Any]

FORMAT = "anthropic-claude-v1"
"""How `reasoning_details` say that a signature is Anthropic's (OpenRouter's word)."""

_NOT_IN_ID = re.compile(r"[^a-zA-Z0-9_-]")
_IMAGES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
_PDF = "application/pdf"
_TEXTS = frozenset({"application/json", "application/xml", "application/yaml", "application/x-yaml"})
_LONGEST_TITLE = 500
_BEGIN = "(The conversation begins with your own words.)"
_EMPTY = "(An empty message.)"
_GO_ON = "(Go on.)"
_NO_RESULT = "(No result was given.)"


class Inexpressible(ValueError):
    """A part of the conversation that cannot be said to Anthropic; the text is for the caller."""


class History(NamedTuple):
    """`system` and `messages` of a request, and what has to be known of them."""

    system: list[Block]
    messages: list[Block]
    prefilled: bool
    """The last message is the assistant's, to be continued."""
    thoughts: bool
    """Thinking blocks are among them."""
    thoughtless: bool
    """It goes on after results of tools that the assistant called without a thinking block before."""
    tools: tuple[str, ...]
    """The names of the tools that were called."""


def history(messages: Iterable[Any], *, prefill: bool, files: bool = False) -> History:
    """`prefill`: the model continues an assistant message that comes last; others are asked to go on. `files`: files
    are handed on by their ids. Raises `Inexpressible`."""
    given = list(messages)
    writer = _Writer(files=files)
    taken: Conversation = conversation(given)
    for turn in taken.turns:
        if turn.role == "assistant":
            writer.assistant(turn.parts)
        else:
            writer.user(turn.parts)
    written = writer.closed()
    prefilled = False
    if written[-1]["role"] == "assistant":
        prefilled = prefill and _is_assistants(given[-1]) and _shorten(written)
        if not prefilled:
            written.append(_message("user", [_text(_GO_ON)]))
    system = [_words(text) for text in taken.system if not text.text.isspace()]
    called = tuple(dict.fromkeys(writer.called))
    return History(system, written, prefilled, writer.thoughts, _thoughtless(written), called)


class _Writer:
    """Writes turn after turn."""

    def __init__(self, *, files: bool) -> None:
        self._files = files
        self._messages: list[Block] = []
        self._ids: set[str] = set()
        self._open: dict[str, list[str]] = {}
        """Calls of the last turn that have no result yet: by the ids that the client has, those that were sent."""
        self.called: list[str] = []
        self.thoughts = False

    def assistant(self, parts: tuple[Part, ...]) -> None:
        blocks: list[Block] = []
        for part in parts:
            if type(part) is Text:
                if not part.text.isspace():
                    blocks.append(_words(part))
            elif type(part) is Call:
                blocks.append(self._call(part))
            elif type(part) is Thought and (found := _thinking(part)) is not None:
                blocks.append(found)
                self.thoughts = True
            elif type(part) is Media:
                blocks.append(_media(part, files=self._files))
        self._add("assistant", blocks)

    def user(self, parts: tuple[Part, ...]) -> None:
        results: list[Block] = []
        blocks: list[Block] = []
        for part in parts:
            if type(part) is Result:
                waiting = self._open.get(part.id)
                if not waiting:  # of a call that is not there: all that can be kept of it is what it says
                    blocks += self._blocks(part.parts)
                else:
                    results.append(self._result(waiting.pop(0), part))
            elif type(part) is Text:
                if not part.text.isspace():
                    blocks.append(_words(part))
            elif type(part) is Media:
                blocks.append(_media(part, files=self._files))
        if self._open:
            results += self._missing()
        self._add("user", results + blocks or [_text(_EMPTY)])

    def closed(self) -> list[Block]:
        """All messages, with whatever is missing at both ends."""
        if self._open:
            self._add("user", self._missing())
        if not self._messages or self._messages[0]["role"] == "assistant":
            self._messages.insert(0, _message("user", [_text(_BEGIN)]))
        return self._messages

    def _add(self, role: str, blocks: list[Block]) -> None:
        if not blocks:
            return
        if self._messages and self._messages[-1]["role"] == role:
            self._messages[-1]["content"] += blocks
        else:
            self._messages.append(_message(role, blocks))

    def _call(self, call: Call) -> Block:
        clean = _NOT_IN_ID.sub("_", call.id) or "call"
        sent, number = clean, 1
        while sent in self._ids:
            number += 1
            sent = f"{clean}_{number}"
        self._ids.add(sent)
        self._open.setdefault(call.id, []).append(sent)
        name = _NOT_IN_ID.sub("_", call.name)[:128] or "unknown"
        self.called.append(name)
        return {"type": "tool_use", "id": sent, "name": name, "input": call.parsed()}

    def _result(self, sent: str, result: Result) -> Block:
        block: Block = {"type": "tool_result", "tool_use_id": sent}
        content = self._blocks(result.parts)
        if content:
            for inner in content:
                inner.pop("cache_control", None)
            block["content"] = content
        return _marked(block, result.cache_control)

    def _missing(self) -> list[Block]:
        """Every call must have its result in the next message."""
        sent = [one for waiting in self._open.values() for one in waiting]
        self._open.clear()
        return [
            {"type": "tool_result", "tool_use_id": one, "content": [_text(_NO_RESULT)], "is_error": True}
            for one in sent
        ]

    def _blocks(self, parts: tuple[Text | Media, ...]) -> list[Block]:
        blocks: list[Block] = []
        for part in parts:
            if type(part) is Media:
                blocks.append(_media(part, files=self._files))
            elif type(part) is Text and not part.text.isspace():
                blocks.append(_words(part))
        return blocks


_THINKING = frozenset({"thinking", "redacted_thinking"})


def _message(role: str, blocks: list[Block]) -> Block:
    return {"role": role, "content": blocks}


def _text(text: str) -> Block:
    return {"type": "text", "text": text}


def _words(text: Text) -> Block:
    if text.cache_control is None:
        return {"type": "text", "text": text.text}
    return {"type": "text", "text": text.text, "cache_control": text.cache_control}


def _marked(block: Block, mark: Mapping[str, Any] | None) -> Block:
    if mark is not None:
        block["cache_control"] = mark
    return block


def _thinking(thought: Thought) -> Block | None:
    """Only what Anthropic signed or encrypted itself is taken back."""
    if thought.format != FORMAT:
        return None
    if thought.redacted:
        return {"type": "redacted_thinking", "data": thought.redacted}
    if thought.signature:
        return {"type": "thinking", "thinking": thought.text, "signature": thought.signature}
    return None


def _media(media: Media, *, files: bool) -> Block:
    if media.kind == "audio" or media.media_type.startswith(("audio/", "video/")):
        raise Inexpressible("this target takes no audio or video")
    source = _source(media, files=files)
    image = media.kind == "image" if media.url or media.file_id else source.get("media_type") in _IMAGES
    block: Block = {"type": "image" if image else "document", "source": source}
    if not image and media.name:
        block["title"] = media.name[:_LONGEST_TITLE]
    return _marked(block, media.cache_control)


def _source(media: Media, *, files: bool) -> Block:
    if media.data:
        return _inline(media)
    if media.url[:8].lower().startswith(("https://", "http://")):
        return {"type": "url", "url": media.url}  # Anthropic fetches it itself
    if media.file_id and files:
        return {"type": "file", "file_id": media.file_id}
    if media.file_id:
        raise Inexpressible("this target does not have the file that `file_id` names: send the file itself")
    raise Inexpressible("this target takes images and files as data: URLs or behind http(s) URLs only")


def _inline(media: Media) -> Block:
    kind = media.media_type.lower()
    kind = "image/jpeg" if kind == "image/jpg" else kind
    if kind in _IMAGES or kind == _PDF:
        return {"type": "base64", "media_type": kind, "data": media.data}
    if kind.startswith("text/") or kind in _TEXTS:
        try:
            text = base64.b64decode(media.data, validate=True).decode()
        except (binascii.Error, ValueError) as error:
            raise Inexpressible(f"a file of type {kind} is not base64 of UTF-8 text") from error
        return {"type": "text", "media_type": "text/plain", "data": text}
    named = kind or "an unknown type"
    raise Inexpressible(f"this target takes JPEG, PNG, GIF and WebP images, PDF and text files, not {named[:100]}")


def _is_assistants(message: Any) -> bool:
    return isinstance(message, Mapping) and message.get("role") == "assistant"


def _shorten(messages: list[Block]) -> bool:
    """Makes the last message one that can be continued: it must not end in white space, nor hold thoughts. False where
    nothing is left of it but calls."""
    blocks = [block for block in messages[-1]["content"] if block["type"] not in _THINKING]
    if not blocks or blocks[-1]["type"] != "text":
        return False
    blocks[-1] = {**blocks[-1], "text": blocks[-1]["text"].rstrip()}
    messages[-1] = _message("assistant", blocks)
    return True


def _thoughtless(messages: list[Block]) -> bool:
    last = messages[-1]["content"][0]["type"] == "tool_result"
    return last and messages[-2]["content"][0]["type"] not in _THINKING
