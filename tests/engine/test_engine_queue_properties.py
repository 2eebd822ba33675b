"""Whatever comes, leaves, fails or is answered in whatever order: places are never exceeded, and nobody is lost."""

from __future__ import annotations

import asyncio
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.failure import FailureKind
from proxy.core.limiting.values import Limits
from tests.engine.limited import Limited, turns
from tests.engine.stage import Asked, Flight, refusal

PLACES = {"a": 2, "b": 1}
KEYS = {"k0": (Limits(concurrency=2), 1.0), "k1": (Limits(), 2.0), "k2": (Limits(), 1.0)}
STEP = st.tuples(
    st.sampled_from(["come", "come", "come", "answer", "answer", "refuse", "break", "leave", "late", "turn"]),
    st.integers(0, 50),
)


class Story:
    """One of them."""

    def __init__(self) -> None:
        backends = {name: {"concurrency": places} for name, places in PLACES.items()}
        queue = {"size": 6, "wait": 30, "priorities": {"low": {"size": 2}}}
        self.stage = Limited("ab", backends=backends, keys=KEYS, queue=queue, limits={"concurrency": 5})
        self.asked: list[Asked] = []
        self.over: set[int] = set()

    @property
    def open(self) -> list[Flight]:
        """Calls that the upstreams have not answered."""
        return [one for n, one in enumerate(self.stage.flights) if n not in self.over and not one.aborted]

    def _pick(self, n: int) -> Flight | None:
        found = self.open
        if not found:
            return None
        flight = found[n % len(found)]
        self.over.add(self.stage.flights.index(flight))
        return flight

    def step(self, what: str, n: int) -> None:
        """One thing that happens."""
        live = [one for one in self.asked if not one.client.ends and not one.exchange.over]
        if what == "come":
            self.asked.append(self.stage.come(f"k{n % 3}", priority=("", "high", "low")[n % 5 % 3]))
        elif what == "leave" and live:
            live[n % len(live)].exchange.gone()
        elif what == "late" and live:
            one = live[n % len(live)]
            if one.exchange.held is not None and one.exchange.held.ticket is not None:
                one.exchange.tick(one.exchange.held.until)
        elif what in ("answer", "refuse", "break") and (flight := self._pick(n)) is not None:
            if what == "answer":
                flight.whole()
            elif what == "refuse":
                flight.whole(refusal(400), status=400)
            else:
                flight.fail(FailureKind.RESET)

    def check(self) -> None:
        """What always holds."""
        busy = Counter(flight.at for flight in self.open)
        assert all(busy[name] <= places for name, places in PLACES.items())
        assert self.stage.waiting <= 6
        waiting = [one for one in self.asked if one.exchange.held is not None and one.exchange.held.ticket is not None]
        assert len(waiting) == self.stage.waiting
        for one in self.asked:
            done = bool(one.client.ends) or one.exchange.over
            assert done != (one in waiting or bool(one.exchange._live)), "it is over, waits, or is under way"


@settings(max_examples=80, deadline=None)
@given(st.lists(STEP, min_size=5, max_size=60))
def test_places_are_never_exceeded_and_nobody_is_lost(steps: list[tuple[str, int]]) -> None:
    async def told() -> None:
        story = Story()
        for what, n in steps:
            story.step(what, n)
            if what == "turn":
                await turns()
            story.check()
        await turns()
        for _ in range(200):  # all are answered in the end
            if not story.open:
                break
            story.step("answer", 0)
            await turns()
            story.check()
        assert story.stage.waiting == 0 and story.stage.busy() == 0
        assert all(one.exchange.over for one in story.asked)
        limiter = story.stage.limiter
        assert all(scope.busy == 0 == scope.waiting for scope in (*limiter._keys.values(), *limiter._routes.values()))
        gates = [
            gate for road in story.stage.roads.by_name.values() for lane in road.lanes.values() for gate in lane.gates
        ]
        assert all(gate.waiting == 0 for gate in gates)

    asyncio.run(told())
