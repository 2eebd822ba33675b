"""Answers as they went to the client, read for the evaluation: whole, or out of a stream's events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from proxy.core.quality.assess import Answer

_MOST_CHOICES = 16


class Choice:
    """One choice as it grows."""

    __slots__ = ("calls", "finish", "refused", "texts")

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.calls: dict[object, list[str]] = {}
        """The name, then pieces of the arguments."""
        self.finish: str | None = None
        self.refused = False

    def answer(self) -> Answer:
        """As far as it has come."""
        calls = tuple((parts[0], "".join(parts[1:])) for parts in self.calls.values())
        return Answer("".join(self.texts), self.finish, self.refused, calls)

    def add(self, said: Mapping[str, Any]) -> None:
        """A message, or a chunk's delta."""
        content = said.get("content")
        for part in content if isinstance(content, list) else (content,):
            text = part.get("text") if isinstance(part, Mapping) else part
            if isinstance(text, str):
                self.texts.append(text)
        refusal = said.get("refusal")
        if isinstance(refusal, str) and refusal:
            self.refused = True
            self.texts.append(refusal)
        calls = said.get("tool_calls")
        for place, call in enumerate(calls if isinstance(calls, list) else ()):
            if isinstance(call, Mapping):
                self._call(call, place)

    def _call(self, call: Mapping[str, Any], place: int) -> None:
        function = call.get("function")
        if not isinstance(function, Mapping):
            return
        parts = self.calls.setdefault(call.get("index", place), [""])
        name, arguments = function.get("name"), function.get("arguments")
        if isinstance(name, str) and name:
            parts[0] = name
        if isinstance(arguments, str):
            parts.append(arguments)


def of_whole(reply: Mapping[str, Any]) -> tuple[Answer, ...]:
    """The choices of a chat completion."""
    return _of((reply,), "message")


def of_chunks(chunks: Iterable[Mapping[str, Any]]) -> tuple[Answer, ...]:
    """Those of a stream."""
    return _of(chunks, "delta")


def _of(replies: Iterable[Mapping[str, Any]], member: str) -> tuple[Answer, ...]:
    found: dict[object, Choice] = {}
    for reply in replies:
        choices = reply.get("choices")
        for one in choices if isinstance(choices, list) else ():
            if isinstance(one, Mapping):
                _note(one, member, found)
    return tuple(choice.answer() for choice in found.values())


def _note(one: Mapping[str, Any], member: str, found: dict[object, Choice]) -> None:
    index = one.get("index")
    if type(index) is not int or (index not in found and len(found) >= _MOST_CHOICES):
        return
    choice = found.setdefault(index, Choice())
    said, reason = one.get(member), one.get("finish_reason")
    if isinstance(said, Mapping):
        choice.add(said)
    if isinstance(reason, str):
        choice.finish = reason


def of_native(reply: Mapping[str, Any]) -> tuple[Answer, ...]:
    """A whole answer in another API's words: Anthropic's messages, OpenAI's responses and text completions. Its calls
    of tools are left out."""
    choices = reply.get("choices")
    if isinstance(choices, list):
        texts = [(one.get("text"), one.get("finish_reason")) for one in choices if isinstance(one, Mapping)]
        return tuple(Answer(text, reason) for text, reason in texts if isinstance(text, str))
    items = reply.get("output")
    parts = reply.get("content")
    if isinstance(items, list):
        parts = [part for item in items if isinstance(item, Mapping) for part in item.get("content") or ()]
    texts_ = (part.get("text") for part in parts if isinstance(part, Mapping)) if isinstance(parts, list) else ()
    text = "".join(one for one in texts_ if isinstance(one, str))
    cut = reply.get("stop_reason") == "max_tokens" or reply.get("status") == "incomplete"
    return (Answer(text, "length" if cut else "stop"),) if text else ()
