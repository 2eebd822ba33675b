"""An operator's word on targets: left alone until a time, or well again. It reaches all workers, and a restart's new
ones, by the state's database."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import orjson

from proxy.core.choice.measured import Measured
from proxy.engine.engine import Engine
from proxy.engine.events import Events
from proxy.engine.lane import Lane
from proxy.engine.roads import Roads
from proxy.state.state import State

KIND = "by_hand"
_NEW = "SELECT name, value FROM learnt WHERE kind = ? AND at > ?"
LATE = 5.0
"""Seconds in which what was said may come to be written."""


class ByHand:
    """One for each process. `state`: `None`, and it holds in this worker alone."""

    def __init__(self, engine: Engine, events: Events, state: State | None, roads: Callable[[], Roads]) -> None:
        self.shared = state is not None
        self.until: dict[str, float] = {}
        """Until when targets are left alone, on the engine's clock."""
        self._engine = engine
        self._events = events
        self._state = state
        self._roads = roads
        self._said: dict[str, bytes] = {}
        """What was heard last of each."""
        self._looked = 0.0
        self._born = time.time()

    def cool(self, lane: Lane, seconds: float) -> None:
        """Leave it alone for so long."""
        self._keep(lane.target.name, {"cooled": time.time() + seconds})
        self._cool(lane, seconds)

    def restore(self, lane: Lane) -> None:
        """It is well, and so are its backend's keys."""
        self._keep(lane.target.name, {"restored": time.time()})
        self._restore(lane)

    def refresh(self) -> None:
        """Hear what was said to other workers. To be called about once a second."""
        if self._state is None:
            return
        now = time.time()
        found = self._state.rows(_NEW, KIND, self._looked - LATE)
        self._looked = now
        lanes: Mapping[str, Lane] | None = None
        for name, value in found:
            if self._said.get(name) == value:
                continue
            self._said[name] = value
            lanes = self._lanes() if lanes is None else lanes
            if name in lanes:
                self._hear(lanes[name], value, now)

    def _hear(self, lane: Lane, value: bytes, now: float) -> None:
        said: dict[str, float] = orjson.loads(value)
        left = said.get("cooled", now) - now
        if left > 0:
            self._cool(lane, left)
        elif said.get("restored", 0.0) > self._born:
            self._restore(lane)

    def _keep(self, name: str, said: Mapping[str, float]) -> None:
        value = self._said[name] = orjson.dumps(said)
        if self._state is not None:
            self._state.keep(KIND, {name: value})

    def _cool(self, lane: Lane, seconds: float) -> None:
        name, now = lane.target.name, time.monotonic()
        self.until[name] = now + seconds
        self._engine.cool(name, now + seconds, now)
        self._events.tell("target", target=name, state="cooled", for_s=round(seconds, 1))

    def _restore(self, lane: Lane) -> None:
        name, measured = lane.target.name, self._engine.choices.measured
        self.until.pop(name, None)
        self._engine.restore(lane)
        known: Measured | None = measured.get(name)
        if known is not None:
            measured[name] = known._replace(in_a_row=0, failed_at=-1e9)
        self._events.tell("target", target=name, state="restored")

    def _lanes(self) -> dict[str, Lane]:
        return {name: lane for road in self._roads().by_name.values() for name, lane in road.lanes.items()}
