"""The outbound engine: HTTP/1.1 over pooled connections, by callbacks."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from proxy.core.call import HttpCall, Origin
from proxy.net.dial import Dialer
from proxy.net.flight import Sink
from proxy.net.pool import HttpFlight, Pool
from proxy.net.resolve import Resolver
from proxy.net.settings import NetSettings, NetStats

DEFAULTS = NetSettings()
CLOSE_WITHIN = 1.0
"""Seconds for the event loop to close aborted sockets, which takes it one turn."""


class HttpNet:
    """Implements `Net`. It belongs to one event loop, the one that runs when `send` is first called."""

    def __init__(self, settings: NetSettings = DEFAULTS) -> None:
        self._settings = settings
        self._dialer = Dialer(Resolver(settings.lookup), settings.tls)
        self._pools: dict[Origin, Pool] = {}
        self._closed = False

    def send(self, origin: Origin, call: HttpCall, sink: Sink, *, connect: float) -> HttpFlight:
        """Send one call. With a free pooled connection its bytes are written before this returns.

        `connect`: seconds for name lookup, TCP and TLS together. The sink is never called before this returns.
        """
        pool = self._pools.get(origin)
        if pool is None:
            pool = self._pools[origin] = Pool(origin, self._settings, self._dialer)
            pool.closed = self._closed
        flight = HttpFlight(pool, call, sink, connect)
        connection = pool.take()
        if connection is None:
            flight.dial()
        else:
            connection.begin(flight)
        return flight

    def stats(self) -> NetStats:
        """Counts over all origins."""
        pools = self._pools.values()
        return NetStats(
            open=sum(len(pool.connections) for pool in pools),
            idle=sum(len(pool.idle) for pool in pools),
            connecting=sum(len(pool.dialing) for pool in pools),
            opened=sum(pool.opened for pool in pools),
        )

    @property
    def certificates(self) -> Mapping[Origin, float]:
        """When the certificate that each origin showed last is over, in Unix seconds."""
        return self._dialer.certificates

    async def close(self) -> None:
        """Close every connection; calls still under way fail as DRAINING. Later calls fail too."""
        self._closed = True
        closing = [asyncio.ensure_future(pool.close()) for pool in self._pools.values()]
        if closing:
            _, late = await asyncio.wait(closing, timeout=CLOSE_WITHIN)
            for task in late:
                task.cancel()
