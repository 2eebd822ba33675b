"""What the admin API shows of this moment: the process, routes, targets."""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING, Annotated, Literal, NotRequired, TypedDict

from proxy import __version__
from proxy.app.serve import WORKERS
from proxy.core.choice.measured import Measured
from proxy.core.health import WELL, Health, Standing, standing
from proxy.core.price import Price
from proxy.core.vitals.windows import FIRST, SPEED
from proxy.engine.gate import Gate
from proxy.engine.lane import Lane
from proxy.ledger.sqlite import SqliteLedger
from proxy.ops.admin_api import Action, Ask
from proxy.ops.ready import WORDS, readiness

if TYPE_CHECKING:
    from proxy.app.process import Process

Dollars = Annotated[str | None, "US dollars as decimal text; null: nobody knows."]


BATCH = 20
"""Targets whose windows are looked at in one go: under 1 ms."""


class ConfigState(TypedDict):
    """The configuration in force."""

    source: Annotated[str, "The file it came from; empty: none."]
    loaded_at: Annotated[int, "Unix time in seconds."]
    error: Annotated[str | None, "Why the last reload changed nothing; null: it did not fail."]
    reloads: Annotated[int, "Reloads that went well."]
    rejected: Annotated[int, "Reloads that changed nothing."]


class LedgerState(TypedDict):
    """The accounts, since this worker's start."""

    rows: Annotated[int, "Written to the database."]
    waiting: Annotated[int, "In the journal, and not yet in the database."]
    lost: Annotated[int, "On record nowhere."]
    durable: Annotated[bool, "What is recorded outlives a kill -9."]


class Status(TypedDict):
    """How the process is."""

    version: str
    status: Literal["ready", "not ready", "draining"]
    started_at: Annotated[float, "Unix time in seconds."]
    uptime: Annotated[float, "Seconds."]
    workers: Annotated[int, "Processes that share the port; each answers for itself."]
    in_flight: Annotated[int, "Requests under way in this worker."]
    alerts: Annotated[int, "That stand."]
    routes: int
    targets: int
    config: ConfigState
    ledger: Annotated[LedgerState | None, "null: nothing is put on record."]


class LeftOutTarget(TypedDict):
    """A target that a route names and that is not tried."""

    target: str
    reason: str


class RouteState(TypedDict):
    """One route."""

    route: str
    ready: Annotated[bool, "Some target of it can serve."]
    strategy: str
    targets: Annotated[list[str], "In the order of the configuration."]
    left_out: list[LeftOutTarget]
    max_attempts: int
    on_cut: str
    rules: Annotated[int, "How many there are."]


class RouteStates(TypedDict):
    """All routes."""

    routes: list[RouteState]


class PriceState(TypedDict):
    """US dollars per million tokens, as decimal text."""

    input: str
    output: str
    origin: Annotated[str, "Who states it: config, genai-prices, …"]


class Speed(TypedDict):
    """As measured by requests that chose. null: nothing was measured yet."""

    first_content: Annotated[float | None, "Seconds to a stream's first content."]
    tokens_per_second: float | None
    served: Annotated[float, "Share of attempts that served, the latest most."]
    attempts: int


class LastHour(TypedDict):
    """What its attempts did. null: none did."""

    attempts: int
    served: Annotated[float | None, "Share of the attempts that say something of the target."]
    first_content_s: Annotated[float | None, "The median."]
    tokens_per_second: Annotated[float | None, "The median."]


class TargetsQuery(TypedDict, total=False):
    """What besides."""

    hour: Annotated[bool, "With the last hour of each."]


class TargetState(TypedDict):
    """One target."""

    target: str
    backend: str
    model: str
    type: Annotated[str, "Of its backend."]
    local: Annotated[bool, "It runs on this machine."]
    routes: list[str]
    ready: Annotated[bool, "It may be tried now."]
    health: Annotated[str, "well, probe due, probing, circuit open, cooling, limits used up."]
    cause: Annotated[str | None, "The failure that put it there."]
    by_hand: Annotated[bool, "An operator cooled it."]
    for_s: Annotated[float | None, "Seconds until it may be tried again."]
    failures_in_a_row: int
    in_flight: int
    limit: Annotated[int | None, "In flight at most; null: as many as come."]
    backend_in_flight: int
    backend_limit: int | None
    at_limit: Annotated[str | None, "Why it is passed over: a limit of ours is reached."]
    place: Annotated[str, "ready, or how a local model stands."]
    keys: Annotated[str | None, "Of a backend that has several."]
    context: Annotated[int | None, "Tokens of input and output together."]
    price: PriceState | None
    measured: Speed | None
    score: Annotated[float, "Health, 0 to 100, as it was looked at last; 100 where nothing is known."]
    anomalies: Annotated[list[str], "What is unusual now: see docs/health.md."]
    quality: Annotated[float | None, "Of its answers, 0 to 1; null: nobody evaluates them."]
    last_hour: NotRequired[LastHour]


class TargetStates(TypedDict):
    """All targets that routes name."""

    targets: list[TargetState]


class Look:
    """Over one process."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def actions(self) -> list[Action]:
        """For the table."""
        return [
            Action("GET", "/status", "status", "How this process is.", self.status, Status),
            Action("GET", "/routes", "routes", "The routes, and whether they can serve.", self.routes, RouteStates),
            Action(
                "GET",
                "/targets",
                "targets",
                "The targets and how they are.",
                self.targets,
                TargetStates,
                query=TargetsQuery,
            ),
        ]

    def lanes(self) -> dict[str, tuple[Lane, list[str]]]:
        """Each target that a route names, and the routes that do."""
        found: dict[str, tuple[Lane, list[str]]] = {}
        for name, road in self._process.runtime.desk.roads.by_name.items():
            for target, lane in road.lanes.items():
                found.setdefault(target, (lane, []))[1].append(name)
        return found

    def status(self, ask: Ask) -> Status:
        process, now = self._process, time.time()
        runtime, engine = process.runtime, process.engine
        desk = runtime.desk
        ready, _ = readiness(desk.roads.by_name, engine.trouble, time.monotonic())
        stats = process.ledger.stats if isinstance(process.ledger, SqliteLedger) else None
        return {
            "version": __version__,
            "status": "draining" if process.draining.active else "ready" if ready else "not ready",
            "started_at": process.started_at,
            "uptime": round(now - process.started_at, 3),
            "workers": int(os.environ.get(WORKERS, "1")),
            "in_flight": len(engine.live),
            "alerts": len(process.watching.alerts.standing),
            "routes": len(desk.roads.by_name),
            "targets": len(self.lanes()),
            "config": {
                "source": desk.config.source,
                "loaded_at": desk.loaded_at,
                "error": runtime.reload_error or None,
                "reloads": runtime.reloads[True],
                "rejected": runtime.reloads[False],
            },
            "ledger": None
            if stats is None
            else {"rows": stats.rows, "waiting": stats.waiting, "lost": stats.lost, "durable": stats.durable},
        }

    def routes(self, ask: Ask) -> RouteStates:
        runtime = self._process.runtime
        config = runtime.desk.config
        _, states = readiness(runtime.desk.roads.by_name, runtime.engine.trouble, time.monotonic())
        found: list[RouteState] = []
        for name, route in config.routes.items():
            policy = route.policy
            out: list[LeftOutTarget] = [
                {"target": one.target, "reason": one.reason} for one in config.left_out if one.route == name
            ]
            found.append(
                {
                    "route": name,
                    "ready": states[name]["ready"],
                    "strategy": "order" if policy is None else policy.top.strategy,
                    "targets": [target.name for target in route.targets],
                    "left_out": out,
                    "max_attempts": route.max_attempts,
                    "on_cut": route.on_cut.value,
                    "rules": 0 if policy is None else len(policy.rules),
                }
            )
        return {"routes": found}

    async def targets(self, ask: Ask) -> TargetStates:
        found: list[TargetState] = []
        for lane, routes in self.lanes().values():
            one = self.target(lane, routes, time.monotonic())
            if ask.query.get("hour"):
                one["last_hour"] = self._last_hour(lane.target.name)
                if len(found) % BATCH == BATCH - 1:
                    await asyncio.sleep(0)  # requests go first
            found.append(one)
        return {"targets": found}

    def _last_hour(self, target: str) -> LastHour:
        windows = self._process.watching.vitals.known.get(target)
        if windows is None:
            return {"attempts": 0, "served": None, "first_content_s": None, "tokens_per_second": None}
        hour = windows.window("1h", time.time())
        return {
            "attempts": hour.attempts,
            "served": round(hour.served / hour.judged, 4) if hour.judged else None,
            "first_content_s": hour.quantile(FIRST, 0.5),
            "tokens_per_second": hour.quantile(SPEED, 0.5),
        }

    def target(self, lane: Lane, routes: list[str], now: float) -> TargetState:
        """One of them."""
        target, engine = lane.target, self._process.engine
        health = engine.health.get(target.name, WELL)
        stands = standing(health, now)
        place = lane.place.state()
        closed = engine.choices.closed.get(target.name)
        own, backend = lane.gates[0], lane.gates[1]
        vitals, quality = self._process.watching.vitals, engine.assessor.standings.get(target.name)
        return {
            "target": target.name,
            "backend": target.backend,
            "model": target.model,
            "type": self._process.runtime.desk.config.backends[target.backend].type,
            "local": target.local,
            "routes": routes,
            "ready": stands <= Standing.PROBE and place.state in ("idle", "ready") and not _full(own, backend),
            "health": WORDS[stands],
            "cause": None if health.cause is None or stands is Standing.WELL else health.cause.value,
            "by_hand": stands is Standing.COOLING and self._process.by_hand.until.get(target.name) == health.cool_until,
            "for_s": _for(health, stands, now),
            "failures_in_a_row": health.in_a_row,
            "in_flight": own.busy,
            "limit": own.limit,
            "backend_in_flight": backend.busy,
            "backend_limit": backend.limit,
            "at_limit": None if closed is None or closed.until <= now else closed.reason,
            "place": place.state if not place.detail else f"{place.state}: {place.detail}",
            "keys": _keys(lane, now),
            "context": target.ability.context,
            "price": _price(target.price),
            "measured": _measured(engine.choices.measured.get(target.name)),
            "score": round(vitals.score(target.name), 1),
            "anomalies": sorted(vitals.anomalies.get(target.name, ())),
            "quality": None if quality is None else round(quality.value, 4),
        }


def _full(*gates: Gate) -> bool:
    return any(gate.full for gate in gates)


def _for(health: Health, stands: Standing, now: float) -> float | None:
    if stands is Standing.WELL:
        return None
    until = health.cool_until if stands in (Standing.COOLING, Standing.SPENT) else health.open_until
    return round(max(until - now, 0.0), 1)


def _keys(lane: Lane, now: float) -> str | None:
    if lane.ring is None:
        return None
    return f"{sum(not key.rests(now) for key in lane.ring.keys)} of {len(lane.ring)} in use"


def _price(price: Price | None) -> PriceState | None:
    if price is None:
        return None
    return {"input": str(price.input), "output": str(price.output), "origin": price.origin}


def _measured(known: Measured | None) -> Speed | None:
    if known is None:
        return None
    return {
        "first_content": known.first,
        "tokens_per_second": known.speed,
        "served": round(known.good, 4),
        "attempts": known.attempts,
    }
