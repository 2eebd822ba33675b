"""Which proxy an origin is reached through: HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY, as curl reads them."""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from proxy.core.call import Origin
from proxy.core.secret import Secret


class Proxy(NamedTuple):
    """One forward proxy."""

    scheme: str
    """Only `http` is spoken. A call through any other kind fails: going around a proxy unasked would be worse."""
    host: str
    port: int
    credentials: Secret | None = None
    """The value of `Proxy-Authorization`."""


class Proxies(NamedTuple):
    """The proxies for each scheme, and who is reached without one."""

    http: Proxy | None = None
    https: Proxy | None = None
    direct: tuple[str, ...] = ()
    """NO_PROXY's entries, in lower case."""

    def of(self, origin: Origin) -> Proxy | None:
        """The proxy for an origin; never one for a Unix socket or this machine itself."""
        proxy = self.https if origin.scheme == "https" else self.http
        if proxy is None or origin.uds or _is_here(origin.host):
            return None
        if any(_matches(entry, origin) for entry in self.direct):
            return None
        return proxy


DIRECT = Proxies()


def proxies_from(environ: Mapping[str, str]) -> Proxies:
    """Read the variables; the lower-case name goes before the upper-case one. Raises `ValueError` (without the
    value, which may hold a password) for one that is not a URL."""

    def value(name: str) -> str:
        return (environ.get(name) or environ.get(name.upper()) or "").strip()

    entries = (entry.strip().lower() for entry in value("no_proxy").split(","))
    return Proxies(
        http=_proxy("http_proxy", value("http_proxy")) or _proxy("all_proxy", value("all_proxy")),
        https=_proxy("https_proxy", value("https_proxy")) or _proxy("all_proxy", value("all_proxy")),
        direct=tuple(entry for entry in entries if entry),
    )


def _proxy(name: str, url: str) -> Proxy | None:
    if not url:
        return None
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host:
        raise ValueError(f"{name} is not a URL like http://host:port")
    credentials = None
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
        credentials = Secret(f"Basic {base64.b64encode(pair).decode()}")
    return Proxy(parts.scheme, host, port or 80, credentials)


def _is_here(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):  # RFC 6761 section 6.3
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _matches(entry: str, origin: Origin) -> bool:
    """One entry of NO_PROXY: `*`, a domain with all below it, an address, or a network in CIDR form; all but the
    network may end in `:port`."""
    if entry == "*":
        return True
    host = origin.host.lower().rstrip(".")
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        pass
    name, _, port = entry.rpartition(":")
    if name and port.isdigit() and (":" not in name or name.endswith("]")):
        if int(port) != origin.port:
            return False
        entry = name
    name = entry.strip("[]").removeprefix("*").lstrip(".")
    return bool(name) and (host == name or host.endswith(f".{name}"))
