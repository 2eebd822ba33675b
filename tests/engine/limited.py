"""A stage with limits and a queue."""

from __future__ import annotations

import asyncio
from typing import Any

from proxy.app.limiting import terms_of
from proxy.core.chat import ChatRequest
from proxy.core.choice.wish import Wish
from proxy.core.limiting.values import NONE, Limits
from proxy.engine.admission import Admission
from proxy.engine.limiter import Limiter
from proxy.engine.tally import Tally
from tests.engine.stage import Asked, Client, Stage


class Limited(Stage):
    """A stage with limits. `keys`: limits and weight by a caller's key. `tally`: what it shares with other stages."""

    def __init__(
        self,
        targets: Any = "ab",
        *,
        keys: dict[str, tuple[Limits, float]] | None = None,
        tally: Tally | None = None,
        **more: Any,
    ) -> None:
        super().__init__(targets, **more)
        known = keys or {}
        admission = Admission()
        self.limiter = Limiter(
            admission, lambda key: known.get(key, (NONE, 1.0)), self.engine.closed, self.engine.trouble, tally
        )
        admission.limiter = self.limiter
        self.limiter.adopt(terms_of(self.config))
        self.engine.admission = admission

    def come(self, key: str = "", *, priority: str = "", stream: bool = False, **body: Any) -> Asked:
        """A request with a caller's key."""
        whole = {"model": "chat", "messages": [{"role": "user", "content": "Hi"}], **body}
        if stream:
            whole["stream"] = True
        wish = Wish(priority=priority) if priority else None
        request = ChatRequest(b"", whole, "chat", stream, False, None, wish)
        road = self.roads.find("chat")
        assert road is not None
        client = Client()
        exchange = self.engine.exchange(road, request, client, f"r{next(self._ids)}", key)
        exchange.start()
        return Asked(exchange, client)

    @property
    def waiting(self) -> int:
        """Requests in the queue."""
        return len(self.limiter.waiting)


async def turns() -> None:
    """Lets everybody go whose turn it is."""
    for _ in range(12):
        await asyncio.sleep(0)
