"""How all targets have been doing: counts what the engine's attempts tell, and keeps it over restarts."""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

from proxy.core.outcome import Finish, Outcome
from proxy.core.vitals.anomalies import Known, anomalies, known_of
from proxy.core.vitals.score import Score, score
from proxy.core.vitals.windows import FIVE_MINUTES, KEPT, Windows
from proxy.engine.events import Events
from proxy.engine.roads import MAX_DIRECT
from proxy.state.state import State

if TYPE_CHECKING:
    import sqlite3

WELL = Score()
ROUTES = 1000
"""Routes whose failovers are counted: targets that callers name are routes too."""
_SINCE = "SELECT target, part, counts FROM vitals WHERE size = ? AND part > ?"


class Vitals:
    """An `Observer`. One for each process; times are Unix time in seconds.

    Several workers keep one account: each adds what is new to what is kept, and takes over what all have added.
    """

    def __init__(self, events: Events, state: State | None = None) -> None:
        """Without a `state` nothing is kept."""
        self.known: dict[str, Windows] = {}
        self.scores: dict[str, Score] = {}
        """As they were when it was looked last."""
        self.anomalies: dict[str, frozenset[str]] = {}
        """Those that are there, by target: only of targets that have any."""
        self.failovers: dict[str, list[int]] = {}
        """What `take_failovers` gives."""
        self._events = events
        self._state = state
        self._direct: deque[str] = deque()
        self._kept: frozenset[str] = frozenset()
        self._pruned = 0

    # While requests come -----------------------------------------------------------------------------------------

    def observe_outcome(self, outcome: Outcome) -> None:
        """An attempt has ended."""
        windows = self.known.get(outcome[3])
        if windows is None:
            windows = self._meet(outcome)
        windows.count(outcome)

    def observe_finish(self, finish: Finish) -> None:
        """A request has ended."""
        route, attempts = finish[1], finish[3]
        counted = self.failovers.get(route)
        if counted is None:
            if len(self.failovers) >= ROUTES:
                self.failovers.clear()
            counted = self.failovers[route] = [0, 0]
        counted[0] += 1
        if attempts > 1:
            counted[1] += 1
            self._events.tell(
                "failover",
                request=finish.request_id,
                route=route,
                target=finish.target,
                attempts=attempts,
                ended=finish.ended.value,
            )

    def _meet(self, outcome: Outcome) -> Windows:
        """Callers may name any number of targets directly: what is known of those is bounded."""
        target = outcome.target
        if outcome.route == target:
            self._direct.append(target)
            if len(self._direct) > MAX_DIRECT:
                self.forget([self._direct.popleft()])
        windows = self.known[target] = Windows()
        return windows

    # What is known -----------------------------------------------------------------------------------------------

    def look(self, target: str, now: float) -> Score:
        """Look at a target: its score and its anomalies are as of now."""
        windows = self.known.get(target)
        if windows is None:
            return WELL
        known = known_of(windows, now)
        found = anomalies(known, self.anomalies.get(target, frozenset()))
        if found:
            self.anomalies[target] = found
        else:
            self.anomalies.pop(target, None)
        told = self.scores[target] = score(known.hour, known.usual, found)
        return told

    def facts(self, target: str, now: float) -> Known:
        """What anomalies are seen in."""
        return known_of(self.known.get(target) or Windows(), now)

    def take_failovers(self) -> dict[str, list[int]]:
        """By route: requests, and those that needed more than one attempt, since this was asked last."""
        taken, self.failovers = self.failovers, {}
        return taken

    def score(self, target: str) -> float:
        """From 0 to 100, as it was when it was looked last; 100 where nothing is known."""
        return self.scores.get(target, WELL).value

    def forget(self, targets: Iterable[str]) -> None:
        """Nothing of these is of interest any more."""
        for target in targets:
            self.known.pop(target, None)
            self.scores.pop(target, None)
            self.anomalies.pop(target, None)

    # Over restarts -----------------------------------------------------------------------------------------------

    def load(self, targets: Iterable[str], now: float) -> None:
        """Take over what is kept of these targets, where nothing is known of them yet. From now on they are those that
        are kept: of what callers name there may be any number."""
        self._kept = frozenset(targets)
        if self._state is None:
            return
        new = {target: list[tuple[int, int, int]]() for target in self._kept if target not in self.known}
        if not new:
            return
        for size, parts in KEPT.items():
            oldest = int(now // size) - parts
            rows = self._state.rows(_SINCE, size, oldest)
            for target, number, counts in rows:
                if target in new:
                    with suppress(zlib.error, TypeError):  # what somebody else wrote there
                        new[target].append((size, number, _read(counts)))
        for target, kept in new.items():
            if kept:
                self.known[target] = Windows(kept)

    def save(self, now: float) -> None:
        """Add what is new to what is kept; nobody waits for it."""
        if self._state is None:
            return
        new: dict[tuple[str, int, int], int] = {}
        for target in self._kept & self.known.keys():
            for five, packed in self.known[target].unsaved().items():
                for size in KEPT:
                    place = (target, size, five * FIVE_MINUTES // size)
                    new[place] = new.get(place, 0) + packed
        if new:
            self._state.write(lambda db: _add(db, new))
        hour = int(now // 3600)
        if hour != self._pruned:
            self._pruned = hour
            oldest = [(size, int(now // size) - parts) for size, parts in KEPT.items()]
            self._state.write(lambda db: _prune(db, oldest))

    async def share(self, now: float) -> None:
        """Save, and take over what other workers have added to the parts under way and those just before."""
        if self._state is None:
            return
        self.save(now)
        await self._state.written()
        for size in KEPT:
            newest = int(now // size)
            rows = self._state.rows(_SINCE, size, newest - 2)
            for target, number, counts in rows:
                if target in self._kept:
                    with suppress(zlib.error, TypeError):
                        self.known.setdefault(target, Windows()).agree(size, number, _read(counts))


def _read(counts: bytes) -> int:
    return int.from_bytes(zlib.decompress(counts), "little")


def _add(db: sqlite3.Connection, new: dict[tuple[str, int, int], int]) -> None:
    for place, packed in new.items():
        row = db.execute("SELECT counts FROM vitals WHERE target = ? AND size = ? AND part = ?", place).fetchone()
        before = 0
        if row is not None:
            with suppress(zlib.error, TypeError):
                before = _read(row[0])
        whole = before + packed
        counts = zlib.compress(whole.to_bytes((whole.bit_length() + 7) // 8, "little"), 1)
        db.execute("INSERT OR REPLACE INTO vitals VALUES (?, ?, ?, ?)", (*place, counts))


def _prune(db: sqlite3.Connection, oldest: Iterable[tuple[int, int]]) -> None:
    for size, part in oldest:
        db.execute("DELETE FROM vitals WHERE size = ? AND part <= ?", (size, part))
