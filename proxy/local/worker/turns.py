"""As many requests at a time as the engine has slots, a bounded number behind them; each ends when its client goes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from proxy.local.worker.engine import Cancelled, Turn
from proxy.local.worker.request import Refused


class Job:
    """One request's turn, and the pieces that it gives. Its own loop reads; the engine's thread writes."""

    def __init__(self) -> None:
        self.gone = False
        self._loop = asyncio.get_running_loop()
        self._pieces: asyncio.Queue[bytes | Exception | None] = asyncio.Queue()

    def put(self, piece: bytes | Exception | None) -> None:
        """From the thread: a piece; an exception that ends it; `None`, its end."""
        with suppress(RuntimeError):  # the loop is closed: nobody reads any more
            self._loop.call_soon_threadsafe(self._pieces.put_nowait, piece)

    async def pieces(self) -> AsyncIterator[bytes]:
        """What was put. Raises what ended it."""
        while (piece := await self._pieces.get()) is not None:
            if isinstance(piece, Exception):
                raise piece
            yield piece

    def cancel(self) -> None:
        """From the loop: the client has left, so what runs for it is stopped and its reader wakes."""
        self.gone = True
        self._pieces.put_nowait(Cancelled())


class Turns:
    """The engine's threads, and those who wait for one."""

    def __init__(self, slots: int, queue: int) -> None:
        self._most = slots + queue
        self._threads = ThreadPoolExecutor(max_workers=slots, thread_name_prefix="slot")
        self._taken = 0
        self.running = 0
        """How many slots are at work (counted on the threads: a moment's truth)."""

    def take(self, turn: Turn) -> Job:
        """Queue it up. Raises `Refused` (503) at once where the queue is full."""
        if self._taken >= self._most:
            raise Refused(503, "unavailable_error", "our queue is full")
        self._taken += 1
        job = Job()
        asyncio.get_running_loop().run_in_executor(self._threads, self._run, job, turn).add_done_callback(self._over)
        return job

    async def close(self) -> None:
        """Wait for what runs; what waits is dropped."""
        await asyncio.to_thread(self._threads.shutdown, wait=True, cancel_futures=True)

    def _over(self, ended: asyncio.Future[None]) -> None:
        self._taken -= 1
        if not ended.cancelled():
            ended.result()

    def _run(self, job: Job, turn: Turn) -> None:
        if job.gone:
            return
        self.running += 1
        try:
            turn.run(lambda: job.gone, job.put)
            job.put(None)
        except Exception as error:  # noqa: BLE001
            # Whatever went wrong on the thread is the reader's to answer for: it becomes the request's error.
            job.put(error)
        finally:
            self.running -= 1
