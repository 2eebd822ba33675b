"""One request at a time on one thread, a bounded number behind it, and any of them stopped when its client leaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Generic, TypeVar

from proxy.local.llama.request import Refused

T = TypeVar("T")


class Job(Generic[T]):
    """One request's turn, and what it yields. Its own loop reads; the model's thread writes."""

    def __init__(self) -> None:
        self.cancelled = False
        self._loop = asyncio.get_running_loop()
        self._items: asyncio.Queue[T | BaseException | None] = asyncio.Queue()

    def put(self, item: T | BaseException | None) -> None:
        """From the thread: an item; an exception that ends it; `None`, its end."""
        with suppress(RuntimeError):  # the loop is closed: nobody reads any more
            self._loop.call_soon_threadsafe(self._items.put_nowait, item)

    async def items(self) -> AsyncIterator[T]:
        """What was put. Raises what ended it."""
        while (item := await self._items.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item

    def cancel(self) -> None:
        """From the loop: the client has left; what runs for it is stopped, and its reader sees the end."""
        self.cancelled = True
        self._items.put_nowait(None)


class Turns:
    """The model's thread, and those who wait for it."""

    def __init__(self, waiting: int) -> None:
        """`waiting`: how many may wait besides the one whose turn it is."""
        self._most = waiting + 1
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="model")
        self.taken = 0
        """Requests whose turn has come or that wait for it."""
        self.current: Job[Any] | None = None

    def take(self, job: Job[T], work: Callable[[], Iterator[T]]) -> None:
        """Queue it up. Raises `Refused` (503) at once where the queue is full."""
        if self.taken >= self._most:
            raise Refused(503, "unavailable_error", "our queue is full")
        self.taken += 1
        turn = asyncio.get_running_loop().run_in_executor(self._thread, self._run, job, work)
        turn.add_done_callback(self._over)

    async def call(self, function: Callable[[], T]) -> T:
        """Run something on the model's thread, outside the count (loading, freeing)."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, function)

    def close(self) -> None:
        """No more turns; the thread ends after the one that runs."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _over(self, turn: asyncio.Future[None]) -> None:
        self.taken -= 1
        if not turn.cancelled():
            turn.result()

    def _run(self, job: Job[T], work: Callable[[], Iterator[T]]) -> None:
        if job.cancelled:
            return
        self.current = job
        try:
            for item in work():
                job.put(item)
            job.put(None)
        except Exception as error:  # noqa: BLE001
            # Whatever went wrong on the thread is the reader's to answer for: it becomes the request's error.
            job.put(error)
        finally:
            self.current = None
