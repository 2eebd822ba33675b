"""How many tokens a request has, without answering it: by the target that would be tried first where it counts
itself, else by our own estimate."""

from __future__ import annotations

from time import monotonic, time

from proxy.core.chat import ChatRequest
from proxy.core.outcome import Ended, Finish
from proxy.core.tokens import of_bounded, of_request
from proxy.engine.aside import Aside
from proxy.engine.engine import Engine
from proxy.engine.lane import Lane, Road
from proxy.inbound.way import Counts
from proxy.wire.answer import JSON
from proxy.wire.reply import Reply
from proxy.wire.request_id import id_lines

ESTIMATED = b"x-wayline-estimated: true\r\n"


class Counting:
    """One such request. It costs nothing, and nothing that goes wrong with it is held against a target."""

    __slots__ = ("_api", "_began", "_engine", "_key", "_lane", "_reply", "_request", "_request_id", "_road", "_started")

    def __init__(
        self, engine: Engine, api: Counts, reply: Reply, road: Road, request: ChatRequest, request_id: str, key: str
    ) -> None:
        self._engine = engine
        self._api = api
        self._reply = reply
        self._road = road
        self._request = request
        self._request_id = request_id
        self._key = key
        self._began, self._started = monotonic(), time()
        self._lane = self._first()

    def start(self) -> None:
        """Ask, or estimate at once."""
        lane = self._lane
        if lane is None or self._api.name not in lane.dialect.speaks:
            self._estimate()
            return
        aside = Aside(self._counted)
        self._reply.watch(aside.abort, lambda: None)
        aside.ask(self._engine.net, lane, self._request)

    def _first(self) -> Lane | None:
        """The target that would be tried first, near enough: the first one that is well."""
        names = [target.name for target in self._road.route.targets]
        well = [name for name in names if name not in self._engine.trouble]
        return self._road.lanes[(well or names)[0]] if names else None

    def _counted(self, body: bytes | None) -> None:
        if body is None:
            self._estimate()
        else:
            assert self._lane is not None
            self._say(body, b"x-wayline-target: %b\r\n" % self._lane.target.name.encode("ascii", "replace"))

    def _estimate(self) -> None:
        body = self._request.body
        count = of_request(body) if self._lane is None else of_bounded(body, self._lane.count)
        self._say(self._api.counted(count), ESTIMATED)

    def _say(self, body: bytes, more: bytes) -> None:
        rid = self._request_id
        self._reply.whole(200, JSON + id_lines(rid) + self._api.lines(rid) + more, body)
        asked = more is not ESTIMATED and self._lane is not None
        self._engine.on_finish(
            Finish(
                request_id=rid,
                route=self._road.route.name,
                target=self._lane.target.name if asked and self._lane is not None else "",
                attempts=int(asked),
                status=200,
                stream=False,
                endpoint=self._api.name,
                started_at=self._started,
                duration=monotonic() - self._began,
                first_content=None,
                ended=Ended.SERVED,
                failure=None,
                cost=None,
                key=self._key,
            )
        )
