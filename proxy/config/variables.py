"""`${VAR}`, `${VAR:-default}` and `${file:/path}` inside a text; `$${` stands for a plain `${`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

ReadFile = Callable[[str], str]
"""Text of a file. Raises OSError or UnicodeDecodeError."""

_REFERENCE = re.compile(
    r"\$\$\{|\$\{(?:file:(?P<file>[^}\n]+)|(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<default>:-[^}\n]*)?)\}|(?P<bad>\$\{)"
)
FORMS = "${VAR}, ${VAR:-default}, ${file:/path} or $${ for a plain ${"


class Substituted(NamedTuple):
    """What became of a text."""

    text: str
    used: bool
    """Something came from outside: `text` must not be printed any more."""
    missing: tuple[str, ...]
    """What is not there: `NAME` of a variable, or `file:/path`. Then `text` means nothing."""
    malformed: bool = False


def substitute(text: str, environ: Mapping[str, str], read_file: ReadFile) -> Substituted:
    """Fill in a text. An empty variable counts as unset; of a file one newline at the end is left off."""
    if "${" not in text:
        return Substituted(text, False, ())
    missing: list[str] = []
    used = malformed = False

    def fill(match: re.Match[str]) -> str:
        nonlocal used, malformed
        if match["bad"]:
            malformed = True
            return ""
        if not match["file"] and not match["name"]:
            return "${"
        used = True
        value = _file(match["file"], read_file) if match["file"] else environ.get(match["name"], "")
        if value:
            return value
        if match["default"] is not None:
            return match["default"][2:]
        missing.append(match["name"] or f"file:{match['file']}")
        return ""

    return Substituted(_REFERENCE.sub(fill, text), used, tuple(dict.fromkeys(missing)), malformed)


def _file(path: str, read_file: ReadFile) -> str:
    try:
        text = read_file(path)
    except (OSError, UnicodeDecodeError):
        return ""
    return text.removesuffix("\n").removesuffix("\r")


def why_missing(missing: tuple[str, ...]) -> str:
    """`A is not set, file /b is not readable`."""
    return ", ".join(
        f"file {name.removeprefix('file:')} is not readable (or empty)"
        if name.startswith("file:")
        else f"{name} is not set"
        for name in missing
    )
