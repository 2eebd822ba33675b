"""Reasoning that a client keeps for us between two turns: what a backend wants back stands in `encrypted_content`.

OpenAI's clients hand reasoning items on as they came, `encrypted_content` among it, for it means nothing to them. So
what chat completions carry in `reasoning_details` (signatures of Anthropic's thinking) and in members of tool calls
(Gemini's thought signatures) travels there. It is encoded, not encrypted: it came from the client's own conversation.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import orjson

OURS = "wl1."
"""What our `encrypted_content` begins with."""
MARK = "wl"
"""What our ids hold after their prefix (`rs_wl…`), so that items of ours are known among those of OpenAI."""


class Kept(NamedTuple):
    """What was kept of one reasoning item."""

    details: tuple[Mapping[str, Any], ...] = ()
    calls: Mapping[str, Mapping[str, Any]] = {}
    """Further members of tool calls, by their id."""


NOTHING = Kept()


def sealed(details: Iterable[Mapping[str, Any]], calls: Mapping[str, Mapping[str, Any]]) -> str | None:
    """As `encrypted_content`; `None` where there is nothing to keep."""
    kept = {"details": list(details), "calls": calls}
    if not kept["details"] and not calls:
        return None
    return OURS + base64.b64encode(orjson.dumps(kept)).decode("ascii")


def unsealed(text: object) -> Kept:
    """What `sealed` made; nothing for anything else."""
    if not isinstance(text, str) or not text.startswith(OURS):
        return NOTHING
    try:
        kept = orjson.loads(base64.b64decode(text[len(OURS) :], validate=True))
        details = tuple(one for one in kept["details"] if isinstance(one, dict))
        calls = {str(key): more for key, more in kept["calls"].items() if isinstance(more, dict)}
    except (binascii.Error, ValueError, KeyError, TypeError, AttributeError):  # a client that changed it
        return NOTHING
    return Kept(details, calls)


def is_ours(item: object) -> bool:
    """A reasoning item that Wayline made: nobody else can read it."""
    if not isinstance(item, Mapping) or item.get("type") != "reasoning":
        return False
    key, kept = item.get("id"), item.get("encrypted_content")
    return (isinstance(key, str) and key.startswith("rs_" + MARK)) or (isinstance(kept, str) and kept.startswith(OURS))


def merged(details: list[dict[str, Any]], more: object) -> None:
    """Adds pieces of a stream's `reasoning_details`: those of one `index` and type are one, their texts joined."""
    for piece in more if isinstance(more, list) else ():
        if not isinstance(piece, dict):
            continue
        last = details[-1] if details else None
        if last is None or last.get("type") != piece.get("type") or last.get("index") != piece.get("index"):
            details.append(dict(piece))
            continue
        for name, value in piece.items():
            old = last.get(name)
            joins = name in ("text", "summary", "data", "signature") and isinstance(old, str) and isinstance(value, str)
            last[name] = old + value if joins else value if value is not None else old


def completed(details: list[dict[str, Any]], text: str) -> list[dict[str, Any]]:
    """With the words where only their signature came: they went out as `reasoning_content`."""
    texts = [one for one in details if one.get("type") == "reasoning.text"]
    if len(texts) == 1 and not texts[0].get("text") and text:
        texts[0]["text"] = text
    return details
