"""The small steps that a scripted upstream takes, and how each is carried out on a connection."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Self


class Tokens(NamedTuple):
    """As a step: from here on, count these tokens as said to the client. Also a sum of such."""

    input: int = 0
    output: int = 0

    def __add__(self, other: object) -> Tokens:
        """Adds part by part (a tuple's own `+` would join them)."""
        if not isinstance(other, Tokens):
            return NotImplemented
        return Tokens(self.input + other.input, self.output + other.output)


@dataclass(frozen=True)
class Send:
    """Bytes, in one write."""

    data: bytes


@dataclass(frozen=True)
class OneByteAtATime:
    """Bytes, each in a segment of its own, `every` seconds apart."""

    data: bytes
    every: float = 0.0


@dataclass(frozen=True)
class Repeat:
    """The same bytes over and over, `every` seconds apart: `times` times, or until the peer is gone."""

    data: bytes
    times: int | None = None
    every: float = 0.0


@dataclass(frozen=True)
class Pause:
    """Nothing, for so many seconds."""

    seconds: float


@dataclass(frozen=True, eq=False)
class Wait:
    """Nothing, until the test sets the event."""

    event: asyncio.Event


@dataclass(frozen=True)
class Hang:
    """Nothing more, with the connection open, until the peer closes it."""


@dataclass(frozen=True)
class Deaf:
    """From here on nothing more is read from this connection, so that what the peer sends backs up."""


@dataclass(frozen=True)
class HalfClose:
    """A FIN: we send nothing more but go on reading."""


@dataclass(frozen=True)
class Close:
    """An orderly close, after what was sent."""


@dataclass(frozen=True)
class Reset:
    """A RST (SO_LINGER 0, see socket(7)), after what was sent."""


Step = (
    Send | OneByteAtATime | Repeat | Pause | Wait | Hang | Deaf | HalfClose | Close | Reset | Tokens
)  # fmt: skip


@dataclass(frozen=True)
class Behaviour:
    """Steps for one request; after the last one the connection is kept for the next request.

    `at` says when they are taken: after the whole `request`, after its `head`, or at once on `connect`. The last two
    work only in a list (or alone), not as the result of a function.
    """

    steps: tuple[Step, ...]
    at: str = "request"

    def then(self, *steps: Step) -> Self:
        """The same with more steps at the end."""
        return replace(self, steps=self.steps + steps)

    def after(self, *steps: Step) -> Self:
        """The same with these steps before it."""
        return replace(self, steps=steps + self.steps)


@dataclass
class Stream:
    """A connection's writing side."""

    transport: asyncio.Transport
    writable: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.writable.set()
        self.transport.set_write_buffer_limits(high=0)

    async def send(self, data: bytes) -> None:
        """Writes, and waits until the kernel has it all."""
        self.transport.write(data)
        await self.writable.wait()


async def play(behaviour: Behaviour, stream: Stream, said: Callable[[Tokens], object]) -> None:
    """Takes the steps of one behaviour."""
    for step in behaviour.steps:
        if stream.transport.is_closing():
            return
        if isinstance(step, Tokens):
            said(step)
        elif isinstance(step, Send | OneByteAtATime | Repeat):
            await _write(step, stream)
        elif isinstance(step, Pause | Wait | Hang):
            await _wait(step)
        else:
            cut(step, stream.transport)


async def _write(step: Send | OneByteAtATime | Repeat, stream: Stream) -> None:
    if isinstance(step, Send):
        await stream.send(step.data)
    elif isinstance(step, OneByteAtATime):
        for byte in step.data:
            await stream.send(bytes((byte,)))
            await asyncio.sleep(step.every)
    else:
        left = step.times
        while left is None or left > 0:
            await stream.send(step.data)
            await asyncio.sleep(step.every)
            left = None if left is None else left - 1


async def _wait(step: Pause | Wait | Hang) -> None:
    if isinstance(step, Pause):
        await asyncio.sleep(step.seconds)
    elif isinstance(step, Wait):
        await step.event.wait()
    else:
        await asyncio.Event().wait()  # ended by the connection's end, which cancels the task


def cut(step: Deaf | HalfClose | Close | Reset, transport: asyncio.Transport) -> None:
    """Ends a connection, or one direction of it."""
    if isinstance(step, Deaf):
        transport.pause_reading()
    elif isinstance(step, HalfClose):
        transport.write_eof()
    elif isinstance(step, Close):
        transport.close()
    else:
        linger = struct.pack("ii", 1, 0)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        transport.abort()
