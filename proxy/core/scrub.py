"""What an upstream said, made fit for a caller's eyes: no key, no account, no address."""

from __future__ import annotations

import re
from collections.abc import Iterable

MAX_MESSAGE = 500
"""Characters of an upstream's message that are handed on."""
_MAX_READ = 4096
"""Characters looked at: bounds the work on a hostile message."""

_URL = re.compile(r"\b[a-z][a-z0-9+.-]{1,20}://[^\s\"'<>`)\]}]+", re.IGNORECASE)
_KEY = re.compile(
    r"\b(?:sk|pk|rk|gsk|xai|pplx|hf|nvapi|r8|fw|tgp|csk|key|AIza|ghp|glpat|eyJ)[-_]?[A-Za-z0-9*_.-]{12,}"
    r"|\bsk-[A-Za-z0-9*_-]*"
    r"|\b(?:bearer|basic|token)\s+[A-Za-z0-9+/=*_.~-]{8,}"
    r"|[A-Za-z0-9_-]{0,8}\*{3,}[A-Za-z0-9_-]{0,8}"
    r"|\b[A-Fa-f0-9]{32,}\b",
    re.IGNORECASE,
)
_ACCOUNT = re.compile(r"\b(?:org|proj|user|acct|team|ws|workspace)[-_][A-Za-z0-9]{8,}\b")
_IPV6 = re.compile(
    r"\[[0-9A-Fa-f:.]*:[0-9A-Fa-f:.%]*\](?::\d+)?|(?<![\w:])(?:[0-9A-Fa-f]{1,4}:){3,7}[0-9A-Fa-f]{1,4}(?![\w:])"
)
_IPV4 = re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.]*\w)(?::\d+)?")
_HOST = re.compile(
    r"(?<![\w.-])(?:localhost|(?:[a-z0-9_-]+\.)+"
    r"(?:com|net|org|io|ai|dev|app|cloud|co|run|xyz|me|eu|us|uk|de|fr|cn|jp|local|localdomain|internal|intranet|lan|home|"
    r"corp|svc|cluster|test|arpa))\b(?::\d+)?(?:/[^\s\"'<>`)\]}]*)?",
    re.IGNORECASE,
)
_PATH = re.compile(r"(?<![\w/.])/(?:home|root|usr|opt|var|tmp|run|etc|app|srv|mnt|data|models?)/[^\s\"'<>`)\]},;]+")
_SPACE = re.compile(r"[\s\x00-\x1f\x7f]+")

_RULES = (
    (_URL, "[address]"),
    (_KEY, "[key]"),
    (_ACCOUNT, "[account]"),
    (_IPV6, "[address]"),
    (_IPV4, "[address]"),
    (_HOST, "[address]"),
    (_PATH, "[path]"),
)


def scrub(text: str, hide: Iterable[str] = (), limit: int = MAX_MESSAGE) -> str:
    """`text` on one line, of at most `limit` characters, without what looks like a key, an account, an address or
    a path, and without any of the exact strings in `hide` (the backend's own key and host)."""
    text = text[:_MAX_READ]
    for secret in hide:
        if secret:
            text = text.replace(secret, "[hidden]")
    for pattern, instead in _RULES:
        text = pattern.sub(instead, text)
    text = _SPACE.sub(" ", text).strip()
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"
