"""The connections of one origin, and the calls that wait for one."""

from __future__ import annotations

import asyncio
import contextlib
from time import monotonic

from proxy.core.call import Headers, HttpCall, Origin
from proxy.core.failure import Failure
from proxy.net.connection import Connection
from proxy.net.dial import Dialer, forwarded
from proxy.net.errors import CLOSED, DEFECT, POOL_FULL, DialFailed, dial_failure
from proxy.net.flight import Sink
from proxy.net.settings import NetSettings

MARGIN = 1.0
"""Seconds before the server's own limit at which a connection counts as expired: a request must not cross the
server's FIN."""
SWEEP = 5.0
"""Seconds between looks for expired connections."""


class _Silence:
    """The sink of a call that is over. It lets go of the real one, whose owner commonly holds the flight: the two are
    freed at once instead of by the collector."""

    def on_head(self, status: int, headers: Headers) -> None: ...

    def on_data(self, data: bytes) -> None: ...

    def on_end(self) -> None: ...

    def on_failure(self, failure: Failure) -> None: ...


SILENCE = _Silence()


class HttpFlight:
    """One call under way: waiting for a connection, or on one."""

    __slots__ = ("_dialing", "call", "connect", "connection", "pool", "retried", "sink")

    def __init__(self, pool: Pool, call: HttpCall, sink: Sink, connect: float) -> None:
        self.pool = pool
        self.call = call
        self.sink: Sink = sink
        self.connect = connect
        self.connection: Connection | None = None
        self._dialing: asyncio.Task[None] | None = None
        self.retried = False

    @property
    def sent(self) -> bool:
        """It was written to a connection. Asked only while the call is under way."""
        return self.connection is not None

    def abort(self) -> None:
        """Close its connection now (or stop waiting for one). Idempotent; harmless after the end."""
        connection = self.connection
        self.finish()
        if connection is not None:
            connection.abort()
        elif self._dialing is not None:
            self._dialing.cancel()

    def pause(self) -> None:
        """Stop reading from the upstream."""
        if self.connection is not None:
            self.connection.pause()

    def resume(self) -> None:
        """Read on."""
        if self.connection is not None:
            self.connection.resume()

    def finish(self) -> Sink:
        """It is over: gives the sink to be told, or silence where that was already."""
        sink, self.sink = self.sink, SILENCE
        self.connection = None
        return sink

    def fail(self, failure: Failure) -> None:
        """Tell the sink, once."""
        self.finish().on_failure(failure)

    def fail_dialing(self, failure: Failure) -> None:
        """Stop waiting for a connection, and tell the sink why."""
        if self._dialing is not None:
            self._dialing.cancel()
        self.fail(failure)

    def dial(self) -> None:
        """Get a connection of its own."""
        pool = self.pool
        refusal = pool.refusal()
        if refusal is not None:
            # Not at once: the caller of `send` does not have its flight yet.
            asyncio.get_running_loop().call_soon(self.fail, refusal)
            return
        pool.dialing.add(self)
        self._dialing = asyncio.get_running_loop().create_task(self._dial())
        self._dialing.add_done_callback(self._dialed)

    def again(self) -> None:
        """The pooled connection was dead: once more, on a new one."""
        self.retried = True
        self.connection = None
        self.dial()

    async def _dial(self) -> None:
        pool = self.pool
        connection = Connection(pool)
        try:
            async with asyncio.timeout(self.connect):
                await pool.dialer.open(pool.origin, pool.proxy, connection)
        except (DialFailed, OSError) as error:
            self._drop(connection)
            self._landed()
            self.fail(dial_failure(error))
        except asyncio.CancelledError:
            self._drop(connection)
            raise
        else:
            self._landed()
            connection.begin(self)

    def _drop(self, connection: Connection) -> None:
        """Whatever there is of a connection that came to nothing."""
        connection.abort()
        self.pool.lost(connection)  # uvloop calls no `connection_lost` for one that it closes while making it

    def _landed(self) -> None:
        """Not dialing any more. The sink is told after it, since it may send again at once."""
        self._dialing = None
        self.pool.dialing.discard(self)

    def _dialed(self, task: asyncio.Task[None]) -> None:
        if task is self._dialing:  # ended otherwise than by itself
            self._landed()
        if task.cancelled():
            self.fail(CLOSED)  # by whoever ends the event loop; `abort` has said farewell to the sink
        elif (error := task.exception()) is not None:
            # Whatever is not an I/O error is a defect: it must be seen, and nobody may wait for ever because of it.
            context = {"message": "making a connection failed unexpectedly", "exception": error}
            task.get_loop().call_exception_handler(context)
            self.fail(DEFECT)


class Pool:
    """The connections of one origin, the one used last on top: what is not needed grows old and goes."""

    __slots__ = (
        "_emptied",
        "_settings",
        "_sweeper",
        "closed",
        "connections",
        "dialer",
        "dialing",
        "idle",
        "opened",
        "origin",
        "proxy",
    )

    def __init__(self, origin: Origin, settings: NetSettings, dialer: Dialer) -> None:
        self.origin = origin
        self.proxy = settings.proxies.of(origin)
        self.dialer = dialer
        self.idle: list[Connection] = []
        self.connections: set[Connection] = set()
        self.dialing: set[HttpFlight] = set()
        self.opened = 0
        self.closed = False
        self._settings = settings
        self._sweeper: asyncio.TimerHandle | None = None
        self._emptied: asyncio.Event | None = None

    def head(self, call: HttpCall) -> bytes:
        """The call's head as it goes over these connections."""
        if self.proxy is not None and self.origin.scheme == "http":
            return forwarded(call.head, self.proxy, self.origin)
        return call.head

    def take(self) -> Connection | None:
        """An idle connection that is fit for use."""
        while self.idle:
            connection = self.idle.pop()
            if connection.fit():
                return connection
            connection.close()
        return None

    def give(self, connection: Connection, keep_for: float | None) -> None:
        """Take a connection back that has done its work. `keep_for`: what the server said (seconds)."""
        seconds = self._settings.idle if keep_for is None else min(self._settings.idle, keep_for - MARGIN)
        if self.closed or seconds <= 0 or len(self.idle) >= self._settings.max_idle:
            connection.close()
            return
        connection.rest(seconds)
        self.idle.append(connection)
        if self._sweeper is None:
            self._sweeper = asyncio.get_running_loop().call_later(SWEEP, self._sweep)

    def forget(self, connection: Connection) -> None:
        """An idle connection was closed by its peer, or spoke unasked."""
        with contextlib.suppress(ValueError):
            self.idle.remove(connection)

    def refusal(self) -> Failure | None:
        """Why no further connection may be made."""
        if self.closed:
            return CLOSED
        if len(self.connections) + len(self.dialing) >= self._settings.max_open:
            return POOL_FULL
        return None

    def lost(self, connection: Connection) -> None:
        """A connection is closed for good."""
        self.connections.discard(connection)
        if self._emptied is not None and not self.connections:
            self._emptied.set()

    async def close(self) -> None:
        """Close everything, and wait until it is closed; calls under way fail."""
        self.closed = True
        self.idle.clear()
        if self._sweeper is not None:
            self._sweeper.cancel()
        for flight in list(self.dialing):
            flight.fail_dialing(CLOSED)
        for connection in list(self.connections):
            connection.fail(CLOSED)
            connection.abort()
        if self.connections:
            self._emptied = asyncio.Event()
            await self._emptied.wait()

    def _sweep(self) -> None:
        now = monotonic()
        old = [connection for connection in self.idle if connection.expires <= now]
        if old:
            self.idle = [connection for connection in self.idle if connection.expires > now]
            for connection in old:
                connection.close()
        self._sweeper = asyncio.get_running_loop().call_later(SWEEP, self._sweep) if self.idle else None
