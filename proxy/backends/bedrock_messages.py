"""A conversation in Converse's words: turns that alternate, results behind their calls, nothing blank.

What comes from elsewhere is mended where the service would refuse it. The same conversation always gives the same
words, or prompt caches would be lost.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Any, NamedTuple

from proxy.backends.bedrock_media import block_of
from proxy.backends.bedrock_models import CLAUDE, Model
from proxy.backends.conversation import Call, Media, Part, Result, Text, Thought, conversation

Block = dict[str, Any]

_NOT_IN_ID = re.compile(r"[^a-zA-Z0-9_-]")
_MISTRAL_ID = re.compile(r"[a-zA-Z0-9]{9}")
_LONGEST = 64
_BEGIN = "(The conversation begins with your own words.)"
_EMPTY = "(An empty message.)"
_GO_ON = "(Go on.)"
_NO_RESULT = "(No result was given.)"
_SEE = "(See the document.)"


class Said(NamedTuple):
    """`system` and `messages` of a request, and what has to be known of them."""

    system: list[Block]
    messages: list[Block]
    prefilled: bool
    """The last message is the assistant's, to be continued."""
    thoughtless: bool
    """It goes on after results of tools that the assistant called without thoughts before."""
    tools: tuple[str, ...]
    """The names of the tools that were called."""


def said(messages: Iterable[Any], model: Model, *, prefill: bool) -> Said:
    """`prefill`: the model continues an assistant message that comes last; others are asked to go on. Raises
    `Inexpressible`."""
    taken = conversation(messages)
    writer = _Writer(model)
    for turn in taken.turns:
        if turn.role == "assistant":
            writer.assistant(turn.parts)
        else:
            writer.user(turn.parts)
    written = writer.closed()
    prefilled = False
    if written[-1]["role"] == "assistant":
        prefilled = prefill and _shorten(written[-1]["content"])
        if not prefilled:
            written.append(_message("user", [{"text": _GO_ON}]))
    system: list[Block] = []
    for text in taken.system:
        if not text.text.isspace():
            system += writer.marked({"text": text.text}, text.cache_control)
    return Said(system, written, prefilled, _thoughtless(written), tuple(dict.fromkeys(writer.called)))


def tool_name(name: str) -> str:
    """A name that the service takes."""
    return _NOT_IN_ID.sub("_", name)[:_LONGEST] or "unknown"


class _Writer:
    """Writes turn after turn."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._messages: list[Block] = []
        self._ids: set[str] = set()
        self._open: dict[str, list[str]] = {}
        """Calls of the last turn that have no result yet: their ids as the client has them, and as they were sent."""
        self._names: set[str] = set()
        self.called: list[str] = []

    def assistant(self, parts: tuple[Part, ...]) -> None:
        blocks: list[Block] = []
        thought: list[Thought] = []
        for part in parts:
            if type(part) is Thought:
                if part.format == self._model.signs:
                    thought.append(part)
                    if part.signature or part.redacted:
                        blocks.append(_reasoning(thought))
                        thought = []
            elif type(part) is Text:
                blocks += self._text(part)
            elif type(part) is Call:
                blocks.append(self._call(part))
        if all("reasoningContent" in block for block in blocks):
            return  # newer Claudes refuse a turn of thoughts alone
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
                    results += self._result(waiting.pop(0), part)
            elif type(part) is Text or type(part) is Media:
                blocks += self._blocks((part,))
        words = any(not block["text"].isspace() for block in blocks if "text" in block)
        if any("document" in block for block in blocks) and not words:
            blocks.insert(0, {"text": _SEE})
        results += self._missing()
        self._add("user", results + blocks or [{"text": _EMPTY}])

    def closed(self) -> list[Block]:
        """All messages, with whatever is missing at both ends."""
        if self._messages and self._messages[-1]["role"] == "assistant":
            self._add("user", self._missing())
        first = self._messages[0]["role"] if self._messages else ""
        if not first or (first == "assistant" and self._model.claude is None):
            self._messages.insert(0, _message("user", [{"text": _BEGIN}]))
        return self._messages

    def marked(self, block: Block, mark: Mapping[str, Any] | None) -> list[Block]:
        """The block, and a cache point behind it where there is a mark."""
        if mark is None or not self._model.caches or not ("text" in block or self._model.claude):
            return [block]
        if "document" in block or "video" in block:  # directly behind these it is refused
            return [block, {"text": "\n"}, cache_point(mark)]
        return [block, cache_point(mark)]

    def _add(self, role: str, blocks: list[Block]) -> None:
        if not blocks:
            return
        if self._messages and self._messages[-1]["role"] == role:
            self._messages[-1]["content"] += blocks
        else:
            self._messages.append(_message(role, blocks))

    def _text(self, part: Text) -> list[Block]:
        return [] if part.text.isspace() else self.marked({"text": part.text}, part.cache_control)

    def _call(self, call: Call) -> Block:
        sent = self._id(call.id)
        self._open.setdefault(call.id, []).append(sent)
        name = tool_name(call.name)
        self.called.append(name)
        return {"toolUse": {"toolUseId": sent, "name": name, "input": call.parsed()}}

    def _id(self, key: str) -> str:
        """The id itself where the service takes it; each one once."""
        clean = _NOT_IN_ID.sub("_", key)
        fits = 0 < len(clean) <= _LONGEST
        if self._model.family == "mistral":  # its models are served by an engine that wants nine letters or digits
            fits = _MISTRAL_ID.fullmatch(key) is not None
        sent, number = clean, 1
        while not fits or sent in self._ids:
            fits = True
            sent = blake2b(f"{key} {number}".encode(), digest_size=5).hexdigest()[:9]
            number += 1
        self._ids.add(sent)
        return sent

    def _result(self, sent: str, result: Result) -> list[Block]:
        content = self._blocks(tuple(part._replace(cache_control=None) for part in result.parts))
        block = {"toolResult": {"toolUseId": sent, "content": content or [{"text": _EMPTY}]}}
        return self.marked(block, result.cache_control)

    def _missing(self) -> list[Block]:
        """Every call must have its result in the next message."""
        sent = [one for waiting in self._open.values() for one in waiting]
        self._open.clear()
        status = {"status": "error"} if self._model.says_failed else {}
        return [{"toolResult": {"toolUseId": one, "content": [{"text": _NO_RESULT}], **status}} for one in sent]

    def _blocks(self, parts: tuple[Text | Media, ...]) -> list[Block]:
        blocks: list[Block] = []
        for part in parts:
            if type(part) is Media:
                blocks += self.marked(block_of(part, self._names), part.cache_control)
            elif type(part) is Text:
                blocks += self._text(part)
        return blocks


def cache_point(mark: Mapping[str, Any]) -> Block:
    """`cache_control` in Converse's words: what stands before it is cached."""
    point: dict[str, Any] = {"type": "default"}
    if mark.get("ttl") in ("5m", "1h"):
        point["ttl"] = mark["ttl"]
    return {"cachePoint": point}


def _message(role: str, blocks: list[Block]) -> Block:
    return {"role": role, "content": blocks}


def _reasoning(thoughts: list[Thought]) -> Block:
    """One block of reasoning. A client that kept a stream's pieces may hand it back in several."""
    last = thoughts[-1]
    if last.redacted:
        data = last.redacted
        if last.format == CLAUDE:  # Anthropic's own text, which is bytes here
            data = base64.b64encode(data.encode()).decode()
        return {"reasoningContent": {"redactedContent": data}}
    text = "".join(thought.text for thought in thoughts)
    return {"reasoningContent": {"reasoningText": {"text": text, "signature": last.signature}}}


def _shorten(blocks: list[Block]) -> bool:
    """Makes the last message one that can be continued: it must not end in white space, nor hold thoughts. False where
    nothing is left of it but calls."""
    kept = [block for block in blocks if "reasoningContent" not in block and "cachePoint" not in block]
    if not kept or "text" not in kept[-1]:
        return False
    blocks[:] = [*kept[:-1], {"text": kept[-1]["text"].rstrip()}]
    return True


def _thoughtless(messages: list[Block]) -> bool:
    after = "toolResult" in messages[-1]["content"][0]
    return after and len(messages) > 1 and "reasoningContent" not in messages[-2]["content"][0]
