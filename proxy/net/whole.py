"""A whole answer to a small question of our own, for those who wait for it in a task."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from proxy.core.call import Headers, HttpCall, Origin
from proxy.core.dialect import Malformed
from proxy.core.failure import Failure, FailureKind
from proxy.net.flight import Net


class Whole:
    """Implements `net.flight.Sink`: the status and the body, as far as it is no longer than `most` bytes; or each piece
    of a good one to `feed`, which may raise `Malformed`. Made on the event loop that it is used on."""

    def __init__(self, most: int, feed: Callable[[bytes], None] | None = None) -> None:
        self.ended: asyncio.Future[Failure | None] = asyncio.get_running_loop().create_future()
        """What it failed by; `None`: it did not."""
        self.status = 0
        self.heard = 0
        """Pieces so far."""
        self._most = most
        self._body = bytearray()
        self._feed = feed

    @property
    def body(self) -> bytes:
        """What came; the beginning of what is too long."""
        return bytes(self._body)

    def on_head(self, status: int, headers: Headers) -> None:
        self.status = status

    def on_data(self, data: bytes) -> None:
        self.heard += 1
        if self.ended.done():
            return
        if self._feed is None or self.status != 200:
            self._body += data[: self._most - len(self._body)]
            return
        try:
            self._feed(data)
        except Malformed as error:
            self.ended.set_result(Failure(FailureKind.MALFORMED, str(error), self.status))

    def on_end(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)

    def on_failure(self, failure: Failure) -> None:
        if not self.ended.done():
            self.ended.set_result(failure)


async def answered(net: Net, at: Origin, call: HttpCall, *, most: int, connect: float, within: float) -> Whole | str:
    """The answer to a call, of at most so many bytes; or why there is none. Times are seconds."""
    answer = Whole(most)
    flight = net.send(at, call, answer, connect=connect)
    try:
        async with asyncio.timeout(within):
            failure = await answer.ended
    except TimeoutError:
        return f"no answer within {within:g} s"
    finally:
        flight.abort()
    return answer if failure is None else failure.message
