"""One serving process, put together."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Protocol

from starlette.applications import Starlette

from proxy.app.admin import site as admin_site
from proxy.app.admin_act import Orders
from proxy.app.by_hand import ByHand
from proxy.app.callers import Callers
from proxy.app.desk import Desk, build
from proxy.app.gauges import readings
from proxy.app.limiting import Limiting
from proxy.app.rating import Rating
from proxy.app.runtime import Load, Runtime
from proxy.app.spending import Spending, past_of
from proxy.app.view import ERRORS, RuntimeView
from proxy.app.watching import Watching
from proxy.config.values import Config
from proxy.core.health import Health
from proxy.core.secret import Secret
from proxy.engine.engine import Engine, Observer
from proxy.engine.events import Events
from proxy.engine.keys import BackendKey
from proxy.engine.learnt import Learnt
from proxy.engine.vitals import Vitals
from proxy.inbound.responses_kept import KeptResponses
from proxy.inbound.way import Api
from proxy.inbound.ways import WAYS
from proxy.ledger.null import NullLedger
from proxy.ledger.prune import Kept
from proxy.ledger.sqlite import SqliteLedger, open_ledger
from proxy.ledger.stats import Say
from proxy.net.httpnet import HttpNet
from proxy.net.proxies import proxies_from
from proxy.net.settings import NetSettings
from proxy.ops.feedback import FeedbackPage
from proxy.ops.kept import KeptPages
from proxy.ops.log import Log
from proxy.ops.metrics import Metrics, series, warm
from proxy.ops.metrics_gauges import Gauge
from proxy.ops.site import Site
from proxy.state.key_table import KeyTable
from proxy.state.state import State
from proxy.store.sqlite import SqliteStore
from proxy.wire.door import Draining
from proxy.wire.front import Front

PUBLISH_EVERY = 2.0
"""Seconds between two looks that other workers get at this one's gauges."""
KEEP_EVERY = 30.0
"""Seconds after which what was learnt is kept, so that a crash costs no more."""
LOOK_EVERY = 1.0
"""Seconds between two looks at what became of callers' keys."""


class Book(Observer, Protocol):
    """A log."""

    def event(self, level: str, name: str, /, **fields: object) -> None: ...

    def hide(self, secrets: Iterable[str]) -> None: ...


class Process:
    """The parts of one process. `app` and `endpoints` are what the guarded server serves."""

    def __init__(
        self, config: Config, environ: Mapping[str, str], log: Book, load: Load, *, shared: Path | None = None
    ) -> None:
        """`shared`: a directory that all workers of a server share, for their metrics, limits and budgets.

        Raises `LedgerError`, `StateError`, `StoreError` where a database cannot be opened, `ValueError` for a proxy
        variable or a backend that makes no sense, `OSError` where `shared` cannot be written.
        """
        self.log = log
        self.environ = environ
        self.started_at = time.time()
        self.orders: Orders | None = None
        """What reaches all workers; `None` where we are part of another program."""
        self.draining = Draining()
        self.net = HttpNet(NetSettings(proxies=proxies_from(environ)))
        self.state = State(config.state, log.event) if config.state else None
        keys = None if self.state is None else KeyTable(self.state)
        past = past_of(config, keys)
        self.ledger: SqliteLedger | NullLedger
        self.ledger = _ledger(config, log.event)
        self.metrics = Metrics(series(config), self._readings, shared)
        self.events = Events()
        vitals = Vitals(self.events, self.state)
        self.engine = Engine(self.net, self.ledger, (self.metrics, log, vitals))
        self.watching = Watching(
            self.net, self.engine, vitals, self.events, log.event, self.state, lambda: self.draining.active, shared
        )
        self._learnt = Learnt(self.engine.choices, self.state) if self.state else None
        self.engine.on_circuit = self._circuit
        self.engine.on_key = self._key
        desk = build(config, int(time.time()), net=self.net, keys=keys)
        self.runtime = Runtime(desk, self.engine, self._say, load, self._adopt)
        self.watching.adopt(desk)
        self.callers = Callers(self.engine, keys)
        self.callers.adopt(config.keys)
        self.spending = Spending(config, self.engine, self.callers, log.event, past, shared)
        self.spending.on_passed = self.watching.passed
        self.limiting = Limiting(config, self.engine, self.callers, desk.gates, log.event, shared, self.state)
        self.watching.limits = self.limiting.near
        self.rating = Rating(
            lambda: self.runtime.desk.config,
            self.engine,
            lambda name: self.runtime.desk.roads.within(name),
            self.watching.alerts.note,
            log.event,
            self.state,
        )
        self.by_hand = ByHand(self.engine, self.events, self.state, lambda: self.runtime.desk.roads)
        self.draining.on_begin = self.limiting.drain
        self.store = SqliteStore(config.store.path, config.store.days, log.event) if config.store else None
        self.ways: Mapping[str, Api]
        self.ways = WAYS if self.store is None else {**WAYS, "/responses": KeptResponses(self.store)}
        self.endpoints = Front(self.engine, lambda: self.runtime.desk, self.ways).endpoints()
        self.app = self._site()
        log.hide(secrets(config))

    def _site(self) -> Starlette:
        """What is not hot."""
        view = RuntimeView(self.runtime, self.draining, self.metrics.render)
        app = Site(view).app(lambda _: self.running(), ERRORS)
        app.router.routes += FeedbackPage(self.rating.take, view.caller).routes()
        if self.store is not None:
            app.router.routes += KeptPages(self.store, view.caller).routes()
        app.router.routes.append(admin_site(self).route())
        return app

    def unavailable(self) -> Iterator[str]:
        """Each local model that cannot be run, and why."""
        for backend, models in self.runtime.desk.local.items():
            for name, place in models.places.items():
                stands = place.state()
                if stands.state == "unavailable":
                    yield f"{backend}/{name}: {stands.detail}"

    def _readings(self) -> Iterable[Gauge]:
        stats = self.ledger.stats if isinstance(self.ledger, SqliteLedger) else None
        return chain(
            readings(self.runtime, self.net, stats),
            self.limiting.readings(),
            self.watching.readings(),
            self.rating.readings(),
        )

    def _adopt(self, desk: Desk) -> None:
        self.metrics.relayout(series(desk.config))
        self.log.hide(secrets(desk.config))
        self.callers.adopt(desk.config.keys)
        self.spending.adopt(desk.config)
        self.watching.adopt(desk)
        self.limiting.adopt(desk.config)

    def _say(self, level: str, name: str, /, **fields: object) -> None:
        self.log.event(level, name, **fields)
        if name == "config.loaded":
            self.events.tell("reload", ok=True, routes=fields["routes"])
        elif name == "config.rejected":
            self.events.tell("reload", ok=False, reason=fields["reason"])

    def _circuit(self, target: str, before: Health, after: Health) -> None:
        if after.opened > before.opened:
            cause = after.cause.value if after.cause is not None else ""
            wait = round(after.open_until - after.opened_at, 1)
            self.log.event("warning", "circuit.opened", target=target, cause=cause, for_s=wait)
            self.events.tell("circuit", target=target, state="open", cause=cause, for_s=wait)
        elif not after.opened:
            self.log.event("info", "circuit.closed", target=target)
            self.events.tell("circuit", target=target, state="closed")

    def _key(self, backend: str, key: BackendKey, seconds: float) -> None:
        cause = key.health.cause.value if key.health.cause is not None else ""
        rests = {"backend": backend, "key": key.fingerprint, "cause": cause, "for_s": round(seconds, 1)}
        self.log.event("warning", "key.rests", **rests)
        self.events.tell("key_rests", **rests)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """While it serves: as the lifespan of `app`. At its end everything is closed."""
        await self.runtime.start()
        if self._learnt is not None:
            self._learnt.load(self.runtime.desk.config.routes, time.monotonic(), time.time())
        loop = asyncio.get_running_loop()
        works = (self._publish(), self._look(), self._keep(), self.watching.run())
        tasks = [loop.create_task(work) for work in works]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._keep_now()
            for _ in self.limiting.keep():
                pass
            await self.watching.close()
            self.callers.close()
            await self.runtime.close()
            await self.net.close()
            await self.ledger.close()
            if self.store is not None:
                await self.store.close()
            if self.state is not None:
                await self.state.close()
            self.spending.close()
            self.limiting.close()
            self.metrics.close()

    async def _publish(self) -> None:
        await asyncio.to_thread(warm)
        while True:
            self.metrics.publish()
            await asyncio.sleep(PUBLISH_EVERY)

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(KEEP_EVERY)
            self._keep_now()
            self.limiting.look_at_clock()
            for _ in self.limiting.keep():
                await asyncio.sleep(0)

    def _keep_now(self) -> None:
        if self._learnt is not None:
            self._learnt.save(self.runtime.desk.config.routes, time.monotonic(), time.time())

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY)
            self.callers.refresh()
            self.by_hand.refresh()
            await self.spending.catch_up()


def _ledger(config: Config, say: Say) -> SqliteLedger | NullLedger:
    kept = Kept(config.why.days, config.why.rows)
    return NullLedger() if config.ledger is None else open_ledger(config.ledger, say, kept=kept)


def secrets(config: Config) -> Iterator[str]:
    """Every key that the configuration holds."""
    for backend in config.backends.values():
        if backend.api_key is not None:
            yield backend.api_key.reveal()
        yield from (key.reveal() for key in backend.api_keys)
        yield from (value.reveal() for value in backend.headers.values() if isinstance(value, Secret))
    for route in config.routes.values():
        for target in route.targets:
            yield from (value.reveal() for value in target.headers.values() if isinstance(value, Secret))
    webhook = config.alerts.webhook
    if webhook is not None:
        yield webhook.url.reveal()
        if webhook.secret is not None:
            yield webhook.secret.reveal()


class IntoLog(logging.Handler):
    """Brings what the parts say through `logging` into the one log."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.INFO)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        level = "error" if record.levelno >= logging.ERROR else record.levelname.lower()
        self._log.event(level, record.name, message=record.getMessage())
