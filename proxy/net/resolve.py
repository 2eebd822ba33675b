"""Names to addresses, in such a way that one stalled name keeps nobody else waiting."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import threading
from collections.abc import Callable
from time import monotonic
from typing import Any, NamedTuple

KEEP = 30.0
"""Seconds that a positive answer is used. getaddrinfo tells no TTL; providers' names have 30 to 300 s."""
MAX_THREADS = 32
"""Look-ups under way at once, one a name. There are as many names as backends; beyond it the look-up fails."""


class Address(NamedTuple):
    """One address to connect to, as `socket` takes it."""

    family: int
    sockaddr: tuple[Any, ...]


Lookup = Callable[[str, int], list[Address]]
"""Blocking: (host, port) to addresses in order of preference (RFC 6724). Raises `socket.gaierror`."""


def system_lookup(host: str, port: int) -> list[Address]:
    """The operating system's resolver: hosts file, DNS, whatever it is set up with."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return [Address(family, sockaddr) for family, _, _, _, sockaddr in found]


def numeric(host: str, port: int) -> list[Address]:
    """The address that `host` itself is; empty when it is a name."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return []
    return [Address(socket.AF_INET if address.version == 4 else socket.AF_INET6, (host, port))]


class Resolver:
    """Look-ups run in threads of their own, at most one a name: whoever asks for a name that is being looked up waits
    for the same answer. The event loop's default executor has few threads (6 on 2 cores), which a name server that
    does not answer would all take; these are daemons, so that such a look-up does not hold up the end of the process.
    """

    def __init__(self, lookup: Lookup = system_lookup, *, clock: Callable[[], float] = monotonic) -> None:
        self._lookup = lookup
        self._clock = clock
        self._known: dict[tuple[str, int], tuple[float, list[Address]]] = {}
        self._asked: dict[tuple[str, int], asyncio.Future[list[Address] | OSError]] = {}

    async def resolve(self, host: str, port: int) -> list[Address]:
        """At least one address. Raises `socket.gaierror` or another `OSError`."""
        if literal := numeric(host, port):
            return literal
        key = (host, port)
        known = self._known.get(key)
        if known is not None and self._clock() < known[0]:
            return known[1]
        asked = self._asked.get(key)
        if asked is None:
            asked = self._ask(key)
        found = await asyncio.shield(asked)
        if isinstance(found, OSError):
            raise found
        return found

    def forget(self, host: str, port: int) -> None:
        """None of the addresses worked: ask again next time."""
        self._known.pop((host, port), None)

    def _ask(self, key: tuple[str, int]) -> asyncio.Future[list[Address] | OSError]:
        if len(self._asked) >= MAX_THREADS:
            raise socket.gaierror(socket.EAI_AGAIN, "too many look-ups under way")
        loop = asyncio.get_running_loop()
        asked = self._asked[key] = loop.create_future()
        threading.Thread(target=self._work, args=(loop, key), name="resolve", daemon=True).start()
        return asked

    def _work(self, loop: asyncio.AbstractEventLoop, key: tuple[str, int]) -> None:
        found: list[Address] | OSError
        try:
            found = self._lookup(*key) or socket.gaierror(socket.EAI_NONAME, "no address")
        except OSError as error:
            found = error
        except UnicodeError:  # what Python's IDNA codec makes of an impossible name
            found = socket.gaierror(socket.EAI_NONAME, "not a host name")
        try:
            loop.call_soon_threadsafe(self._answered, key, found)
        except RuntimeError:  # the loop was closed meanwhile: nobody waits any more
            return

    def _answered(self, key: tuple[str, int], found: list[Address] | OSError) -> None:
        asked = self._asked.pop(key)
        if isinstance(found, list):
            self._known[key] = (self._clock() + KEEP, found)
        if not asked.done():
            asked.set_result(found)
