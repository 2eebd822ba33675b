"""Images, documents, audio and video in Converse's words."""

from __future__ import annotations

import re
from typing import Any

from proxy.backends.conversation import Media

_IMAGES = {"image/png": "png", "image/jpeg": "jpeg", "image/jpg": "jpeg", "image/gif": "gif", "image/webp": "webp"}
_DOCUMENTS = {
    "application/pdf": "pdf",
    "text/csv": "csv",
    "application/msword": "doc",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "text/html": "html",
    "text/plain": "txt",
    "text/markdown": "md",
    "application/json": "txt",
    "application/xml": "txt",
    "application/yaml": "txt",
}
_ENDINGS = frozenset({*_DOCUMENTS.values()})
_AUDIO = {"mpeg": "mp3", "x-wav": "wav", "wave": "wav", "pcm16": "pcm", "mp4": "m4a"}
_AUDIO_KNOWN = frozenset(
    {"mp3", "opus", "wav", "aac", "flac", "mp4", "ogg", "mkv", "mka", "m4a", "mpeg", "mpga", "pcm", "webm"}
)
_VIDEO = {"quicktime": "mov", "x-matroska": "mkv", "x-flv": "flv", "x-ms-wmv": "wmv", "3gpp": "three_gp"}
_VIDEO_KNOWN = frozenset({"mkv", "mov", "mp4", "webm", "flv", "mpeg", "mpg", "wmv", "three_gp"})
_NOT_IN_NAME = re.compile(r"[^A-Za-z0-9\s()\[\]-]+")
_SPACES = re.compile(r"\s+")
_LONGEST_NAME = 190
"""Of 200, so that a number fits behind it."""
_S3 = "s3://"


class Inexpressible(ValueError):
    """A part of the conversation that cannot be said to Bedrock; the text is for the caller."""


def block_of(media: Media, names: set[str]) -> dict[str, Any]:
    """The content block. `names`: those of the documents so far, as each has one of its own. Raises
    `Inexpressible`."""
    kind = media.media_type.lower()
    what, _, form = kind.partition("/")
    if media.kind == "image" or what == "image":
        return {"image": {"format": _image(media, kind), "source": _source(media)}}
    if media.kind == "audio" or what == "audio":
        form = _AUDIO.get(form, form)
        _among(form, _AUDIO_KNOWN, kind)
        return {"audio": {"format": form, "source": _source(media)}}
    if what == "video":
        form = _VIDEO.get(form, form)
        _among(form, _VIDEO_KNOWN, kind)
        return {"video": {"format": form, "source": _source(media)}}
    return {"document": {"format": _document(media, kind), "name": _name(media.name, names), "source": _source(media)}}


def _image(media: Media, kind: str) -> str:
    form = _IMAGES.get(kind) or (_IMAGES.get(f"image/{_ending(media.url)}") if media.url else None)
    if form is None:
        if media.url or media.file_id:
            _source(media)
        raise Inexpressible(f"this target takes PNG, JPEG, GIF and WebP images, not {_shown(kind)}")
    return form


def _document(media: Media, kind: str) -> str:
    ending = _ending(media.name or media.url)
    if ending in _ENDINGS and (kind not in _DOCUMENTS or _DOCUMENTS[kind] in ("txt", "pdf")):
        return ending  # a name says more than a type that stands for anything
    form = _DOCUMENTS.get(kind) or ("txt" if kind.startswith("text/") else None)
    if form is None:
        if not media.data:
            _source(media)
        raise Inexpressible(
            f"this target takes PDF, Word, Excel, CSV, HTML, Markdown and text files, not {_shown(kind)}"
        )
    return form


def _source(media: Media) -> dict[str, Any]:
    if media.data:
        return {"bytes": media.data}
    if media.url.startswith(_S3):
        return {"s3Location": {"uri": media.url}}
    if media.file_id:
        raise Inexpressible("this target does not have the file that `file_id` names: send the file itself")
    raise Inexpressible("this target fetches nothing: send images and files as data: URLs (or s3:// URLs)")


def _name(name: str, names: set[str]) -> str:
    """The service takes letters, digits, single spaces, hyphens, parentheses and square brackets only."""
    stem = name.rpartition(".")[0] or name
    clean = _SPACES.sub(" ", _NOT_IN_NAME.sub(" ", stem)).strip()[:_LONGEST_NAME].strip() or "Document"
    found, number = clean, 1
    while found in names:
        number += 1
        found = f"{clean} {number}"
    names.add(found)
    return found


def _ending(name: str) -> str:
    return name.rpartition(".")[2].lower()


def _among(form: str, known: frozenset[str], kind: str) -> None:
    if form not in known:
        raise Inexpressible(f"this target does not take {_shown(kind)}")


def _shown(kind: str) -> str:
    return kind[:100] or "an unknown type"
