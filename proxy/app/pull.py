"""Models that an Ollama does not have yet are pulled, once for all who wait (`pull: true`, `wayline models pull`)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from proxy.backends.ollama_errors import OllamaErrors
from proxy.backends.ollama_pull import Progress, PullCalls, PullReader, calls
from proxy.backends.registry import origin
from proxy.config.values import Backend
from proxy.core.call import HttpCall, Origin
from proxy.core.failure import Failure, FailureKind
from proxy.core.place import State
from proxy.net.flight import Flight, Net
from proxy.net.whole import Whole

log = logging.getLogger("wayline.pull")
K = FailureKind

CHECK_EVERY = 60.0
"""Seconds after which it is asked again whether a model is still there, beside the requests."""
CHECK_WITHIN = 10.0
"""Seconds that Ollama has to say whether it is there."""
SILENT = 300.0
"""Seconds without a word after which a pull is given up. (Verifying a large layer takes a minute or two.)"""
AGAIN_AFTER = 60.0
"""Seconds after a pull that failed until the next one."""
STEP = 10
"""Percent between two lines of the log."""
RETRY_AFTER = 30.0
"""Seconds after which who waited in vain may ask again."""
CONNECT = 5.0
_MAX_BODY = 64 * 1024

Tell = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class Source:
    """One model at one backend, ready to be asked for."""

    name: str
    """`backend/model`."""
    at: Origin
    calls: PullCalls
    errors: OllamaErrors

    @staticmethod
    def of(backend: Backend, model: str) -> Source:
        """Raises `ValueError` where the backend makes no sense."""
        at = origin(backend)
        errors = OllamaErrors([at.host] if backend.base_url else [])
        return Source(f"{backend.name}/{model}", at, calls(backend, model), errors)


async def is_there(net: Net, source: Source) -> bool | Failure:
    """Does the backend have the model? A `Failure` where it cannot be asked."""
    answer = Whole(_MAX_BODY)
    ended = await _finished(net, source.at, source.calls.show, answer, CHECK_WITHIN)
    if answer.status == 0:
        return ended or Failure(K.EMPTY_REPLY, "the backend did not answer")
    if answer.status in (200, 404):
        return answer.status == 200
    return source.errors.failure(answer.status, [], answer.body)


async def pull(net: Net, source: Source, tell: Tell) -> Failure | None:
    """Pulls it, and tells how far that is whenever the backend does. Why it failed, if it did."""
    reader = PullReader(source.errors)

    def feed(data: bytes) -> None:
        reader.feed(data)
        tell(reader.progress)

    answer = Whole(_MAX_BODY, feed)
    ended = await _finished(net, source.at, source.calls.pull, answer, SILENT)
    failure = reader.failure or ended
    if answer.status not in (0, 200):
        failure = source.errors.failure(answer.status, [], answer.body)
    if failure is None and not reader.done:
        failure = Failure(K.TRUNCATED, "the backend ended the pull before it was complete", answer.status)
    return failure


async def _finished(net: Net, at: Origin, call: HttpCall, answer: Whole, silent: float) -> Failure | None:
    """Sends it and waits for its end; given up after `silent` seconds without a word."""
    flight: Flight = net.send(at, call, answer, connect=CONNECT)
    try:
        while True:
            before = answer.heard
            done, _ = await asyncio.wait({answer.ended}, timeout=silent)
            if done:
                return answer.ended.result()
            if answer.heard == before:
                return Failure(K.IDLE_TIMEOUT, "the backend says nothing any more")
    finally:
        flight.abort()


class Pulled:
    """One model that is pulled where it is missing. What waits for it shares one pull, which goes on without them."""

    def __init__(self, net: Net, source: Source) -> None:
        self._net = net
        self._source = source
        self._task: asyncio.Task[Origin | Failure] | None = None
        self._checked: float | None = None
        """When it was last seen there, on the loop's clock."""
        self._failed: tuple[float, Failure] | None = None
        """Until when no other pull is begun, and why the last one failed."""
        self._progress: Progress | None = None
        self._told = 0

    def origin(self, patience: float) -> Origin | Awaitable[Origin | Failure]:
        """See `Place`. `patience`: seconds that a pull is waited for."""
        now = asyncio.get_running_loop().time()
        if self._task is None and (self._checked is None or now > self._checked + CHECK_EVERY):
            self._task = asyncio.create_task(self._ensured())
        if self._checked is not None or self._task is None:
            return self._source.at
        return asyncio.ensure_future(self._waited(self._task, patience))

    @property
    def busy(self) -> bool:
        """It is looked for, or pulled."""
        return self._task is not None

    def state(self) -> State:
        """See `Place`."""
        if self._progress is not None:
            return State("loading", f"pulling, {self._progress}", f"{self._source.name}: pulling, {self._progress}")
        if self._failed is not None:
            return State("backoff", self._failed[1].message)
        return State("idle" if self._checked is None else "ready")

    async def close(self) -> None:
        """Give up what is under way."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _waited(self, task: asyncio.Task[Origin | Failure], patience: float) -> Origin | Failure:
        done, _ = await asyncio.wait({task}, timeout=patience)
        if task.cancelled():
            return Failure(K.DRAINING, "shutting down")
        if done:
            return task.result()
        return Failure(K.LOADING, f"the model is being pulled: {self._progress}", retry_after=RETRY_AFTER)

    async def _ensured(self) -> Origin | Failure:
        try:
            return await self._ensure()
        finally:
            self._task = None
            self._progress = None

    async def _ensure(self) -> Origin | Failure:
        loop = asyncio.get_running_loop()
        there = await is_there(self._net, self._source)
        if isinstance(there, Failure):
            return self._source.at  # the request itself meets what is wrong
        if not there:
            self._checked = None
            if self._failed is not None and loop.time() < self._failed[0]:
                return self._failed[1]
            failure = await self._pull()
            if failure is not None:
                self._failed = (loop.time() + AGAIN_AFTER, failure)
                return failure
        self._failed = None
        self._checked = loop.time()
        return self._source.at

    async def _pull(self) -> Failure | None:
        name = self._source.name
        self._told = 0
        self._progress = Progress()
        log.info("%s: pulling", name)
        failure = await pull(self._net, self._source, self._tell)
        if failure is None:
            log.info("%s: pulled", name)
            return None
        log.error("%s: cannot be pulled: %s", name, failure.message)
        kind = K.NOT_FOUND if failure.kind is K.NOT_FOUND else K.NOT_AVAILABLE
        return Failure(kind, f"the model {name} is not there and could not be pulled", failure.status)

    def _tell(self, progress: Progress) -> None:
        self._progress = progress
        percent = progress.percent or 0
        if percent >= self._told + STEP:
            self._told = percent - percent % STEP
            log.info("%s: pulling, %s", self._source.name, progress)


class PulledPlace:
    """Implements `Place` for one target. `patience`: seconds that it waits for a pull."""

    __slots__ = ("_patience", "_pulled")

    def __init__(self, pulled: Pulled, patience: float) -> None:
        self._pulled = pulled
        self._patience = patience

    def origin(self) -> Origin | Awaitable[Origin | Failure]:
        return self._pulled.origin(self._patience)

    def lost(self) -> None:
        return None

    def state(self) -> State:
        return self._pulled.state()


class Pulls:
    """All models that may be pulled. It outlives a configuration: a pull goes on over a reload."""

    def __init__(self, net: Net | None = None) -> None:
        """Without a `net` nothing is pulled: it is only looked at what a configuration says."""
        self._net = net
        self._known: dict[tuple[str, str], tuple[Backend, Pulled]] = {}
        self._old: list[Pulled] = []

    def place(self, backend: Backend, model: str, first: float) -> PulledPlace | None:
        """For a target of this backend whose first content may take `first` seconds; `None`: it does not pull."""
        if self._net is None or backend.type != "ollama" or not backend.options.get("pull"):
            return None
        before = self._known.get((backend.name, model))
        if before is not None and before[0] == backend:
            pulled = before[1]
        else:
            pulled = Pulled(self._net, Source.of(backend, model))
            self._known[backend.name, model] = (backend, pulled)
            self._old = [old for old in (*self._old, *([before[1]] if before else ())) if old.busy]
        # It gives up before the target's own time is over: that it is not there yet is no fault of the target.
        return PulledPlace(pulled, max(first - 1.0, first / 2))

    async def close(self) -> None:
        """Give up what is under way."""
        for pulled in (*self._old, *(pulled for _, pulled in self._known.values())):
            await pulled.close()
