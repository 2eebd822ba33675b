"""Where the words stand in requests, answers and chunks; of chats in the terms of chat completions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from proxy.core.chat import ChatRequest, EmbedRequest
from proxy.core.relay import Request

SCREENED = frozenset({"user", "tool", "function"})
"""Roles whose messages come from outside. What the application itself says is not screened, nor is what was answered
before: both may speak of a thing in order to prevent it."""
_ENDPOINTS = {
    **{"rerank": "rerank", "speech": "speech", "images": "images", "image_edits": "images"},
    **{"transcriptions": "audio", "translations": "audio"},
}
_GIVEN = ("input", "prompt", "negative_prompt", "instructions", "query", "documents")
"""Members of their bodies in which texts stand."""
_MEDIA = frozenset({"image", "image_url", "audio", "input_audio", "video", "file", "data", "url", "b64_json"})
_SAID = ("content", "refusal", "reasoning_content", "reasoning")

Key = tuple[int, str]
"""(choice, which of its texts)"""
Piece = tuple[Key, str]
"""What was added to which text."""


def asked(body: Mapping[str, Any], roles: frozenset[str] = SCREENED) -> Iterator[str]:
    """The texts of a request's messages of these roles. The parts of one message are one text, as they are to a model:
    nothing hides between them."""
    messages = body.get("messages")
    for message in messages if isinstance(messages, list) else ():
        if isinstance(message, dict) and message.get("role") in roles:
            texts = list(_texts(message.get("content")))
            if texts:
                yield "\n".join(texts)


def asked_by(request: Request) -> Iterator[str]:
    """All texts that come from outside, in whatever API."""
    if not isinstance(request, ChatRequest):
        yield from _given(request)
        return
    yield from asked(request.body)
    suffix = None if request.native is None else request.native.body.get("suffix")
    if isinstance(suffix, str) and suffix:
        yield suffix


def _given(request: Request) -> Iterator[str]:
    for name in _GIVEN:
        yield from _within(request.body.get(name))
    if not isinstance(request, ChatRequest | EmbedRequest) and request.prompt:
        yield request.prompt


def _within(value: object) -> Iterator[str]:
    """All texts in it, but for pictures and the like in words' clothing."""
    if isinstance(value, str):
        if value:
            yield value
    elif isinstance(value, dict):
        for name, part in value.items():
            if name not in _MEDIA:
                yield from _within(part)
    elif isinstance(value, list):
        for part in value:
            yield from _within(part)


def unreadable(request: Request) -> bool:
    """It is asked in token ids, in which no text can be found."""
    if isinstance(request, ChatRequest):
        native = request.native
        given = None if native is None or native.api != "completions" else native.body.get("prompt")
        return isinstance(given, list) and bool(given) and not isinstance(given[0], str)
    return isinstance(request, EmbedRequest) and _has_ids(request.body.get("input"))


def _has_ids(value: object) -> bool:
    return isinstance(value, list) and any(isinstance(one, int) or _has_ids(one) for one in value)


_PARAMS = {"responses": "input", "completions": "prompt", "rerank": "documents"}


def where(request: Request) -> str:
    """What a caller calls that in which the texts stand."""
    if isinstance(request, ChatRequest):
        return "messages" if request.native is None else _PARAMS.get(request.native.api, "messages")
    if isinstance(request, EmbedRequest):
        return "input"
    return _PARAMS.get(request.relay.name, "input" if "input" in request.body else "prompt")


def endpoint(request: Request) -> str:
    """Its word in `rule.ALSO`; empty: it has none."""
    if isinstance(request, EmbedRequest):
        return "embeddings"
    return "" if isinstance(request, ChatRequest) else _ENDPOINTS.get(request.relay.name, "")


def answered(choices: object) -> Iterator[str]:
    """The texts of all choices of a whole answer."""
    for _, text in _pieces(choices, "message"):
        yield text


def added(choices: object) -> Iterator[Piece]:
    """What a chunk adds to which texts."""
    return _pieces(choices, "delta")


def _pieces(choices: object, member: str) -> Iterator[Piece]:
    for choice in choices if isinstance(choices, list) else ():
        said = choice.get(member) if isinstance(choice, dict) else None
        if isinstance(said, dict):
            index = choice.get("index")
            yield from _of_choice(index if type(index) is int else 0, said)


def _of_choice(index: int, said: Mapping[str, Any]) -> Iterator[Piece]:
    for name in _SAID:
        for text in _texts(said.get(name)):
            yield (index, name), text
    calls = said.get("tool_calls")
    old = {"function": said.get("function_call")}
    for call in calls if isinstance(calls, list) else (old,):
        function = call.get("function") if isinstance(call, dict) else None
        given = function.get("arguments") if isinstance(function, dict) else None
        if isinstance(given, str) and given:
            yield (index, f"call {call.get('index', call.get('id'))}"), given
    sound = said.get("audio")
    spoken = sound.get("transcript") if isinstance(sound, dict) else None
    if isinstance(spoken, str) and spoken:
        yield (index, "audio"), spoken


def _texts(content: object) -> Iterable[str]:
    if isinstance(content, str):
        return (content,) if content else ()
    parts = content if isinstance(content, list) else ()
    texts = (part.get("text") for part in parts if isinstance(part, dict))
    return [text for text in texts if isinstance(text, str) and text]
