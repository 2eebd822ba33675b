"""OpenRouter's models that cost nothing (`free_only`), by its own list, which is asked again every hour."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable

from proxy.app.listing import asked
from proxy.backends.listing import listing
from proxy.backends.openrouter_models import free_models, free_variant
from proxy.backends.registry import origin
from proxy.config.values import Backend
from proxy.core.call import HttpCall, Origin
from proxy.core.dialect import Malformed
from proxy.core.failure import Failure, FailureKind
from proxy.core.place import State
from proxy.net.flight import Net

log = logging.getLogger("wayline.free")

EVERY = 3600.0
"""Seconds between two lists, as long as anybody asks."""
AGAIN = 60.0
"""Seconds until a list that could not be had is asked for again."""


class FreeList:
    """What one backend gives for nothing. Until its list is there, names are all that is known."""

    def __init__(self, net: Net, name: str, at: Origin, call: HttpCall) -> None:
        self.at = at
        self.known: frozenset[str] | None = None
        self._net = net
        self._name = name
        self._call = call
        self._due = 0.0
        self._task: asyncio.Task[None] | None = None

    def look(self) -> None:
        """Ask for the list anew where the last one is old; nobody waits for it."""
        now = asyncio.get_running_loop().time()
        if self._task is None and now >= self._due:
            self._due = now + EVERY
            self._task = asyncio.create_task(self._ask())

    async def close(self) -> None:
        """Give up what is under way."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _ask(self) -> None:
        try:
            body = await asked(self._net, self.at, self._call)
            found = body if isinstance(body, str) else free_models(body)
        except Malformed as error:
            found = str(error)
        finally:
            self._task = None
        if isinstance(found, str):
            self._due = asyncio.get_running_loop().time() + AGAIN
            log.warning("%s: no list of free models: %s", self._name, found)
        else:
            self.known = found


class FreePlace:
    """Implements `Place` for one target: open as long as its model costs nothing."""

    __slots__ = ("_list", "_model")

    def __init__(self, list_: FreeList, model: str) -> None:
        """Raises `ValueError` for a model that has no free variant by its name."""
        self._list = list_
        self._model = free_variant(model)

    def origin(self) -> Origin | Awaitable[Origin | Failure]:
        self._list.look()
        reason = self._reason()
        return self._list.at if not reason else _refused(Failure(FailureKind.NOT_FOUND, reason))

    def lost(self) -> None:
        return None

    def state(self) -> State:
        reason = self._reason()
        return State("unavailable", reason) if reason else State("ready")

    def _reason(self) -> str:
        known = self._list.known
        return "" if known is None or self._model in known else f"OpenRouter has no {self._model}, or not for nothing"


def _refused(failure: Failure) -> asyncio.Future[Origin | Failure]:
    found: asyncio.Future[Origin | Failure] = asyncio.get_running_loop().create_future()
    found.set_result(failure)
    return found


class FreeLists:
    """All of a process, by backend. They outlive a configuration."""

    def __init__(self, net: Net | None = None) -> None:
        """Without a `net` no list is asked for."""
        self._net = net
        self._known: dict[str, tuple[Backend, FreeList]] = {}

    def place(self, backend: Backend, model: str) -> FreePlace | None:
        """For a target of this backend; `None`: its models may cost money, or the request names the model."""
        if self._net is None or backend.type != "openrouter" or not backend.options.get("free_only") or not model:
            return None
        before = self._known.get(backend.name)
        if before is None or before[0] != backend:
            call = listing(backend)
            if call is None:
                return None
            before = self._known[backend.name] = (backend, FreeList(self._net, backend.name, origin(backend), call))
        return FreePlace(before[1], model)

    async def close(self) -> None:
        """Give up what is under way."""
        for _, list_ in self._known.values():
            await list_.close()
