"""The conversation of a Messages request in the words of chat completions.

Results of tools are messages of their own there, and hold only text: images among them go into the user's message that
follows. What only Anthropic's server can make sense of (its own tools' calls and results, files kept there) is lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from proxy.inbound.messages_history import Thoughts
from proxy.inbound.refused import Refused

Part = dict[str, Any]
ROLES = ("user", "assistant", "system")


class Lost:
    """Collects the names of what chat completions cannot express."""

    __slots__ = ("names",)

    def __init__(self) -> None:
        self.names: list[str] = []

    def add(self, name: str) -> None:
        self.names.append(name[:80])


def conversation(messages: list[Any], lost: Lost) -> list[dict[str, Any]]:
    """Raises `Refused`."""
    said: list[dict[str, Any]] = []
    for place, message in enumerate(messages):
        where = f"messages[{place}]"
        if not isinstance(message, Mapping):
            raise Refused(f"'{where}' must be an object.", where)
        role = message.get("role")
        if role not in ROLES:
            raise Refused(f"'{where}.role' must be 'user' or 'assistant'.", f"{where}.role")
        content = message.get("content")
        if isinstance(content, str):
            said.append({"role": role, "content": content})
            continue
        blocks = _blocks(content, f"{where}.content")
        said += _assistant(blocks, where, lost) if role == "assistant" else _user(role, blocks, where, lost)
    return said


def parts_of(content: object, where: str, lost: Lost) -> list[Part]:
    """A text, or a list of blocks, as chat's parts. Raises `Refused`."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    return [part for block in _blocks(content, where) for part in _parts(block, where, lost)]


def plain(parts: list[Part]) -> str | list[Part]:
    """As a message's content: one text as a text, which every backend takes."""
    return parts[0]["text"] if len(parts) == 1 and parts[0].keys() == {"type", "text"} else parts


def marked(said: dict[str, Any], block: Mapping[str, Any]) -> dict[str, Any]:
    """With the block's cache mark, for backends that know it."""
    mark = block.get("cache_control")
    if isinstance(mark, Mapping):
        said["cache_control"] = mark
    return said


def _blocks(content: object, where: str) -> list[Mapping[str, Any]]:
    if not isinstance(content, list):
        raise Refused(f"'{where}' must be a text or a list of blocks.", where)
    for place, block in enumerate(content):
        if not isinstance(block, Mapping) or not isinstance(block.get("type"), str):
            raise Refused(f"'{where}[{place}]' must be an object with a 'type'.", f"{where}[{place}]")
    return content


def _assistant(blocks: list[Mapping[str, Any]], where: str, lost: Lost) -> list[dict[str, Any]]:
    thoughts = Thoughts()
    parts: list[Part] = []
    calls: list[dict[str, Any]] = []
    for block in blocks:
        if block["type"] == "tool_use":
            calls.append(_call(block, where))
        elif not thoughts.take(block):
            parts += _parts(block, where, lost)
    if all(part.keys() == {"type", "text"} for part in parts):
        text = "".join(part["text"] for part in parts)
        said: dict[str, Any] = {"role": "assistant", "content": text if text or not calls else None}
    else:
        said = {"role": "assistant", "content": parts}
    if calls:
        said["tool_calls"] = [{**call, **thoughts.calls.get(call["id"], {})} for call in calls]
    said.update(thoughts.members())
    return [said] if said["content"] or calls else []


def _call(block: Mapping[str, Any], where: str) -> dict[str, Any]:
    given, name = block.get("input"), block.get("name")
    if not isinstance(name, str) or not isinstance(given, Mapping):
        raise Refused(f"A 'tool_use' block in '{where}' needs a 'name' and an 'input'.", where)
    function = {"name": name, "arguments": orjson.dumps(given).decode()}
    return {"id": _id(block, "id", where), "type": "function", "function": function}


def _id(block: Mapping[str, Any], name: str, where: str) -> str:
    given = block.get(name)
    if not isinstance(given, str) or not given:
        raise Refused(f"A '{block['type']}' block in '{where}' needs a '{name}'.", where)
    return given


def _user(role: str, blocks: list[Mapping[str, Any]], where: str, lost: Lost) -> list[dict[str, Any]]:
    said: list[dict[str, Any]] = []
    seen: list[Part] = []
    parts: list[Part] = []
    for block in blocks:
        if block["type"] == "tool_result":
            said.append(_result(block, where, seen, lost))
        else:
            parts += _parts(block, where, lost)
    if seen or parts:
        said.append({"role": role, "content": plain(seen + parts)})
    return said


def _result(block: Mapping[str, Any], where: str, seen: list[Part], lost: Lost) -> dict[str, Any]:
    """`seen`: where images and documents go."""
    key = _id(block, "tool_use_id", where)
    given = block.get("content")
    parts = [] if given is None else parts_of(given, f"{where}.content", lost)
    texts = [part for part in parts if part["type"] == "text"]
    media = [part for part in parts if part["type"] != "text"]
    if media:
        seen.append({"type": "text", "text": f"What the tool call {key} returned besides:"})
        seen += media
    text = "".join(part["text"] for part in texts)
    if block.get("is_error") is True and not text.lower().startswith("error"):
        text = f"Error: {text}"
    mark = next((part for part in (block, *texts) if "cache_control" in part), {})
    return marked({"role": "tool", "tool_call_id": key, "content": text}, mark)


def _parts(block: Mapping[str, Any], where: str, lost: Lost) -> Iterable[Part]:
    match block["type"]:
        case "text":
            text = block.get("text")
            if not isinstance(text, str):
                raise Refused(f"A 'text' block in '{where}' needs a 'text'.", where)
            return [marked({"type": "text", "text": text}, block)] if text else []
        case "image":
            return _image(block, where, lost)
        case "document":
            return _document(block, where, lost)
        case "search_result":
            return [marked({"type": "text", "text": _found(block, where, lost)}, block)]
        case "mid_conv_system":
            return parts_of(block.get("content"), f"{where}.content", lost)
        case kind:
            lost.add(f"content.{kind}")
            return []


def _source(block: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    source = block.get("source")
    if not isinstance(source, Mapping):
        raise Refused(f"A '{block['type']}' block in '{where}' needs a 'source'.", where)
    return source


def _image(block: Mapping[str, Any], where: str, lost: Lost) -> list[Part]:
    source = _source(block, where)
    match source.get("type"), source:
        case "base64", {"media_type": str(kind), "data": str(data)}:
            url = f"data:{kind};base64,{data}"
        case "url", {"url": str(url)}:
            pass
        case "file", _:
            lost.add("content.file")
            return []
        case _:
            raise Refused(f"The 'source' of an 'image' block in '{where}' is not understood.", where)
    return [marked({"type": "image_url", "image_url": {"url": url}}, block)]


def _document(block: Mapping[str, Any], where: str, lost: Lost) -> list[Part]:
    source, title = _source(block, where), block.get("title")
    _citations(block, lost)
    heads = [text for text in (title, block.get("context")) if isinstance(text, str) and text]
    name = title if isinstance(title, str) and title else "document.pdf"
    match source.get("type"), source:
        case "base64", {"media_type": str(kind), "data": str(data)}:
            file = {"filename": name, "file_data": f"data:{kind};base64,{data}"}
        case "url", {"url": str(url)}:
            file = {"filename": name, "file_data": url}
        case "text", {"data": str(data)}:
            return [marked({"type": "text", "text": "\n\n".join((*heads, data))}, block)]
        case "content", {"content": content}:
            given = parts_of(content, f"{where}.content", lost)
            return [*({"type": "text", "text": head} for head in heads), *given]
        case "file", _:
            lost.add("content.file")
            return []
        case _:
            raise Refused(f"The 'source' of a 'document' block in '{where}' is not understood.", where)
    return [marked({"type": "file", "file": file}, block)]


def _found(block: Mapping[str, Any], where: str, lost: Lost) -> str:
    _citations(block, lost)
    lines = [str(block[name]) for name in ("title", "source") if isinstance(block.get(name), str)]
    given = parts_of(block.get("content"), f"{where}.content", lost)
    return "\n".join([*lines, *(part["text"] for part in given if part["type"] == "text")])


def _citations(block: Mapping[str, Any], lost: Lost) -> None:
    wanted = block.get("citations")
    if isinstance(wanted, Mapping) and wanted.get("enabled") is True:
        lost.add("citations")
