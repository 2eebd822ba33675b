"""The `input` of a Responses request as the messages of a chat."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from proxy.inbound.refused import Refused
from proxy.inbound.responses_parts import Parts, content, packed, words
from proxy.inbound.responses_thoughts import is_ours, unsealed

ROLES = frozenset({"user", "assistant", "system", "developer"})
BUILT_IN = (
    "web_search_call",
    "file_search_call",
    "code_interpreter_call",
    "image_generation_call",
    "computer_call",
    "local_shell_call",
    "shell_call",
    "apply_patch_call",
    "mcp_",
    "tool_search_",
    "compaction",
    "program",
    "additional_tools",
    "configuration_update",
)
"""What the items begin with that only OpenAI's own server makes and reads."""
SEE_BELOW = "(The result is in the following message.)"


class Messages:
    """Built item by item. Neighbours that are one turn of the assistant become one message."""

    def __init__(self) -> None:
        self.all: list[dict[str, Any]] = []
        self.lost: list[str] = []
        """Items that chat completions have no words for."""
        self._turn: dict[str, Any] | None = None
        """The assistant's message that the items so far went into."""
        self._calls: set[str] = set()
        self._more: dict[str, Mapping[str, Any]] = {}
        self._media: Parts = []
        """Images and files that tools gave back: chat's tool messages hold words only."""

    def system(self, text: str) -> None:
        """Instructions. Those at the beginning become one message: some chat templates take no second one."""
        self._said()
        if len(self.all) == 1 and self.all[0]["role"] == "system":
            self.all[0]["content"] += "\n\n" + text
        else:
            self.all.append({"role": "system", "content": text})

    def add(self, item: object, where: str) -> None:
        """One item. Raises `Refused`."""
        if not isinstance(item, Mapping):
            raise Refused(f"'{where}' must be an object.", where)
        kind = item.get("type")
        if kind is None:
            kind = "message" if "role" in item else "item_reference"
        if kind == "message":
            self._message(item, where)
        elif kind in ("function_call", "custom_tool_call"):
            self._call(item, where, custom=kind == "custom_tool_call")
        elif kind in ("function_call_output", "custom_tool_call_output"):
            self._result(item, where)
        elif kind == "reasoning":
            self._thought(item)
        elif kind == "item_reference":
            message = (
                f"'{where}' refers to an item by its id, but responses are not stored here: send the item itself, "
                "as clients do that are told 'store': false."
            )
            raise Refused(message, where, "unsupported_value")
        elif isinstance(kind, str) and kind.startswith(BUILT_IN):
            self.lost.append(f"input.{kind}")
        else:
            raise Refused(f"'{where}' is of the type {kind!r}, which is not known here.", f"{where}.type")

    def end(self) -> list[dict[str, Any]]:
        """All messages."""
        self._said()
        return self.all

    def _message(self, item: Mapping[str, Any], where: str) -> None:
        role = item.get("role")
        if not isinstance(role, str) or role not in ROLES:
            known = ", ".join(sorted(ROLES))
            raise Refused(f"'{where}.role' must be one of {known}.", f"{where}.role")
        parts = content(item.get("content"), f"{where}.content")
        if role == "assistant":
            self._speak("".join(part["text"] for part in parts if part["type"] == "text"))
            return
        text = words(parts)
        if role in ("system", "developer") and text is not None:
            if text:
                self.system(text)
            return
        self._said()
        self.all.append({"role": "user", "content": packed(parts) if parts else ""})

    def _speak(self, text: str) -> None:
        turn = self._assistant()
        turn["content"] = (turn["content"] or "") + text

    def _assistant(self) -> dict[str, Any]:
        if self._turn is None:
            self._said()
            self._turn = {"role": "assistant", "content": None}
            self.all.append(self._turn)
        return self._turn

    def _call(self, item: Mapping[str, Any], where: str, *, custom: bool) -> None:
        key, name = item.get("call_id"), item.get("name")
        given = item.get("input" if custom else "arguments")
        if not isinstance(key, str) or not isinstance(name, str) or not isinstance(given, str):
            wanted = "'call_id', 'name' and " + ("'input'" if custom else "'arguments'")
            raise Refused(f"'{where}' needs {wanted}.", where)
        arguments = orjson.dumps({"input": given}).decode() if custom else given
        call = {"id": key, "type": "function", "function": {"name": name, "arguments": arguments}}
        self._calls.add(key)
        self._assistant().setdefault("tool_calls", []).append({**self._more.get(key, {}), **call})

    def _result(self, item: Mapping[str, Any], where: str) -> None:
        key = item.get("call_id")
        if not isinstance(key, str) or key not in self._calls:
            raise Refused(f"No tool call found for function call output with call_id {key!r}.", f"{where}.call_id")
        output = item.get("output")
        parts = content(output, f"{where}.output")
        media = [part for part in parts if part["type"] != "text"]
        text = "".join(part["text"] for part in parts if part["type"] == "text")
        self._turn = None
        self._media += media
        self.all.append({"role": "tool", "tool_call_id": key, "content": text or (SEE_BELOW if media else "")})

    def _thought(self, item: Mapping[str, Any]) -> None:
        """What another server's reasoning says, only that server can make use of."""
        if not is_ours(item):
            return
        kept = unsealed(item.get("encrypted_content"))
        self._more.update(kept.calls)
        text = words(content(item.get("summary"), "summary"))
        if not text and not kept.details:
            return
        turn = self._assistant()
        if text:
            turn["reasoning_content"] = turn.get("reasoning_content", "") + text
        if kept.details:
            turn.setdefault("reasoning_details", []).extend(dict(one) for one in kept.details)

    def _said(self) -> None:
        """The assistant's turn is over, and so are the results of its calls."""
        turn, self._turn = self._turn, None
        if turn is not None and turn["content"] is None and "tool_calls" not in turn:
            self.all.remove(turn)  # thoughts that led to nothing
        media, self._media = self._media, []
        if media:
            self.all.append({"role": "user", "content": media})
