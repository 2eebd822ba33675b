"""Who calls, and what for: a key from the request's headers to what it may do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256
from time import gmtime, strftime, time
from typing import Protocol

from proxy.config.values import CallerKey
from proxy.core.key import ANYONE, EXPIRED, REVOKED, Key, Known
from proxy.wire.errors import Refusal, refusal, scrubbed

_CHALLENGE = b"www-authenticate: Bearer\r\n"  # RFC 9110 section 11.6.1: a 401 must carry one
_MISSING = refusal(
    401,
    "No API key was given. Send it as 'Authorization: Bearer <key>' or 'x-api-key: <key>'.",
    "missing_api_key",
    more=_CHALLENGE,
)
_WRONG = refusal(401, "The API key is not valid.", "invalid_api_key", more=_CHALLENGE)
_ENDED = {EXPIRED: "has expired", REVOKED: "was revoked"}
MOST_SEEN = 16_384
"""Good keys whose digest is kept."""
TOLD = 10
"""Routes of a key that a refusal names."""


class Table(Protocol):
    """Keys that come and go while the server runs."""

    @property
    def some(self) -> bool:
        """There are some, or were."""
        ...

    def find(self, digest: bytes) -> Known | None: ...


class Authenticator:
    """Knows the callers by the SHA-256 of their keys: those of the configuration, and those of `table`.

    The digest is looked up in a dict. How long that takes can only tell something about digests, and whoever could
    choose a key whose digest begins like a stored one would still not have the key: it is the preimage that counts.
    So the comparison needs no constant time, and its cost does not grow with the number of keys. Of headers with a good
    key the digest is kept, in memory only: OpenSSL's code for one is not in the processor's cache when a request comes,
    and takes 4 of the 84 us that one needs with everything on.
    """

    __slots__ = ("_digests", "_find", "_known", "table")

    def __init__(self, keys: Iterable[CallerKey], table: Table | None = None) -> None:
        self._known = {one.sha256: Known(one.key, one.expires, EXPIRED) for one in keys}
        self.table = table
        self._digests: dict[bytes | None, bytes] = {}
        """By the value of `Authorization`."""
        self._find: Callable[[bytes], Known | None] = (lambda _: None) if table is None else table.find

    @property
    def asks(self) -> bool:
        """Callers need a key. Once there was one in the table they always do, also when the last one has ended."""
        return bool(self._known) or (self.table is not None and self.table.some)

    def check(self, fields: Mapping[bytes, bytes]) -> Key | Refusal:
        """The caller's key, or a 401. Where there are no keys everyone passes, with one that has no name. `fields`: the
        request's headers."""
        if not self._known and (self.table is None or not self.table.some):
            return ANYONE
        value = fields.get(b"authorization")
        digest = self._digests.get(value)
        known = self._look(fields, value) if digest is None else self._known.get(digest) or self._find(digest)
        if known is None:
            return _MISSING if digest is None and _presented(fields) is None else _WRONG
        key, until, why = known
        if until is not None and time() >= until:
            return _ended(until, why)  # whoever has the key may know what became of it
        return key

    def _look(self, fields: Mapping[bytes, bytes], value: bytes | None) -> Known | None:
        """The first time, or for a key that is not good."""
        presented = _presented(fields)
        if presented is None:
            return None
        digest = sha256(presented).digest()
        known = self._known.get(digest) or self._find(digest)
        if known is not None and value is not None and presented == _bearer(value):
            if len(self._digests) >= MOST_SEEN:
                self._digests.clear()
            self._digests[value] = digest
        return known


def _ended(until: float, why: str) -> Refusal:
    what = _ENDED.get(why, "was changed for another")
    when = strftime("%Y-%m-%d %H:%M UTC", gmtime(until))
    return refusal(401, f"This API key {what} ({when}).", f"api_key_{why}", more=_CHALLENGE)


def not_allowed(key: Key, model: str) -> Refusal:
    """403 for a route that is none of the key's."""
    own = sorted(key.routes or ())
    told = f" It may use: {', '.join(own[:TOLD])}{', …' if len(own) > TOLD else ''}." if own else ""
    message = f"This API key may not use the model {scrubbed(model)[:200]!r}.{told}"
    return refusal(403, message, "model_not_allowed", param="model")


def _presented(fields: Mapping[bytes, bytes]) -> bytes | None:
    """`Authorization: Bearer` first, then `x-api-key` and `api-key` (as clients made for Anthropic and Azure send)."""
    value = fields.get(b"authorization")
    bearer = None if value is None else _bearer(value)
    return bearer or fields.get(b"x-api-key") or fields.get(b"api-key") or None


def _bearer(value: bytes) -> bytes | None:
    return value[7:].strip() or None if value[:7].lower() == b"bearer " else None
