"""What happens in this process, told to whoever listens: a failover, a circuit, an alert, a reload. No prompt, no
answer and no key is ever in it.

    events.tell("circuit", target="openai/gpt-5", state="open")

    with events.subscribe() as told:
        async for event in told: ...

Kinds and their fields:

| kind | fields |
|---|---|
| `failover` | `request`, `route`, `target` (the one that served, or the last one tried), `attempts`, `ended` |
| `circuit` | `target`, `state` (`open`, `closed`), and where it opened `cause`, `for_s` |
| `key_rests` | `backend`, `key` (four digits of its SHA-256), `cause`, `for_s` |
| `reload` | `ok`, and `routes` or `reason` |
| `model_loaded`, `model_lost` | `target`: a model that we run can be used, or no longer can |
| `alert` | `alert` (its kind), `subject`, `state` (`raised`, `cleared`), `message`, and what it is about |
| `target` | `target`, `state` (`cooled`, `restored`) by hand, and where it cools `for_s` |
| `key` | `name`, `state` (`added`, `rotated`, `revoked`) by the admin API |
| `probe` | `target`, `ok`, `ms`, `cause` where it was not |
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Mapping
from typing import NamedTuple

KEPT = 200
"""Events that one who comes later, or comes again, still gets."""
WAITING = 256
"""Events that wait for a slow listener: beyond it the oldest are dropped, and counted."""


class Event(NamedTuple):
    """One thing that happened."""

    number: int
    """One higher for each event of this process, from 1."""
    at: float
    """Unix time in seconds."""
    kind: str
    fields: Mapping[str, object]
    """Texts, numbers, truth values: what JSON can say."""


class Subscription:
    """An iterator of events as they come. `close` ends it, also for one who waits in it."""

    def __init__(self, events: Events, most: int) -> None:
        self.dropped = 0
        """Events that this listener was too slow for."""
        self._events = events
        self._waiting: deque[Event] = deque(maxlen=most)
        self._awake = asyncio.Event()
        self._open = True

    def close(self) -> None:
        """No more of it."""
        self._open = False
        self._events.leave(self)
        self._awake.set()

    def put(self, event: Event) -> None:
        """One more, in place of the oldest where there is no room."""
        if len(self._waiting) == self._waiting.maxlen:
            self.dropped += 1
        self._waiting.append(event)
        self._awake.set()

    def __enter__(self) -> Subscription:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> Event:
        while not self._waiting:
            if not self._open:
                raise StopAsyncIteration
            self._awake.clear()
            await self._awake.wait()
        return self._waiting.popleft()


class Events:
    """One for each process. To be used on the event loop's thread."""

    def __init__(self) -> None:
        self._listeners: set[Subscription] = set()
        self._kept: deque[Event] = deque(maxlen=KEPT)
        self._number = 0

    def tell(self, kind: str, **fields: object) -> None:
        """It happened just now. Never blocks and never raises."""
        self._number += 1
        event = Event(self._number, time.time(), kind, fields)
        self._kept.append(event)
        for one in self._listeners:
            one.put(event)

    def subscribe(self, after: int | None = None, *, most: int = WAITING) -> Subscription:
        """What happens from now on; with `after`, first what happened after the event of that number, as far as it is
        still known. To be closed."""
        told = Subscription(self, most)
        if after is not None:
            for event in self._kept:
                if event.number > after:
                    told.put(event)
        self._listeners.add(told)
        return told

    def leave(self, subscription: Subscription) -> None:
        """It listens no more."""
        self._listeners.discard(subscription)
