"""Health in a process: looks at how its targets stand, raises alerts, tells them to log, events and webhook, and keeps
what is known."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from proxy.app.desk import Desk
from proxy.app.spending import name_of
from proxy.app.webhook import Sender
from proxy.backends.registry import origin
from proxy.config.values import Config
from proxy.core.call import Origin
from proxy.core.money.budget import dollars
from proxy.core.place import Place
from proxy.core.vitals.policy import Alerting
from proxy.engine.alerts import Alert, Alerts
from proxy.engine.bulletin import Bulletin
from proxy.engine.engine import Engine
from proxy.engine.events import Events
from proxy.engine.fares import Passed
from proxy.engine.lane import Lane
from proxy.engine.probes import Probes, Subject, subjects
from proxy.engine.vitals import Vitals
from proxy.engine.watch import WATCHED, Watch
from proxy.ledger.stats import Say
from proxy.net.httpnet import HttpNet
from proxy.ops.metrics_gauges import Gauge
from proxy.state.state import State

if TYPE_CHECKING:
    import sqlite3

LOOK_EVERY = 1.0
"""Seconds between two looks at circuits, limits and local models."""
WINDOWS_EVERY = 5.0
"""Seconds between two looks at all windows."""
SAVE_EVERY = 60.0
BATCH = 20
"""Targets that are looked at in one go: about 5 ms."""
KIND = "alert"


class Watching:
    """One for each process."""

    def __init__(
        self,
        net: HttpNet,
        engine: Engine,
        vitals: Vitals,
        events: Events,
        say: Say,
        state: State | None = None,
        idle: Callable[[], bool] = lambda: False,
        shared: Path | None = None,
    ) -> None:
        """`idle`: nothing is to be probed any more. `shared`: a directory that all workers of a server share. Raises
        `OSError` where it cannot be written."""
        self.vitals = vitals
        self.limits: Callable[[float], Iterable[tuple[str, float]]] = lambda _: ()
        """Limits of our own: of whom, and how much of them is used, from 0 to 1."""
        self._bulletin = None if shared is None else Bulletin(shared)
        self.probes = Probes(engine, vitals, events, idle, self._bulletin)
        self._subjects: list[Subject] = []
        self.alerts = Alerts((self._tell,))
        self._watch = Watch(engine, vitals, self.alerts, Alerting())
        self._net = net
        self._events = events
        self._say = say
        self._state = state
        self._sender: Sender | None = None
        self._old: set[asyncio.Task[None]] = set()
        self._targets: tuple[str, ...] = ()
        self._backends: dict[str, Origin] = {}
        self._alerting = Alerting()
        self._until: dict[tuple[str, str], float] = {}
        """When these alerts are over by themselves."""
        self._ready: dict[str, bool] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._early: list[Alert] = []
        """Those that were raised before it ran."""
        self._local: Mapping[str, Place] = {}
        self._restore()

    # What is watched ---------------------------------------------------------------------------------------------

    def adopt(self, desk: Desk) -> None:
        """What is in force from now on."""
        config = desk.config
        targets = dict.fromkeys(target.name for route in config.routes.values() for target in route.targets)
        gone = {*self._targets, *self._backends} - {*targets, *config.backends}
        self.vitals.save(time.time())
        self.vitals.forget(gone)
        self._targets = tuple(targets)
        self._backends = _origins(config)
        self._local = {f"{name}/{m}": p for name, models in desk.local.items() for m, p in models.places.items()}
        self._watch.levels = config.alerts
        self._watch.forget(gone)
        self.vitals.load(targets, time.time())
        if config.alerts.webhook != self._alerting.webhook:
            self._let_go()
        self._alerting = config.alerts
        self._subjects = []
        for subject in subjects(config, _lanes(desk)):
            if isinstance(subject, str):
                self._say("warning", "probe.impossible", reason=subject)
            else:
                self._subjects.append(subject)
        if self._loop is not None:
            self.probes.adopt(self._subjects)

    async def run(self) -> None:
        """Look, until cancelled."""
        loop = self._loop = asyncio.get_running_loop()
        self.probes.adopt(self._subjects)
        for alert in self._early:
            self._hand_on(loop, alert)
        await self.look()
        saved = looked = loop.time()
        while True:
            await asyncio.sleep(LOOK_EVERY)
            tick = loop.time()
            self.probes.refresh()
            self._watch.circuits(tick)
            self._models()
            self._over(time.time())
            if tick - looked >= WINDOWS_EVERY:
                looked = tick
                await self.look()
            if tick - saved >= SAVE_EVERY:
                saved = tick
                if self._bulletin is not None:  # other workers keep the same account
                    await self.vitals.share(time.time())
                else:
                    self.vitals.save(time.time())

    def passed(self, passed: Passed) -> None:
        """So many per cent of a budget are spent: an alert until the budget begins anew."""
        stands, percent = passed
        budget, per = name_of(stands.owned), stands.owned.per.value
        spent, amount = dollars(stands.spent), dollars(stands.budget.amount)
        held = "in all" if per == "total" else f"a {per}"
        message = f"{percent} % of the budget of {budget} ({amount} {held}) are spent"
        until = None if stands.ends == inf else stands.ends
        subject = f"{budget}, {per}: {percent} %"
        about = {"percent": percent, "spent": spent, "amount": amount, "per": per, "until": until}
        self.alerts.note("budget", subject, True, message, **about)

    async def look(self) -> None:
        """At all windows."""
        tick = time.monotonic()
        self._watch.failovers(tick)
        self._watch.limits(self.limits(tick), tick)
        seen = self._net.certificates
        ends = {name: seen[at] for name, at in self._backends.items() if at in seen}
        now = time.time()
        self._watch.certificates(ends, now)
        for number, target in enumerate(self._targets):
            self._watch.target(target, now)
            if number % BATCH == BATCH - 1:
                await asyncio.sleep(0)

    async def close(self) -> None:
        """Keep what is known, and send what waits, within 2 seconds."""
        await self.probes.close()
        if self._bulletin is not None:
            self._bulletin.close()
        self.vitals.save(time.time())
        self._let_go()
        if self._old:
            await asyncio.wait(self._old)

    def _over(self, now: float) -> None:
        """Alerts that hold until some time."""
        for (kind, subject), until in list(self._until.items()):
            if now >= until:
                self.alerts.note(kind, subject, False)

    def _models(self) -> None:
        """Models that we run, that have become ready or are so no longer."""
        for target, place in self._local.items():
            ready = place.state().state == "ready"
            if ready is not self._ready.get(target, False):
                self._ready[target] = ready
                self._events.tell("model_loaded" if ready else "model_lost", target=target)

    # What is told ------------------------------------------------------------------------------------------------

    def _tell(self, alert: Alert) -> None:
        state = "raised" if alert.raised else "cleared"
        level = "warning" if alert.raised else "info"
        self._say(level, f"alert.{state}", kind=alert.kind, subject=alert.subject, message=alert.message)
        about = {name: value for name, value in alert.about.items() if name not in ("alert", "state", "kind")}
        base = {"alert": alert.kind, "subject": alert.subject, "state": state, "message": alert.message}
        self._events.tell("alert", **{**about, **base})
        until = alert.about.get("until")
        if not alert.raised:
            self._until.pop((alert.kind, alert.subject), None)
        elif isinstance(until, float):
            self._until[alert.kind, alert.subject] = until
        if self._loop is None:
            self._early.append(alert)
        else:
            self._hand_on(self._loop, alert)

    def _hand_on(self, loop: asyncio.AbstractEventLoop, alert: Alert) -> None:
        """Of several workers, and over restarts, one tells the webhook: the one that writes it down, or out."""
        if self._state is None:
            self._send(alert)
            return
        name = f"{alert.kind}\n{alert.subject}"

        def claim(db: sqlite3.Connection) -> None:
            changed = 1  # where the database cannot be written it is better told twice
            try:
                if alert.raised:
                    value = orjson.dumps([alert.since, alert.message, alert.about.get("until")])
                    row = (KIND, name, value, alert.at)
                    changed = db.execute("INSERT OR IGNORE INTO learnt VALUES (?, ?, ?, ?)", row).rowcount
                else:
                    changed = db.execute("DELETE FROM learnt WHERE kind = ? AND name = ?", (KIND, name)).rowcount
            finally:
                if changed:
                    with contextlib.suppress(RuntimeError):  # we have stopped meanwhile
                        loop.call_soon_threadsafe(self._send, alert)

        self._state.write(claim)

    def _send(self, alert: Alert) -> None:
        webhook = self._alerting.webhook
        if webhook is None:
            return
        if self._sender is None:
            try:
                self._sender = Sender(self._net, webhook, self._say)
            except ValueError as error:
                self._say("error", "webhook.unusable", error=str(error))
                return
        self._sender.put(alert)

    def _let_go(self) -> None:
        sender, self._sender = self._sender, None
        if sender is not None:
            task = asyncio.get_running_loop().create_task(sender.close())
            self._old.add(task)
            task.add_done_callback(self._old.discard)

    def _restore(self) -> None:
        """Alerts that stood when the process before this one ended stand until it is seen that they no longer do, or
        until their time is over. Those of which neither will be known are noted anew."""
        if self._state is None:
            return
        stale = []
        for name, value in self._state.learnt(KIND).items():
            kind, _, subject = name.partition("\n")
            with contextlib.suppress(ValueError, TypeError):
                since, message, until = orjson.loads(value)
                if kind in WATCHED or isinstance(until, float):
                    self.alerts.restore(Alert(kind, subject, True, since, since, message, {}))
                    if isinstance(until, float):
                        self._until[kind, subject] = until
                    continue
            stale.append(name)
        if stale:
            self._state.forget(KIND, stale)

    def readings(self) -> Iterator[Gauge]:
        """For metrics: scores, alerts and probes."""
        for target in self._targets:
            help_ = "How well it is, from 0 to 100 (docs/health.md)."
            yield Gauge("wayline_target_health_score", help_, self.vitals.score(target), (("target", target),), "min")
        # That a target is not down is told too, so that there is something to be asked for from the start.
        for kind, subject in dict.fromkeys((*(("down", target) for target in self._targets), *self.alerts.told)):
            raised = float((kind, subject) in self.alerts.standing)
            help_ = "1: it is raised; 0: it is not."
            yield Gauge("wayline_alert", help_, raised, (("kind", kind), ("subject", subject)), "max")
        for kind, count in self.alerts.raised.items():
            yield Gauge("wayline_alerts_raised", "Alerts raised so far.", float(count), (("kind", kind),), total=True)
        for (target, word), count in self.probes.counted.items():
            of = (("target", target), ("result", word))
            yield Gauge("wayline_probes", "Probes, by what they said.", float(count), of, total=True)


def _lanes(desk: Desk) -> dict[str, tuple[str, Lane]]:
    """By target, with a route that has it."""
    found: dict[str, tuple[str, Lane]] = {}
    for route, road in desk.roads.by_name.items():
        for name, lane in road.lanes.items():
            found.setdefault(name, (route, lane))
    return found


def _origins(config: Config) -> dict[str, Origin]:
    """Where each backend in use is that is reached by TLS."""
    found: dict[str, Origin] = {}
    for name, backend in config.backends.items():
        if backend.missing or backend.models:
            continue
        with contextlib.suppress(ValueError):  # then its targets would not have been bound
            at = origin(backend)
            if at.scheme == "https":
                found[name] = at
    return found
