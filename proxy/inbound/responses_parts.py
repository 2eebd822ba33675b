"""Content of a Responses item in the words of chat completions: texts, images, files, audio."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from proxy.inbound.refused import Refused

Parts = list[dict[str, Any]]
TEXTS = {"input_text": "text", "output_text": "text", "text": "text", "summary_text": "text", "refusal": "refusal"}
"""The kinds of parts that are words, and where those stand."""


def content(value: object, where: str) -> Parts:
    """A text, or a list of parts, as chat's parts. `where`: the path for an error. Raises `Refused`."""
    if isinstance(value, str):
        return [{"type": "text", "text": value}] if value else []
    if value is None:
        return []
    if not isinstance(value, list):
        raise Refused(f"'{where}' must be a text or a list of parts.", where)
    return [_part(part, f"{where}[{i}]") for i, part in enumerate(value)]


def words(parts: Parts) -> str | None:
    """All parts as one text, where they are nothing else."""
    if all(part["type"] == "text" for part in parts):
        return "".join(part["text"] for part in parts)
    return None


def packed(parts: Parts) -> str | Parts:
    """As content of a message: a plain text where it is one, which every backend takes."""
    return parts[0]["text"] if len(parts) == 1 and parts[0]["type"] == "text" else parts


def _part(part: object, where: str) -> dict[str, Any]:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    if not isinstance(part, Mapping):
        raise Refused(f"'{where}' must be an object.", where)
    kind = part.get("type")
    if isinstance(kind, str) and kind in TEXTS:
        text = part.get(TEXTS[kind])
        if not isinstance(text, str):
            raise Refused(f"'{where}.{TEXTS[kind]}' must be a text.", f"{where}.{TEXTS[kind]}")
        return _marked({"type": "text", "text": text}, part)
    if kind == "input_image":
        return _marked(_image(part, where), part)
    if kind == "input_file":
        return _marked({"type": "file", "file": _file(part, where)}, part)
    if kind == "input_audio" and isinstance(part.get("input_audio"), Mapping):
        return {"type": "input_audio", "input_audio": dict(part["input_audio"])}
    raise Refused(f"'{where}' is of the type {kind!r}, which is not known here.", f"{where}.type")


def _image(part: Mapping[str, Any], where: str) -> dict[str, Any]:
    url = part.get("image_url")
    if isinstance(url, Mapping):  # as in chat completions: many clients mix the two up
        url = url.get("url")
    if isinstance(url, str) and url:
        image = {"url": url}
        if isinstance(part.get("detail"), str):
            image["detail"] = part["detail"]
        return {"type": "image_url", "image_url": image}
    if isinstance(part.get("file_id"), str):
        return {"type": "file", "file": {"file_id": part["file_id"]}}
    raise Refused(f"'{where}' needs an 'image_url' or a 'file_id'.", where)


def _file(part: Mapping[str, Any], where: str) -> dict[str, Any]:
    file: dict[str, Any] = {}
    if isinstance(part.get("filename"), str):
        file["filename"] = part["filename"]
    for given, as_ in (("file_data", "file_data"), ("file_url", "file_data"), ("file_id", "file_id")):
        if isinstance(part.get(given), str):
            file[as_] = part[given]
            return file
    raise Refused(f"'{where}' needs 'file_data', 'file_url' or a 'file_id'.", where)


def _marked(chat: dict[str, Any], part: Mapping[str, Any]) -> dict[str, Any]:
    """With the cache mark that a client for Anthropic's models may have put there."""
    mark = part.get("cache_control")
    if isinstance(mark, Mapping):
        chat["cache_control"] = dict(mark)
    return chat
