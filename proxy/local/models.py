"""The local models of one backend."""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
import shutil
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from proxy.config.values import Backend, LocalModel
from proxy.core.place import Place
from proxy.local.backoff import Backoff
from proxy.local.find import Unusable, find_engine, find_model
from proxy.local.place import LOAD_SECONDS, LocalPlace
from proxy.local.process import WorkerProcess
from proxy.local.running import Running
from proxy.local.spec import WorkerSpec

log = logging.getLogger("wayline.local")

_LONGEST_SOCKET = 100
"""A Unix socket's path takes 104 bytes on macOS and 108 on Linux, the last of them 0 (unix(7))."""


class LocalModels:
    """Made without a running loop, and without starting anything: what cannot be run says so in `state()`."""

    def __init__(
        self,
        backend: Backend,
        *,
        backoff: Callable[[int], float] | None = None,
        load_seconds: float = LOAD_SECONDS,
    ) -> None:
        """`backoff`: seconds to wait after so many deaths in a row; the default is `Backoff`."""
        self._backend = backend
        self._directory = _Private()
        self._backoff = backoff or Backoff(random.Random())
        self._places = {
            name: self._place(index, model, load_seconds)
            for index, (name, model) in enumerate(sorted(backend.models.items()))
        }

    @property
    def places(self) -> Mapping[str, Place]:
        """By the model's name."""
        return dict(self._places)

    async def start(self) -> None:
        """Begin to load what is to be `preload`ed, without waiting for it."""
        for name, place in self._places.items():
            if self._backend.models[name].preload:
                place.start()

    async def close(self) -> None:
        """End all workers: with SIGTERM, those that are still there 2 s later with SIGKILL."""
        await asyncio.gather(*(place.close() for place in self._places.values()))
        self._directory.remove()

    def _place(self, index: int, model: LocalModel, load_seconds: float) -> LocalPlace:
        name = f"{self._backend.name}/{model.name}"
        try:
            found = find_engine(self._backend.engine)
            file = find_model(model)
            socket = str(self._directory.path / f"{index}.sock")
        except Unusable as unusable:
            log.warning("%s: %s", name, unusable)
            return LocalPlace(name, "", str(unusable), backoff=self._backoff)
        apart = self._backend.isolation == "process"
        spec = WorkerSpec.of(model, engine=found.name, file=str(file), socket=socket)
        engine = f"engine {found.name} {found.version}, {'in a worker process' if apart else 'inside this process'}"
        log.info("%s: %s", name, engine)
        return LocalPlace(
            name,
            socket,
            partial(self._launch, spec),
            backoff=self._backoff,
            engine=engine,
            load_seconds=load_seconds,
        )

    def _launch(self, spec: WorkerSpec) -> Running:
        self._directory.make()
        if self._backend.isolation == "process":
            return WorkerProcess(spec)
        from proxy.local.inside import InsideThread  # brings the worker's server, which serving alone does not need

        return InsideThread(spec)


class _Private:
    """The directory of the sockets. Its name is fixed at once, it is made at the first use, and it is ours alone."""

    def __init__(self) -> None:
        self._made = False
        self._path: Path | None = None

    @property
    def path(self) -> Path:
        """Raises `Unusable` where this machine has no place for temporary files."""
        if self._path is None:
            name = f"wayline-{secrets.token_hex(8)}"
            try:
                path = Path(tempfile.gettempdir()) / name
            except OSError as error:
                raise Unusable(f"not available: no directory for temporary files ({error.strerror})") from None
            too_long = len(str(path)) > _LONGEST_SOCKET - len("/999.inner.sock")
            self._path = Path("/tmp") / name if too_long else path
        return self._path

    def make(self) -> None:
        """Raises `OSError`."""
        if not self._made:
            self.path.mkdir(mode=0o700)  # fails where somebody made it before us
            self._made = True

    def remove(self) -> None:
        """With the sockets that killed workers left behind."""
        if self._made:
            shutil.rmtree(self.path, ignore_errors=True)
            self._made = False
