"""What somebody should be told of: each alert is raised once, and cleared once when it is no longer so.

    alerts.note("budget", "key team-a, day: 80 %", on=True, message="…", spent="4.02", limit="5")

Whoever watches something notes how it stands as often as it likes; only a change is told. Kinds:

| kind | subject | noted by |
|---|---|---|
| `failover` | a route | the watch: too many of its requests needed more than one attempt |
| `degraded`, `latency`, `errors`, `traffic` | a target | the watch, by the target's windows |
| `down` | a target | its circuit |
| `rate_limit` | a target, or whose limit of ours it is | what its upstream says, or how much is used |
| `certificate` | a backend | the certificate that it shows |
| `budget` | a budget and its threshold | the purses |
| `quality` | a target | the evaluation of answers |
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

MOST = 1000
"""Alerts that stand at once: subjects may be named by callers."""
MESSAGE = 500
"""Characters of a message."""
_LOG = logging.getLogger("wayline.alerts")


class Alert(NamedTuple):
    """One alert as it is told. No prompt, no answer and no key is in it."""

    kind: str
    subject: str
    raised: bool
    """False: it is cleared."""
    at: float
    """Unix time in seconds."""
    since: float
    """When it was raised."""
    message: str
    about: Mapping[str, object]
    """Numbers and names that a program may read: what JSON can say."""


Sink = Callable[[Alert], None]
"""Is told of each change. Does not block and does not raise."""


class Alerts:
    """One for each process. To be used on the event loop's thread."""

    def __init__(self, sinks: Iterable[Sink] = (), clock: Callable[[], float] = time.time) -> None:
        self.standing: dict[tuple[str, str], Alert] = {}
        """Those that are raised, by kind and subject."""
        self.told: dict[tuple[str, str], None] = {}
        """Those that were raised since the start, or stood then; the oldest are forgotten beyond `MOST`."""
        self.raised: dict[str, int] = {}
        """How many were raised so far, by kind."""
        self._sinks = tuple(sinks)
        self._clock = clock
        self._full = False

    def note(self, kind: str, subject: str, on: bool, message: str = "", **about: object) -> None:
        """It is so (`on`), or it is not. Costs nothing much while nothing changes."""
        before = self.standing.get((kind, subject))
        if on is (before is not None):
            return
        now = self._clock()
        if before is None:
            if len(self.standing) >= MOST:
                self._no_room()
                return
            alert = Alert(kind, subject, True, now, now, message[:MESSAGE], about)
            self.restore(alert)
            self.raised[kind] = self.raised.get(kind, 0) + 1
        else:
            del self.standing[kind, subject]
            self._full = False
            alert = before._replace(raised=False, at=now, message=(message or before.message)[:MESSAGE], about=about)
        for sink in self._sinks:
            sink(alert)

    def restore(self, alert: Alert) -> None:
        """It stands, without being told of: it was raised before the process began."""
        key = (alert.kind, alert.subject)
        self.standing[key] = alert
        self.told.pop(key, None)
        self.told[key] = None
        if len(self.told) > MOST:
            del self.told[next(iter(self.told))]

    def forget(self, subjects: Iterable[str]) -> None:
        """Nobody watches these any more (they left the configuration): what stands of them is cleared."""
        gone = frozenset(subjects)
        for kind, subject in [key for key in self.standing if key[1] in gone]:
            self.note(kind, subject, False, "no longer watched")

    def _no_room(self) -> None:
        if not self._full:
            self._full = True
            _LOG.error("%d alerts stand: no more are raised until one is cleared", MOST)
