"""An exchange whose request and answer are handed on as they are: what differs from chat."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from proxy.core import attempt as machine
from proxy.core.call import Headers
from proxy.core.choice.choose import Choice, LeftOut, refused
from proxy.core.choice.facts import Facts
from proxy.core.choice.fitting import unwished
from proxy.core.choice.measured import FRESH
from proxy.core.choice.wish import NONE, Wish
from proxy.core.dialect import Malformed
from proxy.core.failure import Failure
from proxy.core.limits import foretells
from proxy.core.outcome import Ended
from proxy.core.plan import Plan
from proxy.core.relay import Relayed, RelayRequest, Relays
from proxy.core.route import OnCut, Route
from proxy.engine.attempt import STREAM, WHOLE, Attempt
from proxy.engine.caller import Caller, Won
from proxy.engine.exchange import Exchange
from proxy.engine.flow import Flow
from proxy.engine.judge import unreadable
from proxy.engine.lane import Road

if TYPE_CHECKING:
    from proxy.engine.engine import Engine

_UNKNOWN = Facts(0, chat=False)


class RelayAttempt(Attempt):
    """One send of such a request."""

    content_type = ""
    of_endpoint = True

    def on_head(self, status: int, headers: Headers) -> None:
        if not 200 <= status < 300:
            super().on_head(status, headers)
            return
        self.first_byte = self.last = time.monotonic()
        self.status = status
        exchange = self._exchange
        if foretells(headers):
            exchange.foretold(self, headers)
        admission = exchange.engine.admission
        if admission is not None and admission.hears:
            admission.heard(self.lane, headers)
        kinds = [value.decode("latin-1") for name, value in headers if name == b"content-type"]
        self.content_type = kinds[-1] if kinds else ""
        if not exchange.stream or _is_whole(self.content_type):
            self._mode = WHOLE
            return
        self._mode = STREAM
        decoder = self._dialect.relay_decoder(self.content_type)
        self._flow = Flow(self, exchange, decoder, None, None)

    @property
    def _dialect(self) -> Relays:
        dialect = self.lane.dialect
        assert isinstance(dialect, Relays)  # or it had not been asked
        return dialect

    def _whole_ended(self) -> None:
        request, body = self._request, self._joined()
        assert isinstance(request, RelayRequest)
        answer: Relayed | Failure
        try:
            answer = self._dialect.relayed(request, self.content_type, body, model=self._exchange.reply_model)
        except Malformed as error:
            answer = unreadable(error, body, self.status)
        if isinstance(answer, Failure):
            self._fail(answer)
            return
        self.model, self.usage, self.content_type = answer.model, answer.usage, answer.content_type
        self.first_content = time.monotonic()
        self.answer = answer
        self.serve()


class RelayExchange(Exchange):
    """See `Exchange`."""

    request: RelayRequest  # type: ignore[assignment]  # what `Exchange` does with another one is done otherwise here
    estimates = False
    _made = RelayAttempt

    def __init__(
        self, engine: Engine, road: Road, request: RelayRequest, caller: Caller, request_id: str, key: str
    ) -> None:
        super().__init__(engine, road, request, caller, request_id, key)  # type: ignore[arg-type]  # see `request`
        self.endpoint = request.relay.name
        self.stream = request.stream
        self.holds = self.stream and road.route.on_cut is OnCut.HOLD

    def set_out(self) -> None:
        """Its targets are tried in the route's order, without those that its conditions or the route's leave out."""
        road, policy = self.road, self.road.route.policy
        wish = self.request.wish or NONE
        if policy is not None:
            wish = wish.along(policy.require)
        out = left_out(road.route, wish) if wish.for_targets else ()
        if out and len(out) == len(road.route.targets):
            self._state = machine.State(road.route, ())
            self._give_up(refused(road.route, Choice(Plan(()), out), self._now))
            return
        if out:
            names = {one.target.name for one in out}
            self._whole_road = road
            self.road = road.among(road.route, {t.name for t in road.route.targets if t.name not in names})
        self._start_by_plan(self.road.route)

    def _deliver(self, number: int) -> None:
        attempt = self._attempt
        if isinstance(attempt, RelayAttempt) and isinstance(attempt.answer, Relayed):
            self._tell_served()
            self._caller.whole(attempt.answer.raw, self._won(attempt, known=True))
            self._over(Ended.SERVED, None, 200)
        else:
            super()._deliver(number)

    def _won(self, attempt: Attempt, *, known: bool) -> Won:
        won = super()._won(attempt, known=known)
        return won._replace(content_type=attempt.content_type) if isinstance(attempt, RelayAttempt) else won


def left_out(route: Route, wish: Wish) -> tuple[LeftOut, ...]:
    """Targets that a request's conditions leave out, where only the model is known of it: not how long it is, nor what
    it will cost."""
    rest = wish._replace(max_cost=None)
    found = []
    for target in route.targets:
        why = unwished(target, _UNKNOWN, rest, FRESH)
        price = target.price
        if why is None and wish.max_cost is not None and (price is None or price.input or price.output):
            why = "what this would cost is not known beforehand"
        if why is not None:
            found.append(LeftOut(target, why))
    return tuple(found)


def _is_whole(content_type: str) -> bool:
    """JSON and text are, where a stream may come: some servers leave out that one was asked for."""
    kind = content_type.partition(";")[0].strip().lower()
    return kind in ("", "application/json") or (kind.startswith("text/") and kind != "text/event-stream")
