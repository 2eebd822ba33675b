"""One request to an embedded Wayline, on its way: what the hot endpoint replies, read as values."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from decimal import Decimal
from types import TracebackType
from typing import Any, Self

import orjson

from proxy.app.answers import Chunk, WaylineError, Won, closed, error_of, fields_of, won_of
from proxy.core.outcome import Finish
from proxy.core.sse import SseFramer
from proxy.wire.outbox import BrokenOff, Outbox


class Asked:
    """A request and the box that its reply comes into."""

    def __init__(self, request_id: str) -> None:
        self.request_id = request_id
        self.outbox = Outbox()
        self.finish: Finish | None = None
        """How it ended, when it has."""

    def finished(self, finish: Finish) -> None:
        """It has ended."""
        self.finish = finish

    @property
    def cost(self) -> Decimal | None:
        """US dollars, when it has ended."""
        return None if self.finish is None else self.finish.cost

    async def whole(self) -> tuple[dict[str, Any], Won]:
        """The answer's JSON. Raises `WaylineError`; a cancellation is told to the target."""
        try:
            await self.outbox.begun()
            body = bytearray()
            while piece := await self.outbox.piece():
                body += piece
        except BrokenOff:
            raise closed() from None
        finally:
            self.outbox.leave()
        fields = fields_of(self.outbox.headers)
        if self.outbox.status >= 400:
            raise error_of(self.outbox.status, fields, bytes(body))
        return orjson.loads(body), won_of(fields, self.cost)


class Stream:
    """The pieces of an answer, as they come: `async for chunk in stream`. To leave the loop is to leave the request.

    It is sent when a loop over it begins. The other attributes are there by and by: `target` with the first piece,
    `text` grows, `usage` and `cost` stand at the end.
    """

    def __init__(self, ask: Callable[[], Asked]) -> None:
        self._ask = ask
        self._asked: Asked | None = None
        self.text = ""
        """All that came so far."""
        self.usage: dict[str, Any] | None = None
        self.finish_reason: str | None = None
        self._won: Won | None = None

    @property
    def won(self) -> Won | None:
        """Who answers; `None` before the first piece. Its cost stands at the end."""
        cost = None if self._asked is None else self._asked.cost
        return self._won if cost is None or self._won is None else _with_cost(self._won, cost)

    @property
    def target(self) -> str:
        """`backend/model`; empty before the first piece."""
        return "" if self._won is None else self._won.target

    @property
    def cost(self) -> Decimal | None:
        """US dollars, at the end; `None`: nobody knows."""
        return None if self._asked is None else self._asked.cost

    def __aiter__(self) -> AsyncIterator[Chunk]:
        """Once. The generator is not held here, so that it ends with the loop that is left."""
        if self._asked is not None:
            raise RuntimeError("a stream is read once")
        self._asked = asked = self._ask()
        return self._read(asked)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """No more of it is wanted."""
        if self._asked is not None:
            self._asked.outbox.leave()

    async def _read(self, asked: Asked) -> AsyncGenerator[Chunk]:
        outbox = asked.outbox
        framer = SseFramer()
        try:
            await outbox.begun()
            if outbox.status >= 400:
                await asked.whole()
            self._won = won_of(fields_of(outbox.headers))
            while piece := await outbox.piece():
                for data, _, _ in framer.feed(piece):
                    if data != b"[DONE]":
                        yield self._chunk(orjson.loads(data))
        except BrokenOff:
            raise closed() from None
        finally:
            outbox.leave()

    def _chunk(self, raw: dict[str, Any]) -> Chunk:
        if "error" in raw and "choices" not in raw:
            raise self._broken(raw["error"])
        chunk = Chunk(raw)
        self.text += chunk.text
        self.usage = chunk.usage or self.usage
        self.finish_reason = chunk.finish_reason or self.finish_reason
        return chunk

    def _broken(self, error: dict[str, Any]) -> WaylineError:
        return WaylineError(200, error, won=self._won)


def _with_cost(won: Won, cost: Decimal) -> Won:
    return Won(won.request_id, won.route, won.target, won.attempts, cost, won.dropped)
