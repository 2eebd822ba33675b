"""A model in a worker process of its own, seen from the process that started it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import IO

import proxy
from proxy.local.running import Exit, clear, refuses
from proxy.local.spec import WorkerSpec

TAIL_LINES = 12
TAIL_CHARS = 300
_PF_EXITING = 0x4
TERM_SECONDS = 2.0
"""How long a worker may take to end after SIGTERM before it gets SIGKILL."""


class WorkerProcess:
    """Starts the worker and watches it with a thread, which needs nothing of the event loop but its queue of calls.

    It is started on the loop's own thread: Linux's parent-death signal is sent when the *thread* that forked ends.
    """

    def __init__(self, spec: WorkerSpec) -> None:
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[Exit] = self._loop.create_future()
        self._socket = spec.socket
        clear(spec)
        self._process = subprocess.Popen(
            # -P: what lies in the current directory is not imported.
            [sys.executable, "-P", "-m", "proxy.local.worker", spec.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": _search_path()},
            # Of its own process group, so that Ctrl-C at a terminal does not end it before we have drained.
            process_group=0,
        )
        self.pid = self._process.pid
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._watch = threading.Thread(
            target=self._watched, args=(self._process.stdout,), name=f"watch {spec.name}", daemon=True
        )
        self._watch.start()
        with suppress(BrokenPipeError):  # dead already: the watching thread tells
            self._process.stdin.write(replace(spec, parent=os.getpid()).line())
            self._process.stdin.flush()

    def gone(self) -> bool:
        """See `Running`."""
        return (
            self.ended.done()
            or self._process.poll() is not None
            or _exiting(self._process.pid)
            or refuses(self._socket)
        )

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()

    async def stop(self) -> None:
        """SIGTERM, and SIGKILL when that does not end it in time."""
        self._process.terminate()
        await asyncio.wait({self.ended}, timeout=TERM_SECONDS)
        if not self.ended.done():
            self._process.kill()
            await asyncio.wait({self.ended})

    def _watched(self, output: IO[bytes]) -> None:
        """Thread: reads what it writes until it dies, and tells the loop how it died."""
        tail = _tail(output)
        status = self._process.wait()
        output.close()
        if self._process.stdin is not None:
            with suppress(BrokenPipeError):
                self._process.stdin.close()
        with suppress(RuntimeError):  # the loop is closed: there is nobody left to tell
            self._loop.call_soon_threadsafe(self._tell, Exit(status, tail))

    def _tell(self, exit_: Exit) -> None:
        if not self.ended.done():
            self.ended.set_result(exit_)


def _exiting(pid: int) -> bool:
    """Whether the kernel (Linux) has begun to take this process apart: before it closes its sockets, and so before
    anybody can see a connection break for it (PF_EXITING in the flags of /proc/pid/stat, proc(5))."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    except (OSError, UnicodeDecodeError):  # not Linux
        return False
    return fields[0] in "ZX" or bool(int(fields[6]) & _PF_EXITING)


def _search_path() -> str:
    """Where the worker finds this package, first of all where we were imported from."""
    here = Path(proxy.__file__).parent.parent
    return os.pathsep.join([str(here), *filter(None, [os.environ.get("PYTHONPATH")])])


def _tail(output: IO[bytes]) -> tuple[str, ...]:
    """The last lines of an output, read to its end in bounded pieces and bounded memory."""
    pieces: Iterable[bytes] = iter(lambda: output.readline(64 * 1024), b"")
    lines: deque[str] = deque(maxlen=TAIL_LINES)
    for piece in pieces:
        line = piece.decode("utf-8", "replace").rstrip()
        if line:
            lines.append(line[:TAIL_CHARS])
    return tuple(lines)
