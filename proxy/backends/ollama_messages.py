"""A conversation in OpenAI's terms as Ollama's `/api/chat` takes it: one message for each, in their order.

Ollama takes any sequence of roles, a system message anywhere included, so that nothing has to be merged or moved.
Source of the fields: Ollama's docs/api.md, "Generate a chat completion", and its OpenAPI (`ChatMessage`, `ToolCall`);
`id` and `tool_call_id` are in `api/types.go` since 0.12, and older versions pass over them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from proxy.backends.conversation import Call, Media, Part, Result, Text, Thought, parts_of
from proxy.core.failure import Failure, FailureKind

_ROLES = {"system": "system", "developer": "system", "assistant": "assistant", "tool": "tool", "function": "tool"}
_WIDE = re.compile(r"[\u2e80-\u9fff\uac00-\ud7ff\uf900-\ufaff]")
"""Scripts without spaces between words: CJK and Hangul."""
_WIDE_A_TOKEN = 8
"""Characters of these that no known vocabulary exceeds in an ordinary token."""


def messages_of(messages: object) -> list[dict[str, Any]] | Failure:
    """The messages; a `Failure` (UNSUPPORTED) where one holds what Ollama cannot be given."""
    found: list[dict[str, Any]] = []
    names: dict[str, str] = {}
    for message in messages if isinstance(messages, list) else ():
        if not isinstance(message, Mapping):
            continue
        written = _message(message, names)
        if isinstance(written, Failure):
            return written
        found.append(written)
    return found


def least_tokens(messages: object) -> int:
    """Tokens that what the system and the user say takes at the very least, whatever the model's vocabulary.

    Vocabularies in use never join two words, so that each word is a token or more; of scripts without spaces an
    eighth of the characters is taken. The assistant's and the tools' words are not counted: templates leave out some.
    """
    total = 0
    for message in messages if isinstance(messages, list) else ():
        if isinstance(message, Mapping) and message.get("role") in ("system", "developer", "user"):
            for part in parts_of(message, {}):
                if isinstance(part, Text):
                    total += len(part.text.split()) + len(_WIDE.findall(part.text)) // _WIDE_A_TOKEN
    return total


def _message(message: Mapping[str, Any], names: dict[str, str]) -> dict[str, Any] | Failure:
    role = _ROLES.get(str(message.get("role")), "user")
    parts = parts_of(message, names)
    if role == "assistant":
        return _assistant(parts)
    result = parts[0] if parts and isinstance(parts[0], Result) else None
    said = _said(role, parts if result is None else result.parts)
    if result is None or isinstance(said, Failure):
        return said
    if result.name and (result.name != result.id or message.get("name")):  # else its call is not in the conversation
        said["tool_name"] = result.name
    if message.get("tool_call_id"):
        said["tool_call_id"] = result.id
    return said


def _assistant(parts: list[Part]) -> dict[str, Any] | Failure:
    said = _said("assistant", parts)
    if isinstance(said, Failure):
        return said
    # Thoughts that are signed or sealed, or have a format, are another provider's: their words are not for Ollama.
    thought = "".join(p.text for p in parts if isinstance(p, Thought) and not (p.signature or p.redacted or p.format))
    if thought:
        said["thinking"] = thought
    calls = [_call(part) for part in parts if isinstance(part, Call)]
    if calls:
        said["tool_calls"] = calls
    return said


def _call(call: Call) -> dict[str, Any]:
    return {"id": call.id, "function": {"name": call.name, "arguments": call.parsed()}}


def _said(role: str, parts: Iterable[Part]) -> dict[str, Any] | Failure:
    texts: list[str] = []
    images: list[str] = []
    for part in parts:
        if isinstance(part, Text):
            texts.append(part.text)
        elif isinstance(part, Media):
            if part.kind != "image":
                return _cannot(f"Ollama takes no {part.kind} in a message")
            if not part.data:
                return _cannot("Ollama fetches no images: give them as data URLs")
            images.append(part.data)
    said: dict[str, Any] = {"role": role, "content": "\n".join(texts)}
    if images:
        said["images"] = images
    return said


def _cannot(message: str) -> Failure:
    return Failure(FailureKind.UNSUPPORTED, message, param="messages")
