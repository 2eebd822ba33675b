"""The log of a Wayline inside another program: that program's own `logging`, and nothing on its standard output."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable

from proxy.core.outcome import Finish, Outcome
from proxy.ops.log_lines import Happening, JsonLines
from proxy.ops.log_scrub import Scrubber

EVENTS = logging.getLogger("wayline.events")
REQUESTS = logging.getLogger("wayline.requests")
_LEVELS = {"info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


class Notes:
    """In the place of `proxy.ops.log.Log`. Lines are the same JSON; those of requests come at level INFO."""

    def __init__(self) -> None:
        self.awaited: dict[str, Callable[[Finish], None]] = {}
        """Who wants to know how a request ended, by its id."""
        self._lines = JsonLines()
        self._scrub = Scrubber()

    def event(self, level: str, name: str, /, **fields: object) -> None:
        """Something happened."""
        line = self._lines.happening(Happening(time.time(), level, name, fields), self._scrub)
        EVENTS.log(_LEVELS[level], "%s", line.decode().rstrip())

    def observe_outcome(self, outcome: Outcome) -> None:
        """An attempt has no line of its own."""

    def observe_finish(self, finish: Finish) -> None:
        """A request has ended."""
        told = self.awaited.pop(finish.request_id, None)
        if told is not None:
            told(finish)
        if REQUESTS.isEnabledFor(logging.INFO):
            REQUESTS.info("%s", self._lines.request(finish, self._scrub).decode().rstrip())

    def hide(self, secrets: Iterable[str]) -> None:
        """These are the keys that must not be seen from now on."""
        self._scrub = Scrubber(secrets)
