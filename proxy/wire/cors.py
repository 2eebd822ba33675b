"""Cross-origin calls from browsers, where the configuration allows them (Fetch standard, section 3.2)."""

from __future__ import annotations

from collections.abc import Mapping

from proxy.config.values import Cors

EXPOSED = (
    b"access-control-expose-headers: x-request-id, request-id, x-wayline-request-id, x-wayline-route, "
    b"x-wayline-target, x-wayline-attempts, x-wayline-cost, x-wayline-dropped, x-wayline-estimated, "
    b"retry-after, x-should-retry\r\n"
)
_VARY = b"vary: Origin\r\n"


class CorsPolicy:
    """Which origins may read our answers. Credentials (cookies) are never asked for: keys travel in a header."""

    __slots__ = ("_any", "_max_age", "_origins")

    def __init__(self, cors: Cors) -> None:
        self._any = "*" in cors.origins
        self._origins = frozenset(origin.encode() for origin in cors.origins)
        self._max_age = cors.max_age

    def lines(self, origin: bytes | None) -> bytes:
        """Header lines for any response, each ended by CRLF. `Vary` goes out even where the origin is not allowed,
        so that a cache does not hand one origin's answer to another."""
        allowed = self._allowed(origin)
        if not allowed:
            return b"" if self._any else _VARY
        return allowed + EXPOSED

    def preflight(self, fields: Mapping[bytes, bytes], methods: bytes) -> bytes | None:
        """Header lines for the answer to a preflight request; `None` when the request is none.

        `fields` are the request's headers, `methods` what the path takes.
        """
        origin = fields.get(b"origin")
        if origin is None or b"access-control-request-method" not in fields:
            return None
        vary = b"vary: Origin, Access-Control-Request-Headers\r\n"
        allowed = self._allowed(origin)
        if not allowed:
            return vary
        asked = fields.get(b"access-control-request-headers", b"authorization, content-type")
        return (
            (allowed if self._any else allowed.removesuffix(_VARY))
            + b"access-control-allow-methods: %b\r\n" % methods
            + b"access-control-allow-headers: %b\r\n" % asked
            + b"access-control-max-age: %d\r\n" % self._max_age
            + vary
        )

    def _allowed(self, origin: bytes | None) -> bytes:
        if origin is None:
            return b""
        if self._any:
            return b"access-control-allow-origin: *\r\n"
        if origin in self._origins:
            return b"access-control-allow-origin: %b\r\n" % origin + _VARY
        return b""
