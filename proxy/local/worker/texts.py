"""Text completions: a prompt as it stands, without the model's template. Pure."""

from __future__ import annotations

from typing import Any

import orjson

from proxy.local.worker.request import invalid, is_id, read_json, unsupported
from proxy.local.worker.shapes import DONE, event

DEFAULT_TOKENS = 16
"""What a request gets that names no `max_tokens` (OpenAI's API reference)."""
_WHY = {
    "suffix": "this server only goes on with a text",
    "echo": "this server does not repeat the prompt",
    "logprobs": "this server tells them with chat completions only",
}


def read_text(raw: bytes) -> tuple[str | list[int], dict[str, Any]]:
    """A body of /v1/completions: its prompt, and the parameters that it shares with a chat. Raises `Refused`."""
    body = read_json(raw)
    prompt = body.pop("prompt", None)
    if isinstance(prompt, list) and len(prompt) == 1 and not is_id(prompt[0]):
        prompt = prompt[0]
    if isinstance(prompt, list) and prompt and not all(is_id(token) for token in prompt):
        raise unsupported("prompt", "several prompts at once are counted as one by this engine")
    if not prompt or not isinstance(prompt, str | list):
        raise invalid('"prompt" must be a text or a list of token ids, and not empty')
    for name, why in _WHY.items():
        if body.get(name) not in (None, False, ""):
            raise unsupported(name, why)
    for name in ("n", "best_of"):
        if body.get(name) not in (None, 1):
            raise unsupported(name, "several choices are counted as one by this engine")
    shared = {name: value for name, value in body.items() if name not in (*_WHY, "n", "best_of")}
    if shared.get("max_tokens") is None:
        shared["max_tokens"] = DEFAULT_TOKENS
    return prompt, shared


class WholeText:
    """Adds the chunks of a stream up to the answer that the same request gets without `stream`."""

    def __init__(self) -> None:
        self._answer: dict[str, Any] = {}
        self._said: list[str] = []
        self._finish: str | None = None

    def add(self, chunk: dict[str, Any]) -> None:
        """The next chunk."""
        for choice in chunk.get("choices") or ():
            self._said.append(choice.get("text") or "")
            self._finish = choice.get("finish_reason") or self._finish
        self._answer |= {name: value for name, value in chunk.items() if name != "choices"}

    def body(self) -> bytes:
        """The answer."""
        choice = {"text": "".join(self._said), "index": 0, "logprobs": None, "finish_reason": self._finish}
        return orjson.dumps({**self._answer, "choices": [choice]})


def as_text(piece: bytes) -> bytes:
    """What an engine says as a chat, whole or some events of it, said as a text completion. (No event that would be
    empty.)"""
    if not piece.startswith(b"data: "):
        return orjson.dumps(_text(orjson.loads(piece)))
    out = []
    for block in piece.split(b"\n\n")[:-1]:
        if block + b"\n\n" == DONE:
            out.append(DONE)
            continue
        chunk = _text(orjson.loads(block.removeprefix(b"data: ")))
        if not chunk["choices"] or any(choice["text"] or choice["finish_reason"] for choice in chunk["choices"]):
            out.append(event(orjson.dumps(chunk)))
    return b"".join(out)


def _text(chat: dict[str, Any]) -> dict[str, Any]:
    choices = []
    for choice in chat["choices"]:
        said = choice.get("message") or choice.get("delta") or {}
        choices.append(
            {
                "text": said.get("content") or "",
                "index": choice["index"],
                "logprobs": None,
                "finish_reason": choice.get("finish_reason"),
            }
        )
    return {**chat, "id": chat["id"].replace("chatcmpl-", "cmpl-"), "object": "text_completion", "choices": choices}
