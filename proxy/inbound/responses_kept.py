"""The Responses API for callers whose responses are kept: `previous_response_id`, `item_reference`, `store`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from proxy.core.chat import ChatRequest
from proxy.core.memory import Kept, Memory
from proxy.inbound.chunks import chunks_in
from proxy.inbound.refused import Refused
from proxy.inbound.responses import Responses, ResponsesAnswer
from proxy.inbound.way import Renderer, Wrong

ENDS = ("response.completed", "response.incomplete")


class KeptResponses(Responses):
    """See `proxy.inbound.way.Remembers`."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def of(self, caller: str) -> ResponsesOfOne:
        """The API for one request of this caller."""
        return ResponsesOfOne(self._memory, caller)


class ResponsesOfOne(Responses):
    """The API for one request; see `proxy.inbound.way.Api`."""

    def __init__(self, memory: Memory, owner: str) -> None:
        self._memory = memory
        self._owner = owner
        self._asked: Mapping[str, Any] = {}
        self._own: tuple[Mapping[str, Any], ...] = ()

    def read(self, body: dict[str, Any], raw: bytes, fields: Mapping[bytes, bytes]) -> ChatRequest | Wrong:
        self._asked = body
        try:
            full = self._recalled(body)
        except Refused as refused:
            return refused.wrong
        return super().read(full, raw, fields)

    def renderer(self, request: ChatRequest, request_id: str, created: int) -> Renderer:
        keep = self._keep if self._asked.get("store") is not False else None
        return ResponsesAnswer(request, request_id, created, asked=self._asked, keep=keep)

    def ending(self, last: bytes) -> bytes:
        """The upstream's own stream is complete: its last event holds the response."""
        for chunk in chunks_in(_unnamed(last), []):
            if chunk.get("type") in ENDS and isinstance(chunk.get("response"), dict):
                self._keep(chunk["response"])
        return b""

    def handed_on(self, body: bytes) -> None:
        """The upstream's own whole answer goes to the client."""
        response = orjson.loads(body)
        if isinstance(response, dict):
            self._keep(response)

    def _recalled(self, body: dict[str, Any]) -> dict[str, Any]:
        """The request with all that it refers to. Raises `Refused`."""
        given = body.get("input")
        own = [{"type": "message", "role": "user", "content": given}] if isinstance(given, str) else given
        if not isinstance(own, list):
            return body
        own = [self._item(item, i) for i, item in enumerate(own)]
        self._own = tuple(item for item in own if isinstance(item, dict))
        previous = body.get("previous_response_id")
        if previous is None:
            return body if own == given or isinstance(given, str) else {**body, "input": own}
        chain = self._memory.chain(self._owner, previous) if isinstance(previous, str) else None
        if chain is None:
            message = f"Previous response with id {str(previous)[:100]!r} not found."
            raise Refused(message, "previous_response_id", "previous_response_not_found")
        items: list[Any] = []
        for kept in chain:
            items += [*kept.input, *kept.response["output"]]
        full = {name: value for name, value in body.items() if name != "previous_response_id"}
        return {**full, "input": [*items, *own]}

    def _item(self, item: Any, place: int) -> Any:
        """The item itself where it is a reference to one. Raises `Refused`."""
        if not isinstance(item, dict) or item.get("type", "item_reference") != "item_reference" or "role" in item:
            return item
        id_ = item.get("id")
        found = self._memory.item(self._owner, id_) if isinstance(id_, str) else None
        if found is None:
            where = f"input[{place}]"
            raise Refused(f"Item with id {str(id_)[:100]!r} not found.", where, "item_not_found")
        return found

    def _keep(self, response: Mapping[str, Any]) -> None:
        whole = isinstance(response.get("id"), str) and isinstance(response.get("output"), list)
        if whole and self._asked.get("store") is not False:
            self._memory.keep(self._owner, Kept(self._own, response, self._asked.get("previous_response_id") or ""))


def _unnamed(events: bytes) -> bytes:
    """Events without their names: the type stands in the data too."""
    blocks = events.split(b"\n\n")
    return b"\n\n".join([block.partition(b"\n")[2] if block.startswith(b"event:") else block for block in blocks])
