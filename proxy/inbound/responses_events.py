"""The events of a Responses stream, and the items that they build: a message, reasoning, a tool call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from proxy.inbound.responses_thoughts import completed, merged, sealed

_dumps = orjson.dumps


class Writer:
    """Numbers the events of one stream, and holds what was not taken yet."""

    __slots__ = ("number", "out")

    def __init__(self) -> None:
        self.number = 0
        self.out: list[bytes] = []

    def event(self, kind: str, **fields: Any) -> None:
        """One event."""
        data = _dumps({"type": kind, "sequence_number": self.number, **fields})
        self.number += 1
        self.out.append(b"event: " + kind.encode() + b"\ndata: " + data + b"\n\n")

    def piece(self, before: bytes, text: str) -> None:
        """An event of which only the text is new: by far the most."""
        self.out.append(before + _dumps(text) + b',"sequence_number":%d}\n\n' % self.number)
        self.number += 1

    def take(self) -> bytes:
        """What came since the last time."""
        out, self.out = self.out, []
        return b"".join(out)


def _head(kind: bytes, item: str, index: int, place: bytes) -> bytes:
    """All of a delta's event before its text."""
    named = (kind, kind, item.encode(), index, place)
    return b'event: %b\ndata: {"type":"%b","item_id":"%b","output_index":%d,%b,"delta":' % named


class Message:
    """Words of the assistant, in parts: text, or a refusal."""

    __slots__ = ("_annotations", "_at", "_before", "_id", "_index", "_kind", "_logprobs", "_parts", "_said", "_writer")

    def __init__(self, writer: Writer, index: int, key: str) -> None:
        self._writer = writer
        self._index = index
        self._id = f"msg_{key}{index:02x}"
        self._parts: list[dict[str, Any]] = []
        self._kind = ""
        self._said: list[str] = []
        self._before = b""
        self._at: dict[str, Any] = {}
        self._logprobs: list[dict[str, Any]] = []
        self._annotations: list[dict[str, Any]] = []
        writer.event("response.output_item.added", output_index=index, item=self._item("in_progress"))

    def text(self, text: str, logprobs: list[dict[str, Any]] | None = None) -> None:
        """A piece of the answer."""
        if self._kind != "output_text":
            self._begin("output_text")
        self._said.append(text)
        if not logprobs:
            self._writer.piece(self._before, text)
            return
        self._logprobs += logprobs
        brief = [{name: one[name] for name in ("token", "logprob", "top_logprobs")} for one in logprobs]
        self._writer.event("response.output_text.delta", **self._at, delta=text, logprobs=brief)

    def refuse(self, text: str) -> None:
        """A piece of a refusal."""
        if self._kind != "refusal":
            self._begin("refusal")
        self._said.append(text)
        self._writer.piece(self._before, text)

    def annotate(self, annotation: dict[str, Any]) -> None:
        """A source of what was said."""
        if self._kind != "output_text":
            self._begin("output_text")
        number = len(self._annotations)
        self._annotations.append(annotation)
        self._writer.event(
            "response.output_text.annotation.added", **self._at, annotation_index=number, annotation=annotation
        )

    def end(self, status: str) -> dict[str, Any]:
        """Nothing more comes: the item."""
        self._close()
        item = self._item(status)
        self._writer.event("response.output_item.done", output_index=self._index, item=item)
        return item

    def _begin(self, kind: str) -> None:
        self._close()
        self._kind = kind
        place = len(self._parts)
        self._at = {"item_id": self._id, "output_index": self._index, "content_index": place}
        where = b'"content_index":%d' % place
        if kind == "output_text":
            where += b',"logprobs":[]'
        name = b"response.output_text.delta" if kind == "output_text" else b"response.refusal.delta"
        self._before = _head(name, self._id, self._index, where)
        self._writer.event("response.content_part.added", **self._at, part=self._part(""))

    def _close(self) -> None:
        if not self._kind:
            return
        text = "".join(self._said)
        part = self._part(text)
        if self._kind == "output_text":
            brief = [{name: one[name] for name in ("token", "logprob", "top_logprobs")} for one in self._logprobs]
            self._writer.event("response.output_text.done", **self._at, text=text, logprobs=brief)
        else:
            self._writer.event("response.refusal.done", **self._at, refusal=text)
        self._writer.event("response.content_part.done", **self._at, part=part)
        self._parts.append(part)
        self._kind = ""
        self._said, self._logprobs, self._annotations = [], [], []

    def _part(self, text: str) -> dict[str, Any]:
        if self._kind == "refusal":
            return {"type": "refusal", "refusal": text}
        return {
            "type": "output_text",
            "text": text,
            "annotations": self._annotations if text else [],
            "logprobs": self._logprobs if text else [],
        }

    def _item(self, status: str) -> dict[str, Any]:
        return {
            "id": self._id,
            "type": "message",
            "status": status,
            "role": "assistant",
            "content": list(self._parts),
        }


class Reasoning:
    """What the model thought, as a summary: the form that clients show."""

    __slots__ = ("_at", "_before", "_calls", "_details", "_id", "_index", "_said", "_writer")

    def __init__(self, writer: Writer, index: int, key: str) -> None:
        self._writer = writer
        self._index = index
        self._id = f"rs_{key}{index:02x}"
        self._said: list[str] = []
        self._details: list[dict[str, Any]] = []
        self._calls: dict[str, Mapping[str, Any]] = {}
        self._at = {"item_id": self._id, "output_index": index, "summary_index": 0}
        self._before = _head(b"response.reasoning_summary_text.delta", self._id, index, b'"summary_index":0')
        item = {"id": self._id, "type": "reasoning", "status": "in_progress", "summary": []}
        writer.event("response.output_item.added", output_index=index, item=item)

    def text(self, text: str) -> None:
        """A piece of it."""
        if not self._said:
            part = {"type": "summary_text", "text": ""}
            self._writer.event("response.reasoning_summary_part.added", **self._at, part=part)
        self._said.append(text)
        self._writer.piece(self._before, text)

    def keep(self, details: object) -> None:
        """`reasoning_details`, or a piece of them: what the backend wants back with the next turn."""
        merged(self._details, details)

    def keep_call(self, call_id: str, more: Mapping[str, Any]) -> None:
        """Members of a tool call that the backend wants back."""
        self._calls[call_id] = more

    def end(self, status: str) -> dict[str, Any]:
        """Nothing more comes: the item."""
        text = "".join(self._said)
        summary = [{"type": "summary_text", "text": text}] if self._said else []
        if summary:
            self._writer.event("response.reasoning_summary_text.done", **self._at, text=text)
            self._writer.event("response.reasoning_summary_part.done", **self._at, part=summary[0])
        item: dict[str, Any] = {"id": self._id, "type": "reasoning", "status": status, "summary": summary}
        kept = sealed(completed(self._details, text), self._calls)
        if kept is not None:
            item["encrypted_content"] = kept
        self._writer.event("response.output_item.done", output_index=self._index, item=item)
        return item


class Call:
    """A tool call. A custom tool's one text is only known when all of the arguments are."""

    __slots__ = ("_before", "_custom", "_said", "_writer", "id", "index", "item")

    def __init__(self, writer: Writer, index: int, key: str, call_id: str, name: str, *, custom: bool) -> None:
        self._writer = writer
        self._custom = custom
        self._said: list[str] = []
        self.index = index
        self.id = call_id
        item_id = f"{'ctc' if custom else 'fc'}_{key}{index:02x}"
        kind = {"type": "custom_tool_call", "input": ""} if custom else {"type": "function_call", "arguments": ""}
        self.item: dict[str, Any] = {"id": item_id, **kind, "status": "in_progress", "call_id": call_id, "name": name}
        named = b'event: response.function_call_arguments.delta\ndata: {"type":"response.function_call_arguments.delta"'
        self._before = named + b',"item_id":"%b","output_index":%d,"delta":' % (item_id.encode(), index)
        writer.event("response.output_item.added", output_index=index, item=self.item)

    def arguments(self, piece: str) -> None:
        """More of the arguments."""
        if not piece:
            return
        self._said.append(piece)
        if not self._custom:
            self._writer.piece(self._before, piece)

    def end(self, status: str) -> dict[str, Any]:
        """Nothing more comes: the item."""
        text = "".join(self._said)
        at = {"item_id": self.item["id"], "output_index": self.index}
        if self._custom:
            text = _input(text)
            self._writer.event("response.custom_tool_call_input.delta", **at, delta=text)
            self._writer.event("response.custom_tool_call_input.done", **at, input=text)
            self.item = {**self.item, "input": text, "status": status}
        else:
            name = self.item["name"]
            self._writer.event("response.function_call_arguments.done", **at, name=name, arguments=text)
            self.item = {**self.item, "arguments": text, "status": status}
        self._writer.event("response.output_item.done", output_index=self.index, item=self.item)
        return self.item


def _input(arguments: str) -> str:
    """A custom tool's text out of the arguments of the function that stands for it."""
    try:
        given = orjson.loads(arguments)
    except orjson.JSONDecodeError:
        return arguments
    text = given.get("input") if isinstance(given, dict) else None
    return text if isinstance(text, str) else arguments
