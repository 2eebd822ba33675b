"""What rate windows hold, kept over restarts. Workers that share their windows all write the same, and the latest word
counts; each window is read back by who opens it first."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterable, Iterator

from proxy.core.limiting.values import Rate
from proxy.core.limiting.window import Taken, Window
from proxy.state.state import State

WINDOWS = "limit.windows"
"""The kind of what is kept, by `label`: when it is all over, and then of each stretch when it began, when it ended and
what was taken in it. Times are Unix times."""
AT_ONCE = 200
"""Windows that are looked at without letting others do something."""


class KeptWindows:
    """Of one process."""

    def __init__(self, state: State, epoch: float) -> None:
        """`epoch`: what the engine's clock shows less Unix time."""
        self._state = state
        self._epoch = epoch
        self._past = state.learnt(WINDOWS)
        self._kept: dict[str, int] = {}
        """What was written last of each, as a hash."""
        now = time.time()
        over = [name for name, value in self._past.items() if _until(value) <= now]
        for name in over:
            del self._past[name]
        if over:
            state.forget(WINDOWS, over)

    def moved(self, epoch: float) -> None:
        """The wall clock was set, or the machine slept."""
        self._epoch = epoch

    def of(self, whose: str, rate: Rate) -> list[Taken]:
        """What was kept of this window, once: it is told to whoever opens it."""
        value = self._past.pop(label(whose, rate), b"")
        if not value:
            return []
        by = self._epoch
        return [(first + by, last + by, amount) for first, last, amount in struct.iter_unpack("<3d", value[8:])]

    def save(self, windows: Iterable[tuple[str, Window]]) -> Iterator[None]:
        """Keep what has changed since the last time, in steps."""
        found = list(windows)
        for start in range(0, len(found), AT_ONCE):
            self._save(found[start : start + AT_ONCE])
            yield

    def _save(self, windows: Iterable[tuple[str, Window]]) -> None:
        fresh: dict[str, bytes] = {}
        gone: list[str] = []
        by = self._epoch
        for whose, window in windows:
            name = label(whose, window.rate)
            flat = [value for first, last, amount in window.taken() for value in (first - by, last - by, amount)]
            if not flat:
                if self._kept.pop(name, None) is not None:
                    gone.append(name)
                continue
            value = struct.pack(f"<{len(flat) + 1}d", flat[-2] + window.rate.per, *flat)
            if self._kept.get(name) != (known := hash(value)):
                self._kept[name] = known
                fresh[name] = value
        if fresh:
            self._state.keep(WINDOWS, fresh)
        if gone:
            self._state.forget(WINDOWS, gone)


def label(whose: str, rate: Rate) -> str:
    """By which a window is known from one process to the next. Another rate is another window."""
    return f"{whose}: {rate.amount} {rate.unit} per {rate.per!r} s{', fixed' if rate.fixed else ''}"


def _until(value: bytes) -> float:
    """0: it is none of ours."""
    if len(value) < 32 or len(value) % 24 != 8:
        return 0.0
    until: float = struct.unpack_from("<d", value)[0]
    return until
