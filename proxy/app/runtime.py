"""One process's Wayline: what lives as long as the process, and the configuration in force."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from proxy.app.desk import Desk, build, unchanged
from proxy.config.values import Config
from proxy.config.watch import Watched, changed, watch
from proxy.engine.engine import Engine
from proxy.local.models import LocalModels

LOOK_EVERY = 1.0
"""Seconds between two looks at the configuration's file."""
LET_GO = 0.5
"""Seconds between two looks at whether a replaced local model is still in use."""


class Say(Protocol):
    """Writes an event line to the log."""

    def __call__(self, level: str, name: str, /, **fields: object) -> None: ...


Load = Callable[[], "tuple[Config, str | None] | str"]
"""Loads the configuration anew: it, and a warning if there is one; or why it cannot be used."""


class Runtime:
    """Holds the `desk` in force. `on_desk` is told of each new one."""

    def __init__(
        self, desk: Desk, engine: Engine, say: Say, load: Load, on_desk: Callable[[Desk], None] | None = None
    ) -> None:
        self.desk = desk
        self.engine = engine
        self.reload_error = ""
        """Why the last reload changed nothing; empty when it did not fail."""
        self.reloads = {True: 0, False: 0}
        """How many reloads went well, and how many did not."""
        self._say = say
        self._load = load
        self._on_desk = on_desk
        self._tasks: set[asyncio.Task[None]] = set()
        self._reloading = asyncio.Lock()

    async def start(self) -> None:
        """Begin to load what is to be preloaded, and to watch the configuration's file."""
        for models in self.desk.local.values():
            await models.start()
        self._load_tokenizers(self.desk)
        if self.desk.config.source:
            path = Path(self.desk.config.source)
            self._begin(self._watch(path, watch(path)))

    async def close(self) -> None:
        """Stop the watching, the local models, and what is being pulled."""
        for task in self._tasks:
            task.cancel()
        for task in list(self._tasks):
            with contextlib.suppress(asyncio.CancelledError):
                await task
        desk = self.desk
        await asyncio.gather(*(models.close() for models in desk.local.values()), desk.pulls.close(), desk.free.close())

    def reload_soon(self) -> None:
        """Load the configuration's file again (SIGHUP)."""
        self._begin(self.reload())

    async def reload(self) -> None:
        """Build and check the new configuration beside the old one, and swap; a bad file changes nothing."""
        async with self._reloading:
            loaded = await asyncio.to_thread(self._load)
            if isinstance(loaded, str):
                self._refuse(loaded)
                return
            config, warning = loaded
            if warning:
                self._say("warning", "config.prices", reason=warning)
            before = self.desk
            config = self._with_files_of(before.config, config)
            try:
                after = build(config, int(time.time()), before)
            except ValueError as error:
                self._refuse(f"{config.source}: {error}")
                return
            self._swap(before, after)

    def _refuse(self, reason: str) -> None:
        self.reload_error = reason
        self.reloads[False] += 1
        self._say("error", "config.rejected", reason=reason)

    def _swap(self, before: Desk, after: Desk) -> None:
        self.desk = after
        self._load_tokenizers(after)
        self.reload_error = ""
        self.reloads[True] += 1
        self.engine.forget(_changed_targets(before.config, after.config))
        if self._on_desk is not None:
            self._on_desk(after)
        for name, models in after.local.items():
            if before.local.get(name) is not models:
                self._begin(models.start())
        for name, models in before.local.items():
            if after.local.get(name) is not models:
                self._begin(self._retire(name, models))
        self._say("info", "config.loaded", routes=len(after.config.routes), source=after.config.source)
        if before.config.listen != after.config.listen:
            self._say("warning", "config.restart_needed", reason="`listen` changes only with a restart")
        if before.config.store != after.config.store:
            self._say("warning", "config.restart_needed", reason="`store` changes only with a restart")

    def _with_files_of(self, before: Config, config: Config) -> Config:
        """The databases that are open stay those in force, so that all parts speak of the same ones."""
        if (before.ledger, before.why) != (config.ledger, config.why):
            self._say("warning", "config.restart_needed", reason="`ledger` changes only with a restart")
        if before.state != config.state:
            self._say("warning", "config.restart_needed", reason="`state` changes only with a restart")
        return replace(config, ledger=before.ledger, why=before.why, state=before.state)

    def _load_tokenizers(self, desk: Desk) -> None:
        loop = asyncio.get_running_loop()

        def say(reason: str) -> None:
            with contextlib.suppress(RuntimeError):  # we have stopped meanwhile
                loop.call_soon_threadsafe(lambda: self._say("warning", "tokenizers", reason=reason))

        desk.tokenizers.load_soon(say)

    async def _retire(self, backend: str, models: LocalModels) -> None:
        """Running requests finish on what they began with."""
        places = set(models.places.values())
        live = self.engine.live
        # An event would have to be set at every exchange's end, for a thing that happens once a week.
        while any(lane.place in places for one in live for lane in one.road.lanes.values()):  # noqa: ASYNC110
            await asyncio.sleep(LET_GO)
        self._say("info", "local.retired", backend=backend)
        await models.close()

    async def _watch(self, path: Path, seen: Watched) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY)
            seen, again = changed(seen, path)
            if again:
                await self.reload()

    def _begin(self, work: Coroutine[object, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _changed_targets(before: Config, after: Config) -> list[str]:
    """Targets of which what was learnt no longer holds: their backend has another key, address or model."""
    names: set[str] = set()
    for config, other in ((before, after), (after, before)):
        for route in config.routes.values():
            names.update(t.name for t in route.targets if not unchanged(other, config.backends[t.backend]))
    return sorted(names)
