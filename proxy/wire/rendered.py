"""The engine's `Caller` for a request that came in another API than chat completions."""

from __future__ import annotations

from time import time

from proxy.core.chat import ChatRequest
from proxy.core.failure import Failure
from proxy.engine.caller import Won
from proxy.inbound.way import Api, Notes
from proxy.wire.answer import Answer
from proxy.wire.reply import Reply
from proxy.wire.wording import fault_of


class Rendered(Answer):
    """One request's answer in the API's own words. Where the upstream speaks that API, its bytes are handed on."""

    __slots__ = ("_api", "_as_is", "_last", "_renderer")

    def __init__(self, reply: Reply, request_id: str, route: str, api: Api, request: ChatRequest) -> None:
        super().__init__(reply, request_id, route, api.lines(request_id))
        self._api = api
        self._renderer = api.renderer(request, request_id, int(time()))
        self._as_is = False
        self._last = b""

    def whole(self, body: bytes, won: Won) -> None:
        if won.native != self._api.name:
            body = self._renderer.whole(body)
        elif isinstance(self._api, Notes):
            self._api.handed_on(body)
        super().whole(body, won)

    def open(self, won: Won) -> None:
        self._as_is = won.native == self._api.name
        super().open(won)

    def push(self, data: bytes) -> bool:
        if self._as_is:
            self._last = data
            return self._reply.push(data)
        return self._reply.push(self._renderer.push(data))

    def close(self, last: bytes = b"") -> None:
        self._reply.end(last + self._api.ending(self._last) if self._as_is else self._renderer.close(last))

    def broken(self, failure: Failure, chars: int | None) -> None:
        self._reply.end(self._renderer.broken(fault_of(failure, self._id, chars)))

    def _error(self, failure: Failure, status: int, body: bytes) -> tuple[int, bytes]:
        return self._api.error(fault_of(failure, self._id))
