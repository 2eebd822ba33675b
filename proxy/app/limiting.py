"""Limits and the queue in a process: which hold now, and what the metrics tell of them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Protocol

from proxy.config.values import Config
from proxy.core.limiting.values import WEIGHTS, Limits, Rate
from proxy.core.limiting.window import Fixed, Window, window_of
from proxy.engine.admission import Admission
from proxy.engine.engine import Engine
from proxy.engine.gate import Gates
from proxy.engine.limiter import Limiter, Terms
from proxy.engine.tally import STEP, Tally
from proxy.engine.windows_kept import KeptWindows
from proxy.ledger.stats import Say
from proxy.ops.metrics_gauges import Gauge
from proxy.state.state import State


class Key(Protocol):
    """What a caller's key may do."""

    @property
    def limits(self) -> Limits: ...

    @property
    def weight(self) -> float: ...


class Callers(Protocol):
    """Who may call. `of`: what the key of that name may do. `on_change`: told when some of that changes."""

    on_change: list[Callable[[], None]]

    def of(self, name: str) -> Key: ...

    def all(self) -> Iterable[Key]: ...


class Limiting:
    """Brings limits into force as soon as there is one, and keeps them so."""

    def __init__(
        self,
        config: Config,
        engine: Engine,
        callers: Callers,
        gates: Gates,
        say: Say,
        shared: Path | None = None,
        state: State | None = None,
    ) -> None:
        """`shared`: a directory that all workers of a server share. `state`: where windows outlive the process."""
        self._gates = gates
        self._config = config
        self._engine = engine
        self._callers = callers
        self._say = say
        self._shared = shared
        self._state = state
        self._kept: KeptWindows | None = None
        self._epoch = 0.0
        """What the engine's clock shows less Unix time."""
        self._tally: Tally | None = None
        self._limiter: Limiter | None = None
        self._left: Counter[tuple[str, str]] = Counter()
        self._waited = dict.fromkeys(WEIGHTS, 0.0)
        callers.on_change.append(self._changed)
        self.adopt(config)

    def adopt(self, config: Config) -> None:
        """The configuration that is in force from now on."""
        self._config = config
        self._put()
        self.look_at_clock()
        if self._limiter is not None:
            self._limiter.adopt(terms_of(config))

    def close(self) -> None:
        """At the end, when nothing is under way."""
        if self._tally is not None:
            self._tally.close()

    def look_at_clock(self) -> None:
        """Fixed windows go by the wall clock, which may have been set, or have gone on while the machine slept. To be
        called now and then."""
        now = time.monotonic()
        epoch = now - time.time()
        if self._limiter is None or abs(epoch - self._epoch) <= STEP:
            return
        self._epoch = epoch
        if self._kept is not None:
            self._kept.moved(epoch)
        if self._tally is not None:
            self._tally.moved(epoch)
        for _, window in self._limiter.windows():
            if isinstance(window, Fixed):
                window.moved(epoch, now)
        self._limiter.changed()

    def keep(self) -> Iterator[None]:
        """What windows hold is kept for the next process, in steps."""
        if self._kept is not None and self._limiter is not None:
            yield from self._kept.save(self._limiter.windows())

    def drain(self) -> None:
        """The process is about to end: those who wait are told at once."""
        if self._limiter is not None:
            self._limiter.waiting.drain()

    def _changed(self) -> None:
        self._put()
        if self._limiter is not None:
            self._limiter.changed()

    def _put(self) -> None:
        """What is not configured costs nothing; what once was stays, so that what is held is given back."""
        if self._limiter is not None or not (
            limits_anything(self._config) or any(key.limits for key in self._callers.all())
        ):
            return
        engine = self._engine
        if engine.admission is None:
            engine.admission = Admission()
        self._epoch = time.monotonic() - time.time()
        tally = self._joined(self._epoch)
        if self._state is not None:
            self._kept = KeptWindows(self._state, self._epoch)
            if tally is not None:
                tally.recall = self._kept.of

        def opened(whose: str, rate: Rate) -> Window:
            window = window_of(rate, self._epoch)
            if self._kept is not None:
                window.put(self._kept.of(whose, rate), time.monotonic())
            return window

        self._limiter = engine.admission.limiter = Limiter(
            engine.admission, self._of_key, engine.closed, engine.trouble, tally, opened
        )
        self._limiter.adopt(terms_of(self._config))
        self._limiter.waiting.on_left = self._note

    def _joined(self, epoch: float) -> Tally | None:
        """What is counted together with the other workers; `None`: there are none, or it cannot be."""
        if self._shared is not None:
            try:
                self._tally = Tally(self._shared, epoch)
            except OSError as error:
                self._say("warning", "limits.not_shared", reason=f"each worker counts for itself: {error}")
        return self._tally

    def _of_key(self, name: str) -> tuple[Limits, float]:
        key = self._callers.of(name)
        return key.limits, key.weight

    def _note(self, priority: str, seconds: float, how: str) -> None:
        self._left[priority, how] += 1
        self._waited[priority] += seconds

    def near(self, now: float) -> Iterable[tuple[str, float]]:
        """Of everything that has limits, the share of that one of which most is used."""
        return () if self._limiter is None else self._limiter.near(now)

    def readings(self) -> Iterator[Gauge]:
        """For the metrics: who waits, and the limits that are found."""
        limiter = self._limiter
        if limiter is None:
            return
        depth = "Requests that wait for a place or a limit."
        waited = "Seconds that requests have waited in all."
        left = "Requests that waited, by what became of them."
        for priority in WEIGHTS:
            label = ("priority", priority)
            yield Gauge("wayline_queue_depth", depth, float(limiter.waiting.depth(priority)), (label,))
            yield Gauge("wayline_queue_seconds", waited, self._waited[priority], (label,), total=True)
        for priority in WEIGHTS:
            for how in ("served", "late", "left", "drained"):
                labels = (("priority", priority), ("ended", how))
                yield Gauge("wayline_queue_requests", left, float(self._left[priority, how]), labels, total=True)
        now = time.monotonic()
        used = "The most that is used of a limit of this target's, or of its backend's: 1 is all of it."
        for name, share in limiter.used(now):
            yield Gauge("wayline_limit_used_ratio", used, share, (("subject", name),), "max")
        found = "Requests in flight that a target or backend is found to carry."
        for name, limit in self._gates.found():
            yield Gauge("wayline_concurrency_limit", found, float(limit), (("subject", name),), "max")


def terms_of(config: Config) -> Terms:
    """Those of all, of backends and of targets: routes carry their own."""
    targets = {target.name: target.rates for route in config.routes.values() for target in reversed(route.targets)}
    return Terms(
        all=config.limits,
        backends={name: backend.rates for name, backend in config.backends.items() if backend.rates},
        targets={name: rates for name, rates in targets.items() if rates},
        adapts=any(backend.adaptive is not None for backend in config.backends.values())
        or any(target.adaptive is not None for route in config.routes.values() for target in route.targets),
    )


def limits_anything(config: Config) -> bool:
    """Something in it besides its keys needs a limiter: else requests do without one."""
    routes = config.routes.values()
    backends = config.backends.values()
    return (
        bool(config.limits)
        or any(backend.rates or backend.adaptive for backend in backends)
        or any(route.limits or route.queue is not None for route in routes)
        or any(target.rates or target.adaptive for route in routes for target in route.targets)
    )
