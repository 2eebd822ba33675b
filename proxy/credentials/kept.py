"""Something that is valid for a while: fetched when it is needed, renewed in the background before it ends."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from math import inf
from typing import Generic, TypeVar

from proxy.core.failure import Failure, FailureKind

RETRY = 10.0
"""Seconds between two tries to fetch, after one that failed."""
_EARLY = 300.0
_EARLY_SHARE = 0.2
"""It is renewed so many seconds, or so much of its life, before it ends: whichever is less."""
_SKEW_SHARE = 0.02
"""So much of its life is not used at its end: clocks differ, and the call takes time to arrive."""

log = logging.getLogger("wayline.credentials")

T = TypeVar("T")


class Lease(Generic[T]):
    """A value with its times (Unix, seconds): from `renew` on a new one is fetched, at `ends` it is void.

    No form of it prints the value.
    """

    __slots__ = ("ends", "renew", "value")

    def __init__(self, value: T, *, renew: float, ends: float) -> None:
        self.value = value
        self.renew = renew
        self.ends = ends

    def __repr__(self) -> str:
        return f"Lease(renew={self.renew}, ends={self.ends})"


def until(value: T, ends: float, now: float) -> Lease[T]:
    """A lease on what is valid until `ends`."""
    life = max(ends - now, 0.0)
    return Lease(value, renew=ends - min(_EARLY, life * _EARLY_SHARE), ends=ends - life * _SKEW_SHARE)


def refused(why: str, retry_after: float = RETRY) -> Failure:
    """There is no credential. `why` is for the caller's eyes: no path, no command, no secret."""
    return Failure(
        FailureKind.KEY_REFUSED, f"Wayline has no credential for this backend: {why}", retry_after=retry_after
    )


class Always(Generic[T]):
    """What never ends, in the form of a fetch."""

    def __init__(self, value: T) -> None:
        self._value = value

    async def __call__(self) -> Lease[T]:
        return Lease(self._value, renew=inf, ends=inf)


class Kept(Generic[T]):
    """One value for all requests of a backend; at most one fetch at a time."""

    def __init__(
        self,
        fetch: Callable[[], Awaitable[Lease[T] | Failure]],
        clock: Callable[[], float] = time.time,
        name: str = "a backend",
    ) -> None:
        """`fetch` gives a failure instead of raising. `name`: whose it is, for the log."""
        self._fetch = fetch
        self._clock = clock
        self._name = name
        self._lease: Lease[T] | None = None
        self._failed: Failure | None = None
        self._not_before = 0.0
        self._renewal: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"Kept({self._lease!r})"

    def get(self) -> T | None:
        """The value, if there is a valid one; a renewal that is due is begun, and not waited for."""
        lease, now = self._lease, self._clock()
        if lease is None or now >= lease.ends:
            return None
        if now >= lease.renew and now >= self._not_before and self._renewal is None:
            self._begin()
        return lease.value

    async def wait(self) -> T | Failure:
        """The value as soon as there is one. Whoever waits may give up: the fetch goes on for the others."""
        now = self._clock()
        if self._renewal is None and self._failed is not None and now < self._not_before:
            return self._failed._replace(retry_after=self._not_before - now)
        await asyncio.shield(self._renewal or self._begin())
        value = self.get()
        return value if value is not None else self._failed or refused("it was void when it came")

    def _begin(self) -> asyncio.Task[None]:
        self._renewal = asyncio.get_running_loop().create_task(self._renew())
        return self._renewal

    async def _renew(self) -> None:
        """Returns nothing, since a finished task prints its result."""
        try:
            got = await self._fetch()
        finally:
            self._renewal = None
        if isinstance(got, Failure):
            self._failed = got
            self._not_before = self._clock() + RETRY
            log.warning("%s: %s", self._name, got.message)
        else:
            self._lease, self._failed, self._not_before = got, None, 0.0
