"""What a screen makes of an answer, and reads in it, in the shapes of chat completions."""

from __future__ import annotations

from typing import Any

import orjson

from proxy.core.screen.rule import Finding

_WITHHELD = "The answer was withheld by the screen of this route ({})."
_UNAVAILABLE = "The answer was withheld: the screen of this route cannot be asked now."
_HEAD = ("id", "created", "model")


def head_of(chunk: dict[str, Any]) -> dict[str, Any]:
    """What all chunks of an answer have."""
    return {name: chunk[name] for name in _HEAD if name in chunk}


def event(head: dict[str, Any], delta: dict[str, Any], index: int, reason: str | None) -> bytes:
    """One of ours for an answer whose chunks have this head."""
    choice = {"index": index, "delta": delta, "finish_reason": reason}
    chunk = {**head, "object": "chat.completion.chunk", "choices": [choice]}
    return b"data: " + orjson.dumps(chunk) + b"\n\n"


def said(raw: bytes) -> tuple[int, str] | None:
    """The usual event: (choice, what it says), where it holds one choice's words and nothing else; else `None`."""
    try:
        chunk = orjson.loads(raw[6:]) if raw.startswith(b"data: {") else None
    except orjson.JSONDecodeError:
        return None
    choices = chunk.get("choices") if type(chunk) is dict else None
    choice = choices[0] if type(choices) is list and len(choices) == 1 else None
    if type(choice) is not dict or choice.get("finish_reason") is not None:
        return None
    delta, index = choice.get("delta"), choice.get("index")
    if type(delta) is not dict or len(delta) != 1 or type(index) is not int:
        return None
    text = delta.get("content")
    return (index, text) if type(text) is str else None


def indexes(choices: object) -> list[tuple[int, bool]]:
    """The choices of a chunk, and which of them it finishes."""
    found = (one for one in choices if isinstance(one, dict)) if isinstance(choices, list) else ()
    return [(one.get("index") or 0, one.get("finish_reason") is not None) for one in found]


def withheld(reply: dict[str, Any], hit: Finding) -> bytes:
    """The answer without its words; it says why."""
    told = _UNAVAILABLE if hit.action == "unavailable" else _WITHHELD.format(hit.category)
    message = {"role": "assistant", "content": None, "refusal": told}
    choices = [
        {"index": index, "message": message, "logprobs": None, "finish_reason": "content_filter"}
        for index, _ in indexes(reply.get("choices"))
    ]
    return orjson.dumps({**reply, "choices": choices})


def with_text(reply: dict[str, Any], choices: list[Any], text: str) -> bytes:
    """The answer with a text behind its first choice's words."""
    first = choices[0] if choices and isinstance(choices[0], dict) else {}
    said = first.get("message")
    message = said if isinstance(said, dict) else {}
    content = message.get("content")
    if isinstance(content, list):
        longer: object = [*content, {"type": "text", "text": text}]
    else:
        longer = f"{content}\n\n{text}" if content else text
    changed = {**first, "message": {**message, "content": longer}}
    return orjson.dumps({**reply, "choices": [changed, *choices[1:]]})
