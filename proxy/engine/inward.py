"""The client's side of an exchange that Wayline begins itself: a question to a judge, or to a moderation."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from proxy.core.failure import Failure
from proxy.engine.caller import Won


class Inward:
    """Implements `Caller`: tells `done` the whole answer, and what it cost (US dollars, where known); or `None`."""

    def __init__(self, done: Callable[[bytes | None, Decimal | None], None]) -> None:
        self._done = done

    def whole(self, body: bytes, won: Won) -> None:
        self._done(body, won.cost)

    def open(self, won: Won) -> None: ...

    def push(self, data: bytes) -> bool:
        return True

    def comment(self, text: str = "") -> None: ...

    def close(self, last: bytes = b"") -> None:
        self._done(None, None)

    def refuse(self, failure: Failure, retry_after: float | None, target: str, attempts: int) -> None:
        self._done(None, None)

    def broken(self, failure: Failure, chars: int | None) -> None:
        self._done(None, None)
