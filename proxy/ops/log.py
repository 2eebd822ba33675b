"""The log: a line for each request, and one for each thing that happened. Written by a thread of its own.

For app.py::

    log = Log(form="auto", secrets=keys)      # standard output; `form` as in the configuration
    log.event("info", "serve.listening", host=host, port=port)
    Engine(net, ledger, observers=(metrics, log))
    log.hide(keys)                            # after a reload
    log.close()                               # writes what is left, within 2 s

What reads the log may be slow or gone: then lines wait, up to a bound, and beyond it they are counted, and the count is
a line of its own when there is room again.
"""

from __future__ import annotations

import atexit
import os
import select
import threading
import time
from collections import deque
from collections.abc import Iterable

from proxy.core.outcome import Finish, Outcome
from proxy.ops.log_lines import Happening, JsonLines, Lines, PrettyLines
from proxy.ops.log_scrub import Scrubber

LIMIT = 10_000
"""Lines that may wait."""
LINGER = 0.1
"""Seconds that lines wait for others to be written with: a wake-up for each would cost more than the line."""
_BATCH = 500
_CLOSE_WITHIN = 2.0


class Log:
    """An `Observer` of requests, and the place for events. Everything here may be called from any thread."""

    def __init__(self, *, form: str = "auto", secrets: Iterable[str] = (), fd: int = 1) -> None:
        """`form`: `json`, `pretty`, or `auto` (pretty on a terminal). The descriptor stays the caller's."""
        self._refused = 0
        self._failed = 0
        self._said = 0
        self._fd = fd
        self._lines = _lines(form, fd)
        self._scrub = Scrubber(secrets)
        self._waiting: deque[bytes] = deque()
        self._asleep = False
        self._awake = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="wayline-log", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    @property
    def dropped(self) -> int:
        """Lines that nobody will see."""
        return self._refused + self._failed

    def event(self, level: str, name: str, /, **fields: object) -> None:
        """Something happened. `level` is `info`, `warning` or `error`; `name` says what, as `subject.verb`."""
        self._put(self._lines.happening(Happening(time.time(), level, name, fields), self._scrub))

    def observe_outcome(self, outcome: Outcome) -> None:
        """An attempt has no line of its own: its request's line tells how it went."""

    def observe_finish(self, finish: Finish) -> None:
        """A request has ended. Its line is made at once, while all it is made of is still in the processor's caches:
        in the log's own thread it took 8 us instead of 2."""
        self._put(self._lines.request(finish, self._scrub))

    def hide(self, secrets: Iterable[str]) -> None:
        """These are the keys that must not be seen from now on."""
        self._scrub = Scrubber(secrets)

    def close(self) -> None:
        """Write what is waiting, for 2 s at most. What comes later is dropped. Idempotent."""
        atexit.unregister(self.close)
        self._closing.set()
        self._awake.set()
        self._thread.join(_CLOSE_WITHIN)

    def _put(self, line: bytes) -> None:
        if len(self._waiting) < LIMIT:
            self._waiting.append(line)
        else:
            self._refused += 1
        if self._asleep:
            self._asleep = False
            self._awake.set()

    def _run(self) -> None:
        while True:
            if self._waiting:
                self._closing.wait(LINGER)
                self._write()
            elif self._closing.is_set():
                return
            else:
                self._doze()

    def _doze(self) -> None:
        self._awake.clear()
        self._asleep = True
        # Looked at once more after saying so: whoever puts a line in sees either that, or is seen here.
        if not self._waiting and not self._closing.is_set():
            self._awake.wait()
        self._asleep = False

    def _write(self) -> None:
        """One batch. When it cannot be written its lines are counted with those that found no room."""
        lines: list[bytes] = []
        waiting = self._waiting
        dropped = self.dropped
        if dropped != self._said:
            said = Happening(time.time(), "error", "log.dropped", {"lines": dropped - self._said, "in_all": dropped})
            lines.append(self._lines.happening(said, self._scrub))
        lines += [waiting.popleft() for _ in range(min(len(waiting), _BATCH))]
        if self._written(b"".join(lines)):
            self._said = dropped
        else:
            self._failed += len(lines) - (dropped != self._said)

    def _written(self, data: bytes) -> bool:
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._fd, view) :]
            except BlockingIOError:  # somebody made it non-blocking
                select.select((), (self._fd,), ())
            except OSError:  # nobody reads any more, or the disk is full
                return False
        return True


def _lines(form: str, fd: int) -> Lines:
    terminal = os.isatty(fd)
    if form == "pretty" or (form == "auto" and terminal):
        return PrettyLines(colour=terminal and "NO_COLOR" not in os.environ)
    return JsonLines()
