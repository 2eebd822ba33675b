"""A conversation as Gemini's `contents`: roles, parts, calls with their signatures, media.

Sources (read on 2026-11-21): ai.google.dev, "Thought signatures", "Function calling", "File input methods"; the
discovery document of generativelanguage v1beta, `Part`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from proxy.backends.conversation import Call, Conversation, Media, Part, Result, Text, Thought, Turn
from proxy.backends.gemini_models import Traits

FORMAT = "google-gemini-v1"
"""What `reasoning_details` call Gemini's own."""
NO_SIGNATURE = "skip_thought_signature_validator"
"""What Google has one write where a call was made by another model, or its signature was lost."""
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]+={0,2}")
_NOTHING = {"text": " "}
"""Contents must hold a part, and a part something."""
_ROLES = {"user": "user", "assistant": "model"}
_RESULT_MEDIA = frozenset({"image/png", "image/jpeg", "image/webp", "application/pdf", "text/plain"})
_FILES = "https://generativelanguage.googleapis.com/v1beta/"
_TYPES = {
    "aac": "audio/aac",
    "avif": "image/avif",
    "csv": "text/csv",
    "flac": "audio/flac",
    "gif": "image/gif",
    "heic": "image/heic",
    "heif": "image/heif",
    "htm": "text/html",
    "html": "text/html",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "json": "application/json",
    "md": "text/markdown",
    "mov": "video/mov",
    "mp3": "audio/mp3",
    "mp4": "video/mp4",
    "ogg": "audio/ogg",
    "pdf": "application/pdf",
    "png": "image/png",
    "txt": "text/plain",
    "wav": "audio/wav",
    "webm": "video/webm",
    "webp": "image/webp",
}
_BY_KIND = {"image": "image/jpeg", "audio": "audio/mp3", "file": "application/pdf"}


class CannotSay(ValueError):
    """The request holds something for which this target has no words; the message is for the caller."""


class Reach(NamedTuple):
    """Where this backend's models fetch from."""

    buckets: bool
    """Addresses in Google Cloud Storage (`gs://`)."""
    names_type: bool
    """Every address needs a media type, even if it has to be guessed."""


def contents_of(said: Conversation, traits: Traits, reach: Reach) -> list[dict[str, Any]]:
    """`contents`. Raises `CannotSay`."""
    contents: list[dict[str, Any]] = []
    calls: dict[str, int] = {}
    for turn in said.turns:
        if turn.role == "assistant":
            calls = {part.id: at for at, part in enumerate(turn.parts) if isinstance(part, Call)}
            parts = _model(turn, traits)
        else:
            parts = _user(turn.parts, calls, traits, reach)
        if not contents and turn.role == "assistant":
            contents.append({"role": "user", "parts": [_NOTHING]})  # calls must follow a turn of the user
        contents.append({"role": _ROLES[turn.role], "parts": parts or [_NOTHING]})
    return contents or [{"role": "user", "parts": [_NOTHING]}]


def instruction_of(system: Iterable[Text]) -> dict[str, Any] | None:
    """`systemInstruction`."""
    parts = [{"text": part.text} for part in system]
    return {"parts": parts} if parts else None


def media_of(media: Media, traits: Traits, reach: Reach) -> dict[str, Any]:
    """An image, a sound or a document. Raises `CannotSay`."""
    if media.data:
        return {"inlineData": {"mimeType": media.media_type or _BY_KIND[media.kind], "data": media.data}}
    if media.file_id:
        if not media.file_id.startswith(("files/", _FILES)):
            raise CannotSay("a file that was uploaded to another provider cannot be read by this backend")
        return _file(_FILES + media.file_id if media.file_id.startswith("files/") else media.file_id, media, reach)
    scheme, host = _parts(media.url)
    if scheme == "gs" and reach.buckets:
        return _file(media.url, media, reach)
    if scheme not in ("http", "https") or not host:
        raise CannotSay("an image or file must be a data URL or an http(s) address")
    if traits.fetches or media.url.startswith(_FILES) or host in ("youtu.be", "www.youtube.com", "youtube.com"):
        return _file(media.url, media, reach)
    raise CannotSay("this model fetches no addresses: send the image or file itself, as a data URL")


def _user(parts: Iterable[Part], calls: Mapping[str, int], traits: Traits, reach: Reach) -> list[dict[str, Any]]:
    results = [part for part in parts if isinstance(part, Result)]
    if len(results) > 1:  # without ids they are matched by name and order
        results.sort(key=lambda result: calls.get(result.id, len(calls)))
    beside: list[dict[str, Any]] = []
    found = [_result(result, beside, traits, reach) for result in results]
    found += beside
    for part in parts:
        if isinstance(part, Text):
            found.append({"text": part.text})
        elif isinstance(part, Media):
            found.append(media_of(part, traits, reach))
    return found


def _result(result: Result, beside: list[dict[str, Any]], traits: Traits, reach: Reach) -> dict[str, Any]:
    """The words stay a text, though they often are JSON: `response` holds numbers as doubles only, which would change
    large ids. Media that cannot stand in it go `beside` it."""
    answer: dict[str, Any] = {"name": result.name, "response": {"result": result.text}}
    if traits.ids and result.id:
        answer = {"id": result.id, **answer}
    within: list[dict[str, Any]] = []
    for part in result.parts:
        if isinstance(part, Media):
            rich = traits.rich_results and bool(part.data) and part.media_type in _RESULT_MEDIA
            (within if rich else beside).append(media_of(part, traits, reach))
    if within:
        answer["parts"] = within
    return {"functionResponse": answer}


def _model(turn: Turn, traits: Traits) -> list[dict[str, Any]]:
    """The model's own turn. Thoughts and signatures of other providers are left out; one that Gemini put on its words
    goes back there."""
    parts: list[dict[str, Any]] = []
    loose = ""
    first: dict[str, Any] | None = None
    words: dict[str, Any] | None = None
    for part in turn.parts:
        if isinstance(part, Text):
            words = {"text": part.text}
            parts.append(words)
        elif isinstance(part, Thought):
            if part.format == FORMAT:
                loose = _sound(part.redacted) or loose
                if part.text and _sound(part.signature):
                    parts.append({"text": part.text, "thought": True, "thoughtSignature": part.signature})
        elif isinstance(part, Call):
            call = _call(part, traits)
            parts.append(call)
            first = first or call
    if first is not None and "thoughtSignature" not in first:
        if loose:
            first["thoughtSignature"], loose = loose, ""
        elif traits.signs:
            first["thoughtSignature"] = NO_SIGNATURE
    if loose:
        if words is None:
            words = {"text": ""}
            parts.append(words)
        words["thoughtSignature"] = loose
    return parts


def _call(call: Call, traits: Traits) -> dict[str, Any]:
    made: dict[str, Any] = {"name": call.name, "args": call.parsed()}
    if traits.ids and call.id:
        made = {"id": call.id, **made}
    signature = _signature(call.more)
    return {"functionCall": made, "thoughtSignature": signature} if signature else {"functionCall": made}


def _signature(more: Mapping[str, Any]) -> str:
    """`extra_content.google.thought_signature`, where Google's own OpenAI-compatible door has it."""
    extra = more.get("extra_content")
    google = extra.get("google") if isinstance(extra, Mapping) else None
    found = google.get("thought_signature") if isinstance(google, Mapping) else None
    return _sound(found)


def _sound(signature: object) -> str:
    """The signature, unless it is none of Google's: bytes in base64, in which it must be to be read at all."""
    return signature if isinstance(signature, str) and _BASE64.fullmatch(signature) else ""


def _file(uri: str, media: Media, reach: Reach) -> dict[str, Any]:
    name = urlsplit(uri).path.rsplit("/", 1)[-1]
    kind = media.media_type or _TYPES.get(name.rpartition(".")[2].lower(), "")
    if not kind and reach.names_type:
        kind = "video/mp4" if "youtu" in uri else _BY_KIND[media.kind]
    return {"fileData": {"mimeType": kind, "fileUri": uri} if kind else {"fileUri": uri}}


def _parts(url: str) -> tuple[str, str]:
    try:
        found = urlsplit(url)
        return found.scheme.lower(), (found.hostname or "").lower()
    except ValueError:
        return "", ""
