"""A conversation in OpenAI's terms, taken apart for dialects that say it in their own words.

Liberal: what OpenAI's schema allows is understood, and what it does not is passed over rather than refused, since the
upstream is the better judge of it.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

import orjson

_OF_A_CALL = frozenset({"id", "type", "function", "custom", "index"})
_DATA_URL = re.compile(r"data:([A-Za-z0-9.+-]+/[A-Za-z0-9.+-]+)?(?:;[A-Za-z0-9=._-]+)*?(;base64)?,", re.ASCII)


class Text(NamedTuple):
    """Words. `cache_control`: Anthropic's mark, as OpenAI-speaking clients send it along."""

    text: str
    cache_control: Mapping[str, Any] | None = None


class Media(NamedTuple):
    """An image, audio or document: its base64 `data` with its media type, or a `url`, or a provider's `file_id`."""

    kind: str
    """`image`, `audio` or `file`."""
    media_type: str = ""
    data: str = ""
    url: str = ""
    file_id: str = ""
    name: str = ""
    detail: str = ""
    cache_control: Mapping[str, Any] | None = None


class Thought(NamedTuple):
    """Reasoning of an earlier turn, as `reasoning_details` carry it. `format` says whose it is
    (`anthropic-claude-v1`, `google-gemini-v1`): a signature means nothing to anybody else."""

    text: str
    signature: str = ""
    redacted: str = ""
    format: str = ""


class Call(NamedTuple):
    """A tool call of the assistant. `arguments` as the JSON text that it was."""

    id: str
    name: str
    arguments: str
    more: Mapping[str, Any] = {}
    """Further members (`extra_content`, in which Gemini's thought signatures travel)."""

    def parsed(self) -> dict[str, Any]:
        """The arguments as an object; what is none becomes one."""
        try:
            value = orjson.loads(self.arguments) if self.arguments.strip() else {}
        except orjson.JSONDecodeError:
            return {"arguments": self.arguments}
        return value if isinstance(value, dict) else {"arguments": value}


class Result(NamedTuple):
    """What a tool gave back."""

    id: str
    name: str
    """Of the tool, looked up in the calls before it."""
    parts: tuple[Text | Media, ...]
    cache_control: Mapping[str, Any] | None = None

    @property
    def text(self) -> str:
        """All its words."""
        return "".join(part.text for part in self.parts if isinstance(part, Text))


Part = Text | Media | Thought | Call | Result


class Turn(NamedTuple):
    """One side's turn: neighbours of the same side are one. Results of tools are the user's, and come first."""

    role: str
    """`user` or `assistant`."""
    parts: tuple[Part, ...]


class Conversation(NamedTuple):
    """`system`: the words of system and developer messages at the beginning; later ones stand where they were said, as
    the user's."""

    system: tuple[Text, ...]
    turns: tuple[Turn, ...]


def conversation(messages: Iterable[Any]) -> Conversation:
    """Takes the `messages` of a request apart. Turns alternate, and none is empty."""
    system: list[Text] = []
    turns: list[tuple[str, list[Part]]] = []
    names: dict[str, str] = {}
    for message in messages:
        if type(message) is not dict and not isinstance(message, Mapping):  # asking an ABC costs 0.3 us
            continue
        role = message.get("role")
        if role in ("system", "developer") and not turns:
            system += [part for part in _marked(message, _content(message.get("content"))) if isinstance(part, Text)]
            continue
        side = "assistant" if role == "assistant" else "user"
        parts = parts_of(message, names)
        if not parts:
            continue
        if turns and turns[-1][0] == side:
            turns[-1][1].extend(parts)
        else:
            turns.append((side, parts))
    return Conversation(tuple(system), tuple(Turn(side, _results_first(parts)) for side, parts in turns))


def parts_of(message: Mapping[str, Any], names: dict[str, str]) -> list[Part]:
    """What one message holds. `names`: the tools' names by the ids of their calls, kept from message to message."""
    role = message.get("role")
    if role == "assistant":
        return _assistant(message, names)
    content = _content(message.get("content"))
    if role in ("tool", "function"):
        key = str(message.get("tool_call_id") or message.get("name") or "")
        mark = _mark(message) or next((part.cache_control for part in content if part.cache_control), None)
        return [Result(key, names.get(key, str(message.get("name") or key)), tuple(content), mark)]
    return list(_marked(message, content))


def _assistant(message: Mapping[str, Any], names: dict[str, str]) -> list[Part]:
    parts: list[Part] = [*_thoughts(message)]
    parts += _marked(message, _content(message.get("content")))
    refusal = message.get("refusal")
    if isinstance(refusal, str) and refusal:
        parts.append(Text(refusal))
    calls = message.get("tool_calls")
    for call in calls if isinstance(calls, list) else ():
        if type(call) is not dict and not isinstance(call, Mapping):
            continue
        function = call.get("function") or call.get("custom")
        if type(function) is dict or isinstance(function, Mapping):
            key = str(call.get("id") or f"call_{len(names)}")
            name = str(function.get("name") or "")
            given = function.get("arguments", function.get("input"))
            text = given if isinstance(given, str) else orjson.dumps(given or {}).decode()
            names[key] = name
            more = {member: value for member, value in call.items() if member not in _OF_A_CALL}
            parts.append(Call(key, name, text, more))
    old = message.get("function_call")
    if old and isinstance(old, Mapping) and old.get("name"):
        name = str(old["name"])
        names[name] = name
        parts.append(Call(name, name, str(old.get("arguments") or "")))
    return parts


def _thoughts(message: Mapping[str, Any]) -> list[Thought]:
    details = message.get("reasoning_details")
    if isinstance(details, list):
        return [_thought(one) for one in details if isinstance(one, Mapping)]
    text = message.get("reasoning_content") or message.get("reasoning")
    return [Thought(text)] if isinstance(text, str) and text else []


def _thought(detail: Mapping[str, Any]) -> Thought:
    def word(name: str) -> str:
        value = detail.get(name)
        return value if isinstance(value, str) else ""

    return Thought(word("text") or word("summary"), word("signature"), word("data"), word("format"))


def _content(content: object) -> list[Text | Media]:
    """A text, or a list of typed parts. Empty texts are left out: most providers refuse them."""
    if isinstance(content, str):
        return [Text(content)] if content else []
    if not isinstance(content, list):
        return []
    parts: list[Text | Media] = []
    for item in content:
        if isinstance(item, str):
            parts += [Text(item)] if item else []
        elif type(item) is dict or isinstance(item, Mapping):
            part = _part(item)
            if part is not None:
                parts.append(part)
    return parts


def _part(item: Mapping[str, Any]) -> Text | Media | None:
    mark = _mark(item)
    match item.get("type"):
        case "text" | "input_text" | "output_text" | None:
            text = item.get("text")
            return Text(text, mark) if isinstance(text, str) and text else None
        case "refusal":
            text = item.get("refusal")
            return Text(text, mark) if isinstance(text, str) and text else None
        case "image_url":
            image = item.get("image_url")
            given = image if isinstance(image, Mapping) else {"url": image}
            return from_url("image", str(given.get("url") or ""), detail=str(given.get("detail") or ""), mark=mark)
        case "input_audio":
            audio = item.get("input_audio")
            given = audio if isinstance(audio, Mapping) else {}
            return Media(
                "audio", f"audio/{given.get('format') or 'wav'}", str(given.get("data") or ""), cache_control=mark
            )
        case "file":
            return _file(item.get("file"), mark)
        case _:
            return None


def _file(file: object, mark: Mapping[str, Any] | None) -> Media:
    given = file if isinstance(file, Mapping) else {}
    name = str(given.get("filename") or "")
    data = str(given.get("file_data") or "")
    if data.startswith(("data:", "http://", "https://")):
        return from_url("file", data, name=name, mark=mark)
    return Media("file", "application/pdf" if data else "", data, "", str(given.get("file_id") or ""), name, "", mark)


def from_url(kind: str, url: str, *, name: str = "", detail: str = "", mark: Mapping[str, Any] | None = None) -> Media:
    """Media behind a URL; a data URL (RFC 2397) is taken apart."""
    found = _DATA_URL.match(url[:256])
    if found is None:
        return Media(kind, "", "", url, "", name, detail, mark)
    data = url[found.end() :]
    if not found[2]:
        data = base64.b64encode(unquote_to_bytes(data)).decode()
    return Media(kind, found[1] or "text/plain", data, "", "", name, detail, mark)


def is_base64(data: str) -> bool:
    """Can it be decoded at all?"""
    try:
        base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


def _mark(item: Mapping[str, Any]) -> Mapping[str, Any] | None:
    mark = item.get("cache_control")
    return mark if mark is not None and isinstance(mark, Mapping) else None


def _marked(message: Mapping[str, Any], parts: list[Text | Media]) -> list[Text | Media]:
    """A mark on the message itself is one on its last part."""
    mark = _mark(message)
    if mark is not None and parts and parts[-1].cache_control is None:
        parts[-1] = parts[-1]._replace(cache_control=mark)
    return parts


def _results_first(parts: list[Part]) -> tuple[Part, ...]:
    """Anthropic and Gemini want results directly after the calls, before any words of the user."""
    if len(parts) == 1 or Result not in map(type, parts):
        return tuple(parts)
    return (*(p for p in parts if isinstance(p, Result)), *(p for p in parts if not isinstance(p, Result)))
