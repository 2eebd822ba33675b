"""Several worker processes at one port: a parent that starts them, starts them again, and stops with them.

Each worker is a fresh process that binds the port by itself with SO_REUSEPORT, so that the kernel spreads connections
over them. Parent and worker hold the two ends of a socket, the *tether*: the worker says over it that it is ready, and
reads its end as the parent's death.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import selectors
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

from proxy.wire.listening import bind

log = logging.getLogger("wayline.workers")

TETHER = "WAYLINE_TETHER"
"""Environment variable with the number of the worker's file descriptor."""
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 30.0
"""Seconds before a crashed worker is started again: doubling."""
STEADY = 10.0
"""Seconds after which a worker's next crash counts as its first again."""
GRACE = 5.0
"""Seconds beyond `patience` after which a worker that does not stop is killed."""

Start = Callable[[int, int], "subprocess.Popen[bytes]"]
"""Starts worker number so-and-so, which inherits this file descriptor as its tether."""


class Tether:
    """The worker's end."""

    def __init__(self, fd: int) -> None:
        self._sock = socket.socket(fileno=fd)
        self._sock.setblocking(False)

    @classmethod
    def inherited(cls) -> Tether | None:
        """None in a process that no supervisor started."""
        fd = os.environ.pop(TETHER, "")
        return cls(int(fd)) if fd else None

    def ready(self) -> None:
        """Requests are taken now."""
        with contextlib.suppress(OSError):  # the parent died: `hold` sees to that
            self._sock.send(b"r")

    @contextlib.contextmanager
    def hold(self, loop: asyncio.AbstractEventLoop, parent_died: Callable[[], None]) -> Generator[None]:
        """Calls `parent_died` once, when that happens."""

        def readable() -> None:
            with contextlib.suppress(BlockingIOError):
                if not self._sock.recv(16):
                    loop.remove_reader(self._sock)
                    parent_died()

        loop.add_reader(self._sock, readable)
        try:
            yield
        finally:
            loop.remove_reader(self._sock)
            self._sock.close()


def reserve(host: str, port: int) -> tuple[list[socket.socket], int]:
    """Takes the port for the workers: bound, so that it stays ours, but not listening. With port 0 a free one.

    Raises OSError when another program has it: without looking first, SO_REUSEPORT would share it silently.
    """
    if port:
        for sock in bind(host, port):
            sock.close()
    sockets = bind(host, port, reuse_port=True)
    return sockets, sockets[0].getsockname()[1]


def starter(command: Sequence[str]) -> Start:
    """Starts workers by a command line. In a process group of their own: Ctrl-C at a terminal is for the parent alone,
    or a worker would get it twice, which means "at once"."""

    def start(number: int, fd: int) -> subprocess.Popen[bytes]:
        environment = {**os.environ, TETHER: str(fd)}
        return subprocess.Popen(list(command), env=environment, pass_fds=(fd,), process_group=0)

    return start


@dataclass(slots=True)
class _Worker:
    process: subprocess.Popen[bytes]
    tether: socket.socket
    since: float
    ready: bool = False


class Supervisor:
    """Keeps `count` workers alive until told to stop. `patience`: seconds that a worker may take to drain."""

    def __init__(self, count: int, start: Start, *, patience: float, all_ready: Callable[[], None]) -> None:
        self._start = start
        self._patience = patience
        self._all_ready = all_ready
        self._told_ready = False
        self._workers: list[_Worker | None] = [None] * count
        self._pauses = [FIRST_PAUSE] * count
        self._due = [0.0] * count
        self._stopping: float | None = None
        self._status = 0
        self._signals: list[int] = []

    def run(self) -> int:
        """Blocks until all workers have stopped; gives the exit status: 0 when each of them gave 0 at the end, or the
        status of a worker that could not even start the first time."""
        with _caught(self._signals) as wakeup:
            while True:
                self._act_on_signals()
                self._reap()
                if self._stopping is None:
                    self._start_missing()
                elif not any(self._workers):
                    return self._status
                self._wait(wakeup)

    def _start_missing(self) -> None:
        now = time.monotonic()
        for number, worker in enumerate(self._workers):
            if worker is None and self._due[number] <= now:
                ours, theirs = socket.socketpair()
                with theirs:
                    process = self._start(number, theirs.fileno())
                self._workers[number] = _Worker(process, ours, now)

    def _act_on_signals(self) -> None:
        while self._signals:
            number = self._signals.pop(0)
            if number == signal.SIGHUP:
                for worker in self._workers:
                    if worker is not None and worker.ready:  # one that is not will read what is new as it starts
                        worker.process.send_signal(signal.SIGHUP)
            elif number in (signal.SIGTERM, signal.SIGINT):
                self._stopping = self._stopping or time.monotonic()
                self._tell(signal.SIGTERM)
        if self._stopping is not None and time.monotonic() > self._stopping + self._patience + GRACE:
            self._status = 1
            self._tell(signal.SIGKILL)

    def _tell(self, number: int) -> None:
        for worker in self._workers:
            if worker is not None:
                worker.process.send_signal(number)

    def _reap(self) -> None:
        for number, worker in enumerate(self._workers):
            if worker is None or (status := worker.process.poll()) is None:
                continue
            worker.tether.close()
            self._workers[number] = None
            if self._stopping is not None:
                # a worker that was still starting had no handler for the signal yet
                self._status = self._status or (0 if status in (0, -signal.SIGTERM) else 1)
            elif not self._told_ready and not worker.ready:
                log.error("worker %d could not start (status %d)", number, status)
                self._stopping = time.monotonic()
                self._status = status if status > 0 else 1
                self._tell(signal.SIGTERM)
            else:
                self._again(number, worker, status)

    def _again(self, number: int, worker: _Worker, status: int) -> None:
        now = time.monotonic()
        if now - worker.since > STEADY:
            self._pauses[number] = FIRST_PAUSE
        pause = self._pauses[number]
        self._due[number] = now + pause
        self._pauses[number] = min(2 * pause, LONGEST_PAUSE)
        log.error("worker %d ended with status %d; another is started in %.1f s", number, status, pause)

    def _wait(self, wakeup: socket.socket) -> None:
        """Until a signal, a word from a worker, or the next thing that is due."""
        now = time.monotonic()
        due = [at - now for at, worker in zip(self._due, self._workers, strict=True) if worker is None]
        timeout = 1.0 if self._stopping is not None else max(0.0, min(due)) if due else None
        with selectors.DefaultSelector() as selector:
            selector.register(wakeup, selectors.EVENT_READ)
            for worker in self._workers:
                if worker is not None and not worker.ready:
                    selector.register(worker.tether, selectors.EVENT_READ, worker)
            for key, _ in selector.select(timeout):
                if key.data is None:
                    wakeup.recv(4096)
                else:
                    key.data.ready = bool(key.data.tether.recv(16))
                    if not key.data.ready:
                        key.data.process.wait()
        if not self._told_ready and all(worker is not None and worker.ready for worker in self._workers):
            self._told_ready = True
            self._all_ready()


@contextlib.contextmanager
def _caught(into: list[int]) -> Generator[socket.socket]:
    """Signals are written down, and wake up whoever waits for the socket."""
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
    before = {number: signal.signal(number, lambda number, _: into.append(number)) for number in numbers}
    wakeup, alarm = socket.socketpair()
    wakeup.setblocking(False)
    alarm.setblocking(False)
    old = signal.set_wakeup_fd(alarm.fileno())
    try:
        yield wakeup
    finally:
        signal.set_wakeup_fd(old)
        for number, action in before.items():
            signal.signal(number, action)
        wakeup.close()
        alarm.close()


def supervise(count: int, start: Start, *, patience: float, all_ready: Callable[[], None] = lambda: None) -> int:
    """Runs `count` workers until told to stop (SIGTERM, SIGINT); gives the exit status. SIGHUP is handed on.

    `all_ready` is called once, when every worker takes requests.
    """
    return Supervisor(count, start, patience=patience, all_ready=all_ready).run()
