"""A token, and when it ends, out of what a command prints or a file holds. Pure."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

import orjson

from proxy.credentials.bearer import is_token

_TOKENS = ("accessToken", "access_token", "token", "id_token")
"""Azure CLI, OAuth (RFC 6749 section 5.1), Kubernetes' ExecCredential, OpenID Connect."""
_MOMENTS = ("expires_on", "expiresOn", "expires_at", "expirationTimestamp", "token_expiry", "expiry", "expiration")
"""Azure CLI says it twice: `expires_on` as Unix time, `expiresOn` in local time without a zone."""
_INSIDE = ("status", "credential")
"""Where it may be nested: ExecCredential, `gcloud config config-helper`."""
_MILLISECONDS = 1e11
_DOTS = 2


class Token(NamedTuple):
    """A token and its end (Unix time, seconds; `None`: nothing says). Printed without the token."""

    text: str
    ends: float | None

    def __repr__(self) -> str:
        return f"Token(ends={self.ends})"


def read_token(text: str, now: float) -> Token | None:
    """The token in a text: the text itself, or JSON with one. The end is what the JSON says, else the `exp` of a JSON
    Web Token (RFC 7519 section 4.1.4). `None`: there is no token in it."""
    text = text.strip()
    if not text.startswith("{"):
        return Token(text, _jwt_end(text)) if is_token(text) else None
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    places = [value, *(value[name] for name in _INSIDE if isinstance(value.get(name), dict))]
    for place in places:
        for name in _TOKENS:
            token = place.get(name)
            if isinstance(token, str) and is_token(token):
                ends = _end(place, now)
                return Token(token, _jwt_end(token) if ends is None else ends)
    return None


def _end(place: Mapping[str, object], now: float) -> float | None:
    for name in _MOMENTS:
        moment = _moment(place.get(name))
        if moment is not None:
            return moment
    for name in ("expires_in", "expiresIn"):
        seconds = _number(place.get(name))
        if seconds is not None:
            return now + seconds
    return None


def _moment(value: object) -> float | None:
    number = _number(value)
    if number is not None:
        return number / 1000 if number >= _MILLISECONDS else number
    if not isinstance(value, str):
        return None
    try:
        return datetime.fromisoformat(value).timestamp()
    except (ValueError, OverflowError):
        return None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and number > 0 else None


def _jwt_end(token: str) -> float | None:
    if token.count(".") != _DOTS:
        return None
    payload = token.split(".")[1]
    try:
        claims = orjson.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (binascii.Error, ValueError):
        return None
    return _number(claims.get("exp")) if isinstance(claims, dict) else None
