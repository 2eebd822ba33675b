"""Readings of the moment, taken when somebody asks for the metrics."""

from __future__ import annotations

import time
from collections.abc import Iterator

from proxy.app.runtime import Runtime
from proxy.core.health import WELL, Standing, standing
from proxy.ledger.stats import LedgerStats
from proxy.net.httpnet import HttpNet
from proxy.ops.metrics_gauges import Gauge


def readings(runtime: Runtime, net: HttpNet, ledger: LedgerStats | None) -> Iterator[Gauge]:
    """All of this process."""
    yield from _targets(runtime)
    yield Gauge("wayline_inflight_requests", "Requests under way.", float(len(runtime.engine.live)))
    stats = net.stats()
    help_ = "Connections to backends."
    yield Gauge("wayline_upstream_connections", help_, float(stats.open - stats.idle), (("state", "busy"),))
    yield Gauge("wayline_upstream_connections", help_, float(stats.idle), (("state", "idle"),))
    yield Gauge("wayline_upstream_connections_made", "Connections made.", float(stats.opened), total=True)
    for ok, count in runtime.reloads.items():
        labels = (("result", "ok" if ok else "rejected"),)
        yield Gauge("wayline_config_reloads", "Reloads of the configuration.", float(count), labels, total=True)
    valid = 0.0 if runtime.reload_error else 1.0
    yield Gauge("wayline_config_valid", "The configuration's file was good when last loaded.", valid, merge="min")
    loaded = float(runtime.desk.loaded_at)
    yield Gauge("wayline_config_loaded_timestamp_seconds", "When it was loaded.", loaded, merge="max")
    if ledger is not None:
        yield from _ledger(ledger)


def _targets(runtime: Runtime) -> Iterator[Gauge]:
    now = time.monotonic()
    trouble = runtime.engine.trouble
    names = {name for road in runtime.desk.roads.by_name.values() for name in road.lanes}
    states = [(name, trouble.get(name, WELL)) for name in sorted(names)]
    for name, health in states:
        up = float(standing(health, now) <= Standing.PROBE)
        yield Gauge("wayline_target_up", "It may be tried now.", up, (("target", name),), "min")
    for name, health in states:
        state = float(bool(health.opened)) * (2.0 if health.open_until > now else 1.0)
        help_ = "Its circuit: 0 closed, 1 half open, 2 open."
        yield Gauge("wayline_circuit_state", help_, state, (("target", name),), "max")
    for name, health in states:
        left = max(health.cool_until - now, 0.0)
        yield Gauge("wayline_target_cooldown_seconds", "Until it may be tried again.", left, (("target", name),), "max")
    yield from _keys(runtime, now)


def _keys(runtime: Runtime, now: float) -> Iterator[Gauge]:
    """Of backends that have several. A key is told by four digits of its SHA-256."""
    lanes = (lane for road in runtime.desk.roads.by_name.values() for lane in road.lanes.values())
    rings = {lane.ring.backend: lane.ring for lane in lanes if lane.ring is not None}
    help_ = "Until this one of its backend's keys is used again."
    for name in sorted(rings):
        for key in rings[name].keys:
            labels = (("backend", name), ("key", key.fingerprint))
            yield Gauge("wayline_key_cooldown_seconds", help_, max(key.health.cool_until - now, 0.0), labels, "max")


def _ledger(stats: LedgerStats) -> Iterator[Gauge]:
    yield Gauge("wayline_ledger_rows", "Rows written.", float(stats.rows), total=True)
    yield Gauge("wayline_ledger_waiting", "Rows that wait in the journal.", float(stats.waiting))
    yield Gauge("wayline_ledger_errors", "Times the database could not be written.", float(stats.errors), total=True)
    yield Gauge("wayline_ledger_lost", "Rows that are on record nowhere.", float(stats.lost), total=True)
    durable = float(stats.durable)
    yield Gauge("wayline_ledger_durable", "What is recorded outlives a kill -9.", durable, merge="min")
