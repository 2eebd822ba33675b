"""How an exchange begins: let in, planned, and sent; or kept waiting, or refused before anything was sent."""

from __future__ import annotations

from abc import abstractmethod
from math import inf
from typing import TYPE_CHECKING

from proxy.core import attempt as machine
from proxy.core.chat import ChatRequest
from proxy.core.choice.choose import Choice, asked_to_wait, refused
from proxy.core.choice.facts import UNSEEN, Text, text_of
from proxy.core.failure import Failure
from proxy.core.plan import Plan, asked_for_time, nothing_left, plan
from proxy.core.route import Route
from proxy.engine.lane import Planned
from proxy.engine.roads import MAX_DIRECT
from proxy.engine.sending import Sending

if TYPE_CHECKING:
    from proxy.engine.fares import Spending
    from proxy.engine.lane import Road
    from proxy.engine.scopes import Held

_OUTSIDE = machine.State(Route("", ()), ())


class Starting(Sending):
    """The part of an `Exchange` that comes before its first attempt."""

    began: float
    key: str
    held: Held | None = None
    """What it holds of limits, or waits for."""
    text: Text | None = UNSEEN
    """It, if it is nothing but texts."""
    spending: Spending | None = None
    """What it has reserved and spent of budgets."""
    _state: machine.State = _OUTSIDE
    """Until it sets out: whoever waits can leave, or be too late, and nothing is live."""
    _usual: machine.Usual | None = None
    """Nothing out of the way has happened yet, as far as `_state` is still its first."""
    choice: Choice | None = None
    """Why it goes where it goes; `None`: all targets of its route were fit for it, in their order."""
    plan: Plan | None = None
    """What was planned, where no choice was made and it is not all targets of its route in their order."""
    _whole_road: Road | None = None
    """All of its route, where it goes along a part of it."""

    _called_at: float | None = None
    """When it had its turn in the queue."""

    @property
    def _now(self) -> float:
        """The moment for which it is planned."""
        return self.began if self._called_at is None else self._called_at

    @abstractmethod
    def _run(self, commands: tuple[machine.Command, ...]) -> None: ...

    def start(self) -> None:
        """Its times are watched from now on; it sets out at once, or when it is let in."""
        engine = self.engine
        engine.enter(self)  # type: ignore[arg-type]  # every one is an `Exchange`
        if self.road.route.hedge is not None:
            engine.may_hedge_later(self.road.route, self.began)
        if engine.admission is None or engine.admission.admit(self):  # type: ignore[arg-type]  # likewise
            self.set_out()

    def set_out(self) -> None:
        """Plan, and send the first attempt."""
        engine, road = self.engine, self.road
        chat = isinstance(self.request, ChatRequest)
        route = road.route if chat else road.vectors
        wish = self.request.wish
        wishes = wish is not None and wish.for_targets
        if (not road.simple or wishes) and (route.policy is not None or wishes or not road.plain(self.request)):
            self._start_by_choice(route)
        elif route.targets and not engine.trouble:
            self._usual = road.usual if chat else road.usual_vectors
            self._state, commands = self._usual.begun
            self._run(commands)
        else:
            self._start_by_plan(route)

    def call(self, now: float) -> None:
        """It is its turn: it waits no more, and is planned for this moment."""
        self._called_at = now
        self.wait_until(inf)

    def refuse(self, failure: Failure) -> None:
        """It is not let in, or waited for nothing: the caller is told."""
        self._state = self._state._replace(phase=machine.Phase.OVER)
        self._refused(failure, failure.retry_after)

    @abstractmethod
    def _refused(self, failure: Failure, retry_after: float | None) -> None: ...

    @property
    def closed_to(self) -> tuple[str, ...]:
        """Targets that its choice left out because they stand at a limit of ours."""
        choice = self.choice
        closed = self.engine.closed
        return (
            ()
            if choice is None or not closed
            else tuple(one.target.name for one in choice.left_out if one.until < inf and one.target.name in closed)
        )

    def _waits_again(self, failure: Failure) -> bool:
        """Nothing was sent, and nothing can be now. It waits where a place will be free in time, or is told otherwise
        than by this failure; False: neither."""
        admission = self.engine.admission
        if admission is None or self._state.sends > self._unsent:
            return False
        told = admission.full(self, failure)  # type: ignore[arg-type]  # every one is an `Exchange`
        if told is not None:
            if told is not failure:
                self._refused(told, told.retry_after)
            return told is not failure
        self._state = _OUTSIDE
        self._usual = self.choice = self.plan = None
        self._unsent = 0
        self._anyway = False
        if self._whole_road is not None:
            self.road = self._whole_road
        return True

    def _start_by_choice(self, route: Route) -> None:
        """By what the request needs and its route says: see `choose`."""
        engine, road, request = self.engine, self.road, self.request
        now = self.began if self._called_at is None else self._called_at
        text, found = self.text, None
        if road.weighs:
            if text is UNSEEN:
                text = self.text = text_of(request)
            if road.settles and text is not None and not engine.trouble and not engine.closed and request.wish is None:
                found = engine.choices.settled(road, request, text, now)
        if found is None:
            found = engine.choices.ready(road, request, self.key, engine.trouble, now, text)
            self._anyway = found.choice.plan.anyway
        choice = self.choice = found.choice
        if found.road is not road:
            self._whole_road = road
            self.road = found.road
            route = found.road.route
        usual = found.usual
        if usual is not None:
            self._usual = usual
            self._state, commands = usual.begun
            self._run(commands)
            return
        chosen = choice.plan.targets
        self._state = machine.State(route, chosen, failures=asked_to_wait(choice, self._now))
        if chosen:
            self._feed(machine.Begin())
        else:
            self._give_up(refused(route, choice, self._now))

    def _start_by_plan(self, route: Route) -> None:
        plans = self.engine.plans
        known = plans.get(route.name)
        if known is None or known.route is not route or self._now >= known.until:
            chosen = plan(route, self.engine.trouble, self._now)
            waits = asked_for_time(chosen, self._now) if chosen.skipped else ()
            if waits or not chosen.targets:
                self._start_short(route, chosen, waits)
                return
            said = None if chosen.targets == route.targets and not chosen.anyway else chosen
            known = Planned(route, chosen.until, chosen.anyway, machine.usual(route, chosen.targets), said)
            if len(plans) >= MAX_DIRECT:
                plans.clear()
            plans[route.name] = known
        self._anyway = known.anyway
        self.plan = known.plan
        self._usual = known.usual
        self._state, commands = known.usual.begun
        self._run(commands)

    def _start_short(self, route: Route, chosen: Plan, waits: tuple[Failure, ...]) -> None:
        """Some targets asked for time, or there is none to be tried."""
        self._anyway = chosen.anyway
        self.plan = chosen
        self._state = machine.State(route, chosen.targets, failures=waits)
        if chosen.targets:
            self._feed(machine.Begin())
        else:
            self._give_up(nothing_left(route, chosen, self._now))

    def _give_up(self, failure: Failure) -> None:
        self._state = self._state._replace(phase=machine.Phase.OVER)
        self._run((machine.Refuse(failure, failure.retry_after),))
