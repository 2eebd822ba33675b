"""`/readyz`: can some target serve, and how does each route stand?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from proxy.core.health import WELL, Health, Standing, standing
from proxy.engine.lane import Lane, Road

WORDS = {
    Standing.WELL: "well",
    Standing.PROBE: "probe due",
    Standing.PROBING: "probing",
    Standing.OPEN: "circuit open",
    Standing.COOLING: "cooling",
    Standing.SPENT: "limits used up",
}


def readiness(roads: Mapping[str, Road], trouble: Mapping[str, Health], now: float) -> tuple[bool, dict[str, Any]]:
    """(some target can serve, each route's state for the reply). `now` on the engine's clock."""
    routes = {name: _route(road, trouble, now) for name, road in roads.items()}
    return any(route["ready"] for route in routes.values()), routes


def _route(road: Road, trouble: Mapping[str, Health], now: float) -> dict[str, Any]:
    targets = [_target(lane, trouble.get(name, WELL), now) for name, lane in road.lanes.items()]
    # A route whose last hope are targets with used-up limits asks those.
    ready = any(target["ready"] or target["health"] == WORDS[Standing.SPENT] for target in targets)
    return {"ready": ready, "targets": targets}


def _target(lane: Lane, health: Health, now: float) -> dict[str, Any]:
    stands = standing(health, now)
    place = lane.place.state()
    told: dict[str, Any] = {
        "target": lane.target.name,
        "ready": stands <= Standing.PROBE and place.state in ("idle", "ready"),
        "health": WORDS[stands],
    }
    if health.cause is not None and stands is not Standing.WELL:
        told["cause"] = health.cause.value
        until = health.cool_until if stands in (Standing.COOLING, Standing.SPENT) else health.open_until
        told["for_s"] = round(max(until - now, 0.0), 1)
    if lane.ring is not None:
        told["keys"] = f"{sum(not key.rests(now) for key in lane.ring.keys)} of {len(lane.ring)} in use"
    if place.state != "ready" or place.detail:
        told["place"] = place.state if not place.detail else f"{place.state}: {place.detail}"
    return told
