"""The head of a call: address, key and headers of one target, checked and made into bytes when it is bound."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from proxy import __version__
from proxy.config.values import Backend
from proxy.core.call import Origin
from proxy.core.route import Target
from proxy.core.secret import Secret

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""A token; RFC 9110 section 5.1."""
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
"""RFC 9110 section 5.5: no CR, LF or NUL, so that no header can bring another one along."""
_TARGET = re.compile(r"[!-~]+")
LEAST_SECRET = 8
"""Characters. A shorter key (`x`, `none`, `ollama`) only fills a place, and may be a word of an ordinary message."""
_FRAMING = frozenset({"connection", "content-length", "expect", "te", "trailer", "transfer-encoding", "upgrade"})
"""What belongs to the connection or to the framing, which net/ alone decides."""
_PORTS = {"http": 80, "https": 443}


class Address(NamedTuple):
    """A base URL taken apart."""

    origin: Origin
    authority: str
    """What stands in `Host`: with the port only where it is not the scheme's own (RFC 9110 section 7.2)."""
    path: str
    query: str

    def target(self, path: str) -> str:
        """The request target for a path below the base URL; its query, if any, stays."""
        return f"{self.path}{path}" + (f"?{self.query}" if self.query else "")


def address(base_url: str) -> Address:
    """Takes a base URL apart. Raises `ValueError` for one that cannot be used."""
    parts = urlsplit(base_url)
    scheme = parts.scheme.lower()
    if scheme not in _PORTS:
        raise ValueError("a base URL begins with http:// or https://")
    if parts.username is not None or parts.password is not None:
        raise ValueError(
            "a base URL does not hold a name or a password: URLs get into logs; use `api_key` or `headers`"
        )
    if parts.fragment or not parts.hostname:
        raise ValueError("a base URL has a host, and no #fragment")
    host = _ascii(parts.hostname)
    port = parts.port or _PORTS[scheme]
    shown = f"[{host}]" if ":" in host else host
    authority = shown if port == _PORTS[scheme] else f"{shown}:{port}"
    path = parts.path.rstrip("/")
    for text in (path, parts.query, authority):
        if text and not _TARGET.fullmatch(text):
            raise ValueError("a base URL holds no spaces, controls or non-ASCII characters")
    return Address(Origin(scheme, host, port), authority, path, parts.query)


def head(line: str, host: str, fixed: Mapping[str, str | Secret], *more: Mapping[str, str | Secret]) -> bytes:
    """Request line and header lines, each ended by CRLF. Of headers of one name, in any case, the last one wins.

    Raises `ValueError`, without the value, for a name or a value that a header cannot hold.
    """
    fields: dict[str, tuple[str, str]] = {"host": ("Host", host)}
    for headers in (fixed, *more):
        for name, value in headers.items():
            text = value.reveal() if isinstance(value, Secret) else value
            if not _NAME.fullmatch(name) or name.lower() in _FRAMING:
                raise ValueError(f"{name!r} cannot be set as a header of a backend")
            if not _VALUE.fullmatch(text):
                raise ValueError(f"the value of header {name!r} holds a line break or another character it must not")
            fields[name.lower()] = (name, text.strip(" \t"))
    lines = [line, *(f"{name}: {text}" for name, text in fields.values())]
    return "".join(f"{one}\r\n" for one in lines).encode("latin-1")


def standard(accept: str) -> dict[str, str]:
    """What every call carries. `identity`: decompressing is work, and a bomb's way in."""
    return {
        "Accept": accept,
        "Accept-Encoding": "identity",
        "Content-Type": "application/json",
        "User-Agent": f"wayline/{__version__}",
    }


def to_hide(where: Address, backend: Backend, target: Target) -> list[str]:
    """What must not get out in a message: keys, and where a backend of one's own is."""
    secrets = [backend.api_key, *backend.headers.values(), *target.headers.values()]
    hide = [secret.reveal() for secret in secrets if isinstance(secret, Secret)]
    hide = [text for text in hide if len(text) >= LEAST_SECRET]
    return [*hide, where.authority, where.origin.host] if backend.base_url else hide


def _ascii(host: str) -> str:
    if host.isascii():
        return host
    try:
        return host.encode("idna").decode("ascii")
    except UnicodeError as error:
        raise ValueError("the host of a base URL is not a valid name") from error
