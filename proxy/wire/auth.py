"""Who calls: a key from the request's headers to the name it was given in the configuration."""

from __future__ import annotations

from hashlib import sha256

from proxy.config.values import CallerKey
from proxy.core.call import Headers
from proxy.wire.errors import Refusal, refusal

_CHALLENGE = b"www-authenticate: Bearer\r\n"  # RFC 9110 section 11.6.1: a 401 must carry one
_MISSING = refusal(
    401,
    "No API key was given. Send it as 'Authorization: Bearer <key>' or 'x-api-key: <key>'.",
    "missing_api_key",
    more=_CHALLENGE,
)
_WRONG = refusal(401, "The API key is not valid.", "invalid_api_key", more=_CHALLENGE)


class Authenticator:
    """Knows the callers by the SHA-256 of their keys.

    The digest is looked up in a dict. How long that takes can only tell something about digests, and whoever could
    choose a key whose digest begins like a stored one would still not have the key: it is the preimage that counts.
    So the comparison needs no constant time, and its cost does not grow with the number of keys.
    """

    __slots__ = ("_names",)

    def __init__(self, keys: tuple[CallerKey, ...]) -> None:
        self._names = {key.sha256: key.name for key in keys}

    def check(self, headers: Headers) -> str | Refusal:
        """The name of the caller's key, or a 401. Without configured keys everyone passes, with an empty name."""
        if not self._names:
            return ""
        presented = _presented(headers)
        if presented is None:
            return _MISSING
        name = self._names.get(sha256(presented).digest())
        return _WRONG if name is None else name


def _presented(headers: Headers) -> bytes | None:
    """`Authorization: Bearer` first, then `x-api-key` and `api-key` (as clients made for Anthropic and Azure send)."""
    other: bytes | None = None
    for name, value in headers:
        if name == b"authorization":
            scheme, _, rest = value.partition(b" ")
            if scheme.lower() == b"bearer" and rest.strip():
                return rest.strip()
        elif name in (b"x-api-key", b"api-key") and value and other is None:
            other = value
    return other
