"""A model that was started somewhere: what `LocalPlace` needs to know of it."""

from __future__ import annotations

import asyncio
import errno
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Protocol

from proxy.local.spec import WorkerSpec


class Exit(NamedTuple):
    """How it ended. `status` is negative for a signal, as in `subprocess`."""

    status: int
    tail: tuple[str, ...] = ()
    """The last lines it wrote, bounded. For the operator's log only: they may hold paths."""

    @property
    def reason(self) -> str:
        """In words: `SIGKILL`, `exit status 3`."""
        if self.status >= 0:
            return f"exit status {self.status}"
        try:
            return signal.Signals(-self.status).name
        except ValueError:
            return f"signal {-self.status}"


class Running(Protocol):
    """One run of a model, from its start to its end."""

    @property
    def ended(self) -> asyncio.Future[Exit]:
        """Done when it has ended; never fails, and is not to be cancelled."""
        ...

    def gone(self) -> bool:
        """It is known, now, to be dead or dying: `ended` follows."""
        ...

    def kill(self) -> None:
        """End it now."""
        ...

    async def stop(self) -> None:
        """End it in order, and in bounded time."""
        ...


Launch = Callable[[], Running]
"""Starts a model, on the running loop. Raises `OSError`."""


async def answers(path: str) -> bool:
    """Whether `GET /health` on this socket says 200 (llama-server says 503 while it loads)."""
    try:
        async with asyncio.timeout(2.0):
            reader, writer = await asyncio.open_unix_connection(path)
            try:
                writer.write(b"GET /health HTTP/1.1\r\nHost: local\r\nConnection: close\r\n\r\n")
                return (await reader.readline()).split(b" ")[1:2] == [b"200"]
            finally:
                writer.close()
                await writer.wait_closed()
    except (OSError, ValueError):  # TimeoutError is an OSError; ValueError: a line beyond the reader's limit
        return False


def clear(spec: WorkerSpec) -> None:
    """Remove the sockets' files that a killed worker left behind: nobody can bind over them."""
    for path in (spec.socket, spec.inner_socket):
        Path(path).unlink(missing_ok=True)


def refuses(path: str) -> bool:
    """Whether nobody listens on this socket any more.

    The kernel closes a dying process's sockets some time before its parent can learn its exit status; in that
    time this already tells that it is dying. A full backlog (EAGAIN) is not a refusal.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        return probe.connect_ex(path) in (errno.ECONNREFUSED, errno.ENOENT)
