"""One whole answer out of the chunks of a stream. Pure."""

from __future__ import annotations

from typing import Any

import orjson

_HEAD = ("id", "created", "model", "system_fingerprint")


class Whole:
    """Adds chunks up to what the same request would have got without `stream`."""

    def __init__(self) -> None:
        self._head: dict[str, Any] = {}
        self._choices: dict[int, dict[str, Any]] = {}
        self._end: dict[str, Any] = {}

    def add(self, chunk: dict[str, Any]) -> None:
        """The next chunk."""
        if not self._head:
            self._head = {key: chunk[key] for key in _HEAD if key in chunk}
        self._end.update({key: chunk[key] for key in ("usage", "timings") if key in chunk})
        for part in chunk["choices"]:
            choice = self._choices.setdefault(part["index"], {"index": part["index"], "message": {}})
            _merge(choice["message"], part["delta"])
            if part.get("logprobs"):
                choice.setdefault("logprobs", {"content": []})["content"] += part["logprobs"]["content"]
            if part.get("finish_reason"):
                choice["finish_reason"] = part["finish_reason"]

    def body(self) -> bytes:
        """The answer."""
        choices = [self._choices[index] for index in sorted(self._choices)]
        for choice in choices:
            message = choice["message"]
            if message.get("content") is None and "tool_calls" not in message:
                message["content"] = ""
        return orjson.dumps({**self._head, "object": "chat.completion", "choices": choices, **self._end})


def _merge(message: dict[str, Any], delta: dict[str, Any]) -> None:
    """Texts are joined, but for names that come whole; tool calls are told apart by their index."""
    for key, value in delta.items():
        known = message.get(key)
        if key == "tool_calls":
            _merge_calls(message.setdefault(key, []), value)
        elif isinstance(value, dict):
            _merge(message.setdefault(key, {}), value)
        elif isinstance(known, str) and isinstance(value, str) and key not in ("role", "id", "type"):
            message[key] = known + value
        elif value is not None or key not in message:
            message[key] = value


def _merge_calls(calls: list[dict[str, Any]], deltas: list[dict[str, Any]]) -> None:
    for delta in deltas:
        index = delta["index"]
        while len(calls) <= index:
            calls.append({})
        _merge(calls[index], {key: value for key, value in delta.items() if key != "index"})
