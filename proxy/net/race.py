"""Connecting to the first of several addresses that answers (happy eyeballs, RFC 8305)."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from itertools import chain, zip_longest

from proxy.net.resolve import Address

HEAD_START = 0.25
"""Seconds that an address has before the next is tried beside it (RFC 8305 section 5)."""


def interleave(addresses: Sequence[Address]) -> list[Address]:
    """The families in turn, beginning with the one that the resolver prefers (RFC 8305 section 4)."""
    first = [a for a in addresses if a.family == addresses[0].family]
    second = [a for a in addresses if a.family != addresses[0].family]
    return [a for a in chain.from_iterable(zip_longest(first, second)) if a is not None]


def discard(sock: socket.socket) -> None:
    """Close a socket that a cancelled wait may still have registered with the event loop.

    asyncio unregisters by number, one turn later, when the number may be another socket's already.
    """
    if sock.fileno() >= 0:
        loop = asyncio.get_running_loop()
        loop.remove_writer(sock)
        loop.remove_reader(sock)
    sock.close()


async def race(addresses: Sequence[Address], *, head_start: float = HEAD_START) -> socket.socket:
    """A connected, non-blocking socket. Raises the first address's `OSError` when none can be reached."""
    if len(addresses) == 1:
        return await _connect(addresses[0])
    waiting = interleave(addresses)
    running: set[asyncio.Task[socket.socket]] = set()
    errors: list[OSError] = []
    try:
        while waiting or running:
            if waiting:
                running.add(asyncio.create_task(_connect(waiting.pop(0))))
            ended, _ = await asyncio.wait(
                running, timeout=head_start if waiting else None, return_when=asyncio.FIRST_COMPLETED
            )
            for task in ended:
                running.discard(task)
                error = task.exception()
                if error is None:
                    running |= ended  # another one may have come in at the same moment
                    running.discard(task)
                    return task.result()
                if not isinstance(error, OSError):
                    raise error
                errors.append(error)
    finally:
        for task in running:
            task.add_done_callback(_close_late)
            task.cancel()
    raise errors[0]


def _close_late(task: asyncio.Task[socket.socket]) -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().close()


async def _connect(address: Address) -> socket.socket:
    sock = socket.socket(address.family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, address.sockaddr)
    except BaseException:  # also when cancelled: the socket is nobody else's
        discard(sock)
        raise
    return sock
