"""`GET /admin/events`: what happens in this process, as server-sent events (WHATWG HTML section 9.2)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress

import orjson

from proxy.engine.events import Event, Events, Subscription

HEARTBEAT = 15.0
"""Seconds without an event after which a comment says that the line is alive."""
LOOK_EVERY = 0.5
"""Seconds between two looks at whether we drain: streams of events have no end of their own."""
MOST = 50
"""Listeners at once."""


class Feed:
    """One for each process. `draining`: the process is to end, and with it every stream."""

    def __init__(self, events: Events, draining: Callable[[], bool]) -> None:
        self._events = events
        self._draining = draining
        self.listeners = 0

    @property
    def full(self) -> bool:
        """Nobody else may listen now."""
        return self.listeners >= MOST

    async def lines(self, after: int | None = None) -> AsyncGenerator[bytes]:
        """The stream's bytes, until its reader leaves or the process drains. `after`: first what happened after the
        event of that number, as far as it is still known."""
        self.listeners += 1
        try:
            with self._events.subscribe(after) as told:
                yield b": wayline\nretry: 2000\n\n"
                said, dropped = time.monotonic(), 0
                while not self._draining():
                    event = await _next(told)
                    if event is not None:
                        if told.dropped != dropped:
                            yield b'event: dropped\ndata: {"events":%d}\n\n' % (told.dropped - dropped)
                            dropped = told.dropped
                        yield line(event)
                    elif time.monotonic() - said < HEARTBEAT:
                        continue
                    else:
                        yield b": still here\n\n"
                    said = time.monotonic()
        finally:
            self.listeners -= 1


async def _next(told: Subscription) -> Event | None:
    with suppress(TimeoutError):
        async with asyncio.timeout(LOOK_EVERY):
            return await anext(told)
    return None


def line(event: Event) -> bytes:
    """One event: its kind is its name, its number its id."""
    data = orjson.dumps({"at": event.at, **event.fields}, default=str)
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (event.number, event.kind.encode(), data)
