"""The engine's `Caller` over a `Reply`: answers, streams and refusals as OpenAI's clients expect them."""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache
from math import ceil
from urllib.parse import quote

from proxy.core.failure import Failure
from proxy.core.limiting.values import UNITS, Room, Rooms
from proxy.engine.caller import Won
from proxy.wire.errors import from_failure, in_band
from proxy.wire.reply import Reply
from proxy.wire.request_id import id_lines

JSON = b"content-type: application/json\r\n"
EVENTS = (
    b"content-type: text/event-stream; charset=utf-8\r\n"
    b"cache-control: no-cache\r\n"
    b"x-accel-buffering: no\r\n"  # nginx in front would otherwise hold events back
)
COMMENT = b": wayline\n\n"
DONE = b"data: [DONE]\n\n"


class Answer:
    """One request's answer. `more`: further header lines, each ended by CRLF (CORS)."""

    __slots__ = ("_begun", "_id", "_more", "_reply", "_route")

    def __init__(self, reply: Reply, request_id: str, route: str, more: bytes = b"") -> None:
        self._reply = reply
        self._begun = False
        self._id = request_id
        self._route = route
        self._more = more

    def whole(self, body: bytes, won: Won) -> None:
        self._reply.whole(200, self._told(JSON, won), body)

    def open(self, won: Won) -> None:
        if not self._begun:
            self._begun = True
            self._reply.start(200, self._told(EVENTS, won))

    def comment(self, text: str = "") -> None:
        if not self._begun:
            self._begun = True
            route = b"x-wayline-route: %b\r\n" % _clean(self._route)
            self._reply.start(200, EVENTS + id_lines(self._id) + route + self._more)
        self._reply.push(b": wayline %b\n\n" % _line(text) if text else COMMENT)

    def push(self, data: bytes) -> bool:
        return self._reply.push(data)

    def close(self, last: bytes = b"") -> None:
        self._reply.end(last + DONE)

    def refuse(self, failure: Failure, retry_after: float | None, target: str, attempts: int) -> None:
        if self._begun:  # only comments were sent, but the status went with them
            self.broken(failure, 0)
            return
        status, headers, body = from_failure(failure, retry_after=retry_after, request_id=self._id)
        status, body = self._error(failure, status, body)
        tried = b"x-wayline-route: %b\r\nx-wayline-attempts: %d\r\n" % (_clean(self._route), attempts)
        if target:
            tried += b"x-wayline-target: " + _clean(target) + b"\r\n"
        if failure.room is not None:
            tried += _rooms(failure.room)
        self._reply.whole(status, headers + tried + self._more, body)

    def broken(self, failure: Failure, chars: int | None) -> None:
        self._reply.end(in_band(failure, request_id=self._id, received=chars))

    def _error(self, failure: Failure, status: int, body: bytes) -> tuple[int, bytes]:
        """Status and body as the API that was called says them."""
        return status, body

    def _told(self, kind: bytes, won: Won) -> bytes:
        route, target, attempts, cost, dropped, _, _, screened, queued, room = won
        head = kind + id_lines(self._id) + _won(route, target, attempts)
        if cost is not None:
            head += b"x-wayline-cost: %b\r\n" % _money(cost)
        if dropped:
            head += b"x-wayline-dropped: %b\r\n" % _clean(", ".join(dropped))
        if queued:
            head += b"x-wayline-queued-ms: %d\r\n" % ceil(queued * 1000)
        if room is not None:
            head += room.lines or _rooms(room)
        if screened:
            head += b"x-wayline-screened: %b\r\n" % _clean(screened)
        return head + self._more


@lru_cache(maxsize=4096)
def _won(route: str, target: str, attempts: int) -> bytes:
    names = (_clean(route), _clean(target), attempts)
    return b"x-wayline-route: %b\r\nx-wayline-target: %b\r\nx-wayline-attempts: %d\r\n" % names


_ROOM = {
    unit: b"x-ratelimit-limit-%b: %%d\r\nx-ratelimit-remaining-%b: %%d\r\nx-ratelimit-reset-%b: %%b\r\n"
    % ((unit.encode(),) * 3)
    for unit in UNITS
}


def _rooms(rooms: Rooms) -> bytes:
    if not rooms.lines:
        rooms.lines = b"".join(map(_room, rooms.each))
    return rooms.lines


def _room(room: Room) -> bytes:
    """As OpenAI tells of its limits."""
    unit, limit, left, reset = room
    return _ROOM[unit] % (limit, left, _after(ceil(reset)))


@lru_cache(maxsize=1024)
def _after(seconds: int) -> bytes:
    """A duration: `1m30s`."""
    return b"%dm%ds" % divmod(seconds, 60) if seconds >= 60 else b"%ds" % seconds


def _clean(text: str) -> bytes:
    """As a header value: what is not printable ASCII is percent-encoded."""
    return quote(text, safe="!#$&'()*+,/:;=?@[]-._~ \"<>\\^`{|}").encode()


def _line(text: str) -> bytes:
    """Within a comment: printable ASCII, so that no line ends in it."""
    return bytes(byte if 0x20 <= byte <= 0x7E else 0x3F for byte in text.encode("ascii", "replace"))


def _money(cost: Decimal) -> bytes:
    text = str(cost)
    return (f"{cost:f}" if "E" in text else text).encode()  # formatting takes 0.2 us longer
