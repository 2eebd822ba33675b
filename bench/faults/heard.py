"""What a client heard of one answer, event by event."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Heard:
    """One call. Times are seconds since it was sent; `None` where it never came to that."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    """Names in lower case."""
    text: str = ""
    calls: dict[int, dict[str, str]] = field(default_factory=dict)
    """Tool calls by index: id, name, arguments."""
    roles: int = 0
    ids: list[str] = field(default_factory=list)
    """Different ones, in the order of their coming; so too `models`."""
    models: list[str] = field(default_factory=list)
    finishes: list[str] = field(default_factory=list)
    usages: list[dict[str, Any]] = field(default_factory=list)
    errors: list[dict[str, Any]] = field(default_factory=list)
    comments: list[tuple[float, str]] = field(default_factory=list)
    garbage: list[str] = field(default_factory=list)
    """What is no JSON, and content after the finish_reason."""
    done: bool = False
    """`[DONE]` came."""
    end: str = "no answer"
    """`clean`, `broken` (off), `left` (we did), `patience` (over), or why no answer came at all."""
    began: float = field(default_factory=time.monotonic)
    first: float | None = None
    """The first content."""
    last_content: float | None = None
    elapsed: float = 0.0

    def now(self) -> float:
        """Seconds since the call was sent."""
        return time.monotonic() - self.began

    @property
    def usage(self) -> dict[str, Any] | None:
        """The last one: some servers count on every chunk."""
        return self.usages[-1] if self.usages else None

    def event(self, value: Any) -> None:
        """One chunk of a stream, parsed."""
        if not isinstance(value, dict):
            self.garbage.append(repr(value)[:200])
            return
        if value.get("error"):
            self.errors.append(value["error"])
            return
        self._named(value)
        for choice in value.get("choices") or []:
            self._said(choice.get("delta") or {})
            if choice.get("finish_reason"):
                self.finishes.append(choice["finish_reason"])

    def body(self, value: Any) -> None:
        """A whole answer, parsed."""
        if not isinstance(value, dict):
            self.garbage.append(repr(value)[:200])
            return
        if "error" in value:
            self.errors.append(value["error"])
            return
        self._named(value)
        for choice in value.get("choices") or []:
            self._said(choice.get("message") or {})
            self.finishes.append(choice.get("finish_reason"))

    def whole_text(self) -> str:
        """The text, with halves of a surrogate pair put together as JavaScript would."""
        return self.text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")

    def _named(self, value: dict[str, Any]) -> None:
        for name, seen in (("id", self.ids), ("model", self.models)):
            if value.get(name) and value[name] not in seen:
                seen.append(value[name])
        if value.get("usage"):
            self.usages.append(value["usage"])

    def _said(self, delta: dict[str, Any]) -> None:
        self.roles += bool(delta.get("role"))
        text, calls = delta.get("content") or "", delta.get("tool_calls") or []
        if not text and not calls:
            return
        if self.finishes:
            self.garbage.append(f"content after the finish_reason: {text!r}")
        self.text += text
        for at, call in enumerate(calls):
            known = self.calls.setdefault(call.get("index", at), {"id": "", "name": "", "arguments": ""})
            known["id"] += call.get("id") or ""
            for name in ("name", "arguments"):
                known[name] += (call.get("function") or {}).get(name) or ""
        self.last_content = self.now()
        if self.first is None:
            self.first = self.last_content


class Events:
    """Cuts a stream's bytes into events and puts them into what was heard. LF and CRLF; WHATWG HTML section 9.2.6."""

    def __init__(self, heard: Heard) -> None:
        self._heard = heard
        self._buffer = b""

    def feed(self, data: bytes) -> None:
        """The bytes that came."""
        *blocks, self._buffer = (self._buffer + data).replace(b"\r\n", b"\n").split(b"\n\n")
        for block in blocks:
            self._block(block)

    def close(self) -> None:
        """The body is over."""
        if self._buffer.strip():
            self._heard.garbage.append(f"half an event: {self._buffer[:200]!r}")

    def _block(self, block: bytes) -> None:
        data = []
        for line in block.split(b"\n"):
            if line.startswith(b":"):
                self._heard.comments.append((round(self._heard.now(), 3), line.decode("utf-8", "replace")))
            elif line.startswith(b"data:"):
                data.append(line[5:].removeprefix(b" "))
        if not data:
            return
        payload = b"\n".join(data)
        if payload == b"[DONE]":
            self._heard.done = True
            return
        try:
            self._heard.event(json.loads(payload))
        except ValueError:
            self._heard.garbage.append(repr(payload[:200]))
