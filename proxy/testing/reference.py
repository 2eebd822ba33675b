"""What a client makes of an answer in OpenAI's terms, worked out in the plainest way there is, to compare with."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Choice:
    """One choice of an answer, put together from all its pieces."""

    content: str = ""
    reasoning: str = ""
    refusal: str = ""
    tools: dict[int, list[str]] = field(default_factory=dict)
    """Name and arguments of each call, by its index."""
    finish: str | None = None

    def add(self, message: dict[str, Any]) -> None:
        """Adds a delta, or a whole message."""
        self.content += message.get("content") or ""
        self.reasoning += message.get("reasoning_content") or message.get("reasoning") or ""
        self.refusal += message.get("refusal") or ""
        for place, call in enumerate(message.get("tool_calls") or []):
            self._call(call.get("index", place), call["function"])
        if message.get("function_call"):
            self._call(0, message["function_call"])

    def _call(self, index: int, function: dict[str, Any]) -> None:
        tool = self.tools.setdefault(index, ["", ""])
        tool[0] += function.get("name") or ""
        tool[1] += function.get("arguments") or ""

    def golden(self) -> dict[str, Any]:
        """In the form in which it stands in an exchange's `golden`."""
        return {
            "content": len(self.content),
            "reasoning": len(self.reasoning),
            "refusal": len(self.refusal),
            "tools": [[name, len(arguments)] for name, arguments in self.tools.values()],
            "finish": self.finish,
        }


@dataclass
class Told:
    """All that an answer tells."""

    choices: dict[int, Choice] = field(default_factory=dict)
    models: set[str] = field(default_factory=set)
    usages: list[dict[str, Any]] = field(default_factory=list)
    errors: list[Any] = field(default_factory=list)
    done: bool = False

    def add(self, reply: dict[str, Any]) -> None:
        """Adds a chunk, or a whole answer."""
        self.models |= {reply["model"]} if reply.get("model") else set()
        if reply.get("usage"):
            self.usages.append(reply["usage"])
        if reply.get("error"):
            self.errors.append(reply["error"])
            return
        for choice in reply["choices"]:
            found = self.choices.setdefault(choice.get("index", 0), Choice())
            found.add(choice.get("delta") or choice.get("message") or {})
            found.finish = choice.get("finish_reason") or found.finish


def told_by_stream(body: bytes) -> Told:
    """Reads a whole event stream. Raises `ValueError` for one that is not in order."""
    told = Told()
    text = body.decode("utf-8")
    for event in re.split(r"\r\n\r\n|\n\n|\r\r", text):
        lines = [line.partition(":")[2].removeprefix(" ") for line in event.splitlines() if line.startswith("data:")]
        data = "\n".join(lines)
        if data == "[DONE]":
            told.done = True
        elif data:
            told.add(json.loads(data))
    return told


def told_by_answer(body: bytes) -> Told:
    """Reads a whole plain answer."""
    told = Told()
    told.add(json.loads(body))
    return told
