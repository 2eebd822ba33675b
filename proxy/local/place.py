"""One local model as the engine sees it: an address when it is ready, else something to wait for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial

from proxy.core.call import Origin
from proxy.core.failure import Failure, FailureKind
from proxy.core.place import State
from proxy.local.running import Exit, Launch, Running, answers
from proxy.local.spec import CANNOT_LOAD_ENGINE, CANNOT_LOAD_MODEL

log = logging.getLogger("wayline.local")

IDLE, LOADING, READY, BACKOFF, UNAVAILABLE = "idle", "loading", "ready", "backoff", "unavailable"

LOAD_SECONDS = 300.0
"""A model that is not ready after this is ended; a large one from a cold disk takes a minute or two."""
SETTLED_SECONDS = 60.0
"""A worker that was ready for this long died of something new: the series of deaths starts again."""
POLL_SECONDS = 0.03

_REFUSALS = {
    CANNOT_LOAD_MODEL: "not available: llama.cpp cannot load the model's file (it is broken, of a kind that this "
    "version does not know, or does not fit into memory; the log says which)",
    CANNOT_LOAD_ENGINE: "not available: the llama.cpp engine is installed but cannot be imported (the log says why)",
}
_ILLEGAL = (
    "; an illegal instruction means that llama.cpp was built for another processor: "
    "CMAKE_ARGS=-DGGML_NATIVE=OFF pip install --force-reinstall --no-cache-dir llama-cpp-python"
)


class LocalPlace:
    """The `Place` of one model. It has no loop of its own: it binds to the loop that first asks for it.

    A start is shared by all who wait for it and goes on when they go away. A worker that dies while it serves is
    started again by itself, at once the first time, then with growing pauses; one that dies while it loads is
    started again when somebody asks after the pause.
    """

    def __init__(
        self,
        name: str,
        socket: str,
        launch: Launch | str,
        *,
        backoff: Callable[[int], float],
        engine: str = "",
        load_seconds: float = LOAD_SECONDS,
    ) -> None:
        """`launch` is a text where the model cannot be run here, and says why; `engine` is for `/readyz`."""
        self._name = name
        self._origin = Origin("http", "local", 0, socket)
        self._launch = launch
        self._backoff = backoff
        self._engine = engine
        self._load_seconds = load_seconds
        self._state = State(UNAVAILABLE, launch) if isinstance(launch, str) else State(IDLE, engine)
        self._run: Running | None = None
        self._starting: asyncio.Task[Origin | Failure] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._deaths = 0
        self._ready_at = 0.0
        self._retry_at = 0.0

    def origin(self) -> Origin | Awaitable[Origin | Failure]:
        """See `Place`."""
        if self._state.state == READY:
            return self._origin
        loop = asyncio.get_running_loop()
        if self._state.state == IDLE:
            self._begin()
        if self._starting is not None:
            return asyncio.shield(self._starting)
        at_once: asyncio.Future[Origin | Failure] = loop.create_future()
        at_once.set_result(self._failure())
        return at_once

    def lost(self) -> Failure | None:
        """See `Place`."""
        if self._state.state == READY:
            if self._run is None or not self._run.gone():
                return None
            self._run.kill()
            self._lose(self._run)
        return Failure(FailureKind.WORKER_CRASHED, f"the worker process of the local model {self._name} died")

    def state(self) -> State:
        """See `Place`."""
        return self._state

    def start(self) -> None:
        """Begin to load, where that has not begun (`preload`)."""
        if self._state.state == IDLE:
            self._begin()

    async def close(self) -> None:
        """End its worker. From then on it is unavailable."""
        self._state = State(UNAVAILABLE, "not available: shutting down")
        if self._timer is not None:
            self._timer.cancel()
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.wait({self._starting})
        run, self._run = self._run, None
        if run is not None:
            await run.stop()

    def _begin(self, after: Running | None = None) -> None:
        self._state = State(LOADING, self._engine)
        self._starting = asyncio.get_running_loop().create_task(self._start(after))

    async def _start(self, after: Running | None) -> Origin | Failure:
        """The one start under way; it leaves the state that follows from how it ended."""
        try:
            if after is not None:
                await asyncio.wait({after.ended})
                self._died(after.ended.result(), served=True)
                if self._state.state != LOADING:
                    return self._failure()
            return await self._load()
        except asyncio.CancelledError:
            # Only `close` cancels this task. Those who wait for it are not cancelled: they get the failure.
            return self._failure()
        finally:
            self._starting = None

    async def _load(self) -> Origin | Failure:
        assert not isinstance(self._launch, str)
        loop = asyncio.get_running_loop()
        began = loop.time()
        log.info("%s: loading (%s)", self._name, self._engine)
        try:
            run = self._launch()
        except OSError as error:
            log.error("%s: cannot start a worker: %s", self._name, error)
            self._deaths = max(self._deaths + 1, 2)
            self._pause(again=IDLE, why="it cannot be started")
            return self._failure()
        try:
            while not run.ended.done():
                if await answers(self._origin.uds):
                    return self._loaded(run, loop.time() - began)
                if loop.time() - began > self._load_seconds:
                    log.error("%s: not ready after %g s", self._name, self._load_seconds)
                    run.kill()
                await asyncio.wait({run.ended}, timeout=POLL_SECONDS)
        except asyncio.CancelledError:
            await run.stop()
            raise
        self._died(run.ended.result(), served=False)
        return self._failure()

    def _loaded(self, run: Running, seconds: float) -> Origin:
        log.info("%s: ready after %.1f s (%s)", self._name, seconds, self._engine)
        self._run = run
        self._state = State(READY, self._engine)
        self._ready_at = asyncio.get_running_loop().time()
        run.ended.add_done_callback(partial(self._ended, run))
        return self._origin

    def _ended(self, run: Running, _: asyncio.Future[Exit]) -> None:
        if run is self._run:
            self._lose(run)

    def _lose(self, run: Running) -> None:
        """The worker in use is dead or dying: its end decides what follows."""
        self._run = None
        self._begin(after=run)

    def _died(self, end: Exit, *, served: bool) -> None:
        """Take note of a death. The state stays LOADING where the next start may follow at once."""
        last = " | ".join(end.tail)
        hint = _ILLEGAL if end.reason == "SIGILL" else ""
        when = "while it served" if served else "while it loaded"
        log.error("%s: its worker died %s: %s%s%s", self._name, when, end.reason, hint, last and f"; it said: {last}")
        if end.status in _REFUSALS:
            self._state = State(UNAVAILABLE, _REFUSALS[end.status])
            return
        if served and asyncio.get_running_loop().time() - self._ready_at > SETTLED_SECONDS:
            self._deaths = 0
        # One that died before it was ready has proved nothing: its first pause is already a real one.
        self._deaths = max(self._deaths + 1, 1 if served else 2)
        self._pause(again=LOADING if served else IDLE, why=end.reason)

    def _pause(self, *, again: str, why: str) -> None:
        """Back off, and then be idle, or load again."""
        loop = asyncio.get_running_loop()
        delay = self._backoff(self._deaths)
        if delay <= 0:
            self._state = State(again, self._engine)
            return
        self._retry_at = loop.time() + delay
        self._state = State(BACKOFF, f"its worker died ({why}); the next start follows in {delay:.1f} s")
        self._timer = loop.call_later(delay, self._resume, again)

    def _resume(self, again: str) -> None:
        self._state = State(IDLE, self._engine)
        if again == LOADING:
            self._begin()

    def _failure(self) -> Failure:
        if self._state.state == UNAVAILABLE:
            return Failure(FailureKind.NOT_AVAILABLE, f"the local model {self._name} is {self._state.detail}")
        wait = max(0.0, self._retry_at - asyncio.get_running_loop().time())
        message = f"the worker process of the local model {self._name} died; it is started again soon"
        return Failure(FailureKind.WORKER_CRASHED, message, retry_after=wait)
