"""A `Caller` before the client's that keeps a copy of an answer, for its evaluation once the client has all of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from proxy.core.failure import Failure
from proxy.core.quality.answers import of_chunks, of_native, of_whole
from proxy.core.quality.assess import Answer
from proxy.engine.caller import Caller, Won
from proxy.inbound.chunks import chunks_in, completion_in

MOST = 4 * 1024 * 1024
"""Bytes of an answer; a longer one is not evaluated."""


class Heard(NamedTuple):
    """A complete answer as it went out."""

    target: str
    data: bytes
    streamed: bool
    native: str

    def answers(self) -> tuple[Answer, ...]:
        """Its choices. Takes a while for a long stream."""
        if self.streamed:
            return of_chunks(chunks_in(self.data, []))
        return of_native(completion_in(self.data)) if self.native else of_whole(completion_in(self.data))


class Overheard:
    """For one answer. `heard` is called right after the client has its end, and must return at once."""

    __slots__ = ("_heard", "_inner", "_parts", "_size", "_won")

    def __init__(self, inner: Caller, heard: Callable[[Heard], None]) -> None:
        self._inner = inner
        self._heard = heard
        self._parts: list[bytes] = []
        self._size = 0
        self._won: Won | None = None

    def whole(self, body: bytes, won: Won) -> None:
        self._inner.whole(body, won)
        if len(body) <= MOST:
            self._heard(Heard(won.target, body, False, won.native))

    def open(self, won: Won) -> None:
        self._won = won
        self._inner.open(won)

    def comment(self, text: str = "") -> None:
        self._inner.comment(text)

    def push(self, data: bytes) -> bool:
        self._size += len(data)
        if self._size <= MOST:
            self._parts.append(data)
        return self._inner.push(data)

    def close(self, last: bytes = b"") -> None:
        self._inner.close(last)
        won = self._won
        if won is not None and self._size <= MOST and not won.native:
            self._heard(Heard(won.target, b"".join(self._parts) + last, True, ""))

    def refuse(self, failure: Failure, retry_after: float | None, target: str, attempts: int) -> None:
        self._inner.refuse(failure, retry_after, target, attempts)

    def broken(self, failure: Failure, chars: int | None) -> None:
        self._inner.broken(failure, chars)
