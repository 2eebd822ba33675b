"""What a provider's headers say of its limits: how much is left, of how much, and when all of it is there again."""

from __future__ import annotations

from proxy.core.call import Headers
from proxy.core.limiting.meter import Said
from proxy.core.limiting.values import REQUESTS, TOKENS
from proxy.core.moments import seconds

_NOT_FOR_ALL = ("image", "audio", "project")


def said_of(headers: Headers, now: float) -> tuple[Said, ...]:
    """Of each unit the limit of which least is left. Names as in `proxy.core.limits`: `x-ratelimit-remaining-requests`
    of OpenAI and its likes, `anthropic-ratelimit-tokens-remaining`. What does not say when it is reset is left out.
    `now`: Unix time."""
    fields = {name: value for name, value in headers if b"ratelimit" in name}
    if not fields:
        return ()
    found: dict[str, Said] = {}
    for raw, value in fields.items():
        name = raw.decode("latin-1")
        unit = _unit(name)
        left = _number(value)
        if unit is None or left is None:
            continue
        reset = fields.get(raw.replace(b"remaining", b"reset"))
        wait = None if reset is None else seconds(reset.decode("latin-1"), now)
        if wait is None:
            continue
        said = Said(unit, left, wait, _number(fields.get(raw.replace(b"remaining", b"limit"), b"")))
        if unit not in found or said.left < found[unit].left:
            found[unit] = said
    return tuple(found.values())


def _unit(name: str) -> str | None:
    if "remaining" not in name or any(word in name for word in _NOT_FOR_ALL):
        return None
    return TOKENS if "token" in name else REQUESTS if "req" in name else None


def _number(value: bytes) -> float | None:
    text = value.strip()
    return float(text) if text.isdigit() and len(text) <= 15 else None
