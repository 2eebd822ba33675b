"""What can be set about outbound connections, and what can be asked about them."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import NamedTuple

from proxy.net.proxies import DIRECT, Proxies
from proxy.net.resolve import Lookup, system_lookup


@dataclass(frozen=True, slots=True)
class NetSettings:
    """Bounds of the pool (per origin), and what connections are made with. Durations in seconds."""

    idle: float = 20.0
    """An unused connection is kept this long, and never longer than the server's own `Keep-Alive: timeout=` less a
    margin. Load balancers drop idle connections silently after 60 s (AWS) to 350 s, small servers close after 2 s
    (gunicorn) to 5 s (uvicorn, Node, llama.cpp) and tell so by an EOF that is seen at once. 20 s spares a busy user
    nearly every handshake, and stays clear of those that say nothing."""
    max_idle: int = 512
    """As many as a burst of streams leaves behind; `idle` takes them away again."""
    max_open: int = 4096
    """A guard for the file descriptors, not a queue: a call beyond it fails at once as BUSY, which goes elsewhere."""
    proxies: Proxies = DIRECT
    """From `proxies_from(environment)`; by default no proxy is used."""
    tls: ssl.SSLContext | None = None
    """Instead of `ssl.create_default_context()` (system roots, or SSL_CERT_FILE)."""
    lookup: Lookup = system_lookup
    """Name look-up, called in a thread of its own."""


class NetStats(NamedTuple):
    """Counts of the moment, and since the start."""

    open: int
    """Connections there are, idle ones included, those still being made excluded."""
    idle: int
    connecting: int
    opened: int
    """Connections made since the start."""
