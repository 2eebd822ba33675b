"""Processes: on which core they run, and what they cost. Linux only, read from /proc (see proc(5))."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
ROOT = Path(__file__).resolve().parent.parent


def cores() -> tuple[int, int]:
    """(for the gateway, for upstream and load); the same one twice where there is only one."""
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[0], allowed[-1]


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now."""
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(socket.socket()) for _ in range(count)]
        for sock in socks:
            sock.bind(("127.0.0.1", 0))
        return [sock.getsockname()[1] for sock in socks]


def start(
    argv: Sequence[str], core: int, *, log: Path, env: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Starts a process on one core: all its threads and children inherit that. Its output goes to `log`."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        with log.open("wb") as out:
            return subprocess.Popen(
                argv,
                cwd=ROOT,
                env={**os.environ, **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
    finally:
        os.sched_setaffinity(0, before)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ends a process that `start` gave, and what it started."""
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def tree(pid: int) -> list[int]:
    """The process and all its descendants."""
    found = [pid]
    for each in found:
        for task in Path(f"/proc/{each}/task").glob("*/children"):
            with contextlib.suppress(FileNotFoundError):
                found += [int(child) for child in task.read_text().split()]
    return found


def _fields(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the command's name, from `state` on."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def cpu(pid: int) -> float:
    """User and system time of the tree so far, in seconds, with that of children that have ended."""
    total = 0
    for each in tree(pid):
        with contextlib.suppress(FileNotFoundError):
            total += sum(int(field) for field in _fields(each)[11:15])
    return total / TICK


def rss(pid: int) -> int:
    """Resident memory of the tree, in bytes."""
    total = 0
    for each in tree(pid):
        with contextlib.suppress(FileNotFoundError):
            total += int(_fields(each)[21]) * PAGE
    return total


def python(*args: str) -> list[str]:
    """A command that runs this Python."""
    return [sys.executable, *args]
