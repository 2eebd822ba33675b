"""What all connections of one process share: who answers which path, the bounds, the date, and whether we drain."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from email.utils import formatdate

from proxy.config.values import Cors, Listen
from proxy.wire.cors import CorsPolicy
from proxy.wire.errors import Refusal
from proxy.wire.reply import Endpoint, Formed, Worded

OPEN_WHILE_DRAINING = frozenset({b"/healthz", b"/readyz", b"/metrics"})
"""Paths that are answered to the end: whoever watches us must be able to see that we are draining."""


class Draining:
    """Set once, when the process was asked to stop."""

    __slots__ = ("active", "on_begin")

    def __init__(self) -> None:
        self.active = False
        self.on_begin: Callable[[], None] | None = None
        """Told at that moment."""

    def begin(self) -> None:
        """The process was asked to stop."""
        self.active = True
        if self.on_begin is not None:
            self.on_begin()


class HotPath:
    """One path whose requests do not go through ASGI."""

    __slots__ = ("allow", "forms", "methods", "path", "words")

    def __init__(self, path: str) -> None:
        self.path = path
        self.methods: dict[bytes, Endpoint] = {}
        self.words: Callable[[Refusal], Refusal] | None = None
        """How its API says an error; `None`: as OpenAI's."""
        self.forms = False
        """It takes forms besides JSON."""
        self.allow = b""
        """The value of `Allow`."""


class Door:
    """`date` is the present `date` header line; the server renews it once a second."""

    __slots__ = ("cors", "date", "draining", "hot", "listen")

    def __init__(
        self,
        listen: Listen,
        endpoints: Mapping[tuple[str, str], Endpoint],
        *,
        draining: Draining | None = None,
        cors: Cors | None = None,
    ) -> None:
        self.listen = listen
        self.draining = draining or Draining()
        self.cors = CorsPolicy(cors) if cors is not None else None
        self.hot = _by_path(endpoints)
        self.date = b""
        self.tick()

    def tick(self) -> bytes:
        """Renews the date; gives the value alone (RFC 9110 section 5.6.7)."""
        value = formatdate(usegmt=True).encode()
        self.date = b"date: %b\r\n" % value
        return value


def _by_path(endpoints: Mapping[tuple[str, str], Endpoint]) -> dict[bytes, HotPath]:
    hot: dict[bytes, HotPath] = {}
    for (method, path), endpoint in endpoints.items():
        place = hot.setdefault(path.encode(), HotPath(path))
        place.methods[method.encode()] = endpoint
        if isinstance(endpoint, Worded):
            place.words = endpoint.words
        place.forms = place.forms or isinstance(endpoint, Formed)
        place.allow = b", ".join(sorted(place.methods))
    return hot
