"""Whatever upstreams and clients do, in any order: one end for each request, one outcome for each send, no leak."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.failure import FailureKind as K
from proxy.core.outcome import Ended
from tests.engine.stage import DONE, JSON, SSE, Asked, Flight, Stage, answer, finish, refusal, word
from tests.examples import many

PIECES = st.sampled_from(
    [
        word("Hello"),
        word(""),
        finish(),
        finish("content_filter"),
        DONE,
        b": ping\n\n",
        b'data: {"error": {"message": "x", "type": "server_error"}}\n\n',
        b"data: {not JSON\n\n",
        b"data: ",
        answer(),
        answer()[:40],
        refusal(500),
    ]
)
HEADS = st.sampled_from([(200, SSE), (200, JSON), (200, []), (429, [(b"retry-after", b"3")]), (500, []), (400, JSON)])
KINDS = st.sampled_from([K.REFUSED, K.RESET, K.TRUNCATED, K.EMPTY_REPLY, K.DNS, K.CONNECT_TIMEOUT])
NOTHING = st.just(None)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["head", "data", "data", "data", "end", "fail", "gone", "ready", "slow", "look", "deadline"]),
        st.integers(0, 1),
        HEADS,
        PIECES,
        KINDS,
    ),
    max_size=30,
)


class Play:
    """Two requests over the same targets; steps go to the flight that is under way for one of them."""

    def __init__(self, stage: Stage, stream: bool) -> None:
        self.stage = stage
        self.asked: list[Asked] = []
        self.flights: list[list[Flight]] = [[], []]
        self.headed: set[int] = set()
        self.ended: set[int] = set()
        self.seen = 0
        for n in range(2):
            self.asked.append(stage.ask(stream=stream))
            self._adopt(n)

    def _adopt(self, n: int) -> None:
        """New calls belong to the request that just had its turn."""
        self.flights[n] += self.stage.flights[self.seen :]
        self.seen = len(self.stage.flights)

    def live(self, n: int) -> Flight | None:
        """The call of a request that the network may still say something of."""
        found = [f for f in self.flights[n] if not f.aborted and id(f) not in self.ended]
        return found[-1] if found else None

    def take(self, step: str, n: int, head: tuple[int, list[tuple[bytes, bytes]]], piece: bytes, kind: K) -> None:
        """One step, as far as the contracts of network and client allow it now."""
        one, flight = self.asked[n], self.live(n)
        if step == "gone":
            one.exchange.gone()
        elif step == "deadline":
            one.exchange.tick(one.exchange.deadline)
        elif step == "look":
            one.exchange.tick(one.exchange.due)
        elif step == "slow":
            one.client.slow = True
        elif step == "ready":
            one.client.slow = False
            one.exchange.ready()
        elif flight is not None:
            self._network(flight, step, head, piece, kind)
        self._adopt(n)

    def _network(
        self, flight: Flight, step: str, head: tuple[int, list[tuple[bytes, bytes]]], piece: bytes, kind: K
    ) -> None:
        headed = id(flight) in self.headed
        if step == "fail":
            self.ended.add(id(flight))
            flight.fail(kind)
        elif step == "head" and not headed:
            self.headed.add(id(flight))
            flight.sink.on_head(*head)
        elif step == "data" and headed:
            flight.sink.on_data(piece)
        elif step == "end" and headed:
            self.ended.add(id(flight))
            flight.sink.on_end()


POLICIES = st.sampled_from(
    [
        {"on_cut": "error"},
        {"on_cut": "error", "concurrency": 1},
        {"on_cut": "hold"},
        {"on_cut": "continue", "continue": {"by": ["replay", "ask"]}},
        {"on_cut": "error", "hedge": {"after": 1, "max": 2, "budget": "100%"}},
        {"on_cut": "error", "max_attempts": 1},
    ]
)


@settings(deadline=None, max_examples=many(300))
@given(STEPS, st.booleans(), POLICIES)
def test_one_end_for_each_request_and_one_outcome_for_each_send(
    steps: list[tuple[str, int, tuple[int, list[tuple[bytes, bytes]]], bytes, K]], stream: bool, policy: dict[str, Any]
) -> None:
    def story() -> None:
        stage = Stage("abc", retry={"same_target": 0}, **policy)
        play = Play(stage, stream)
        for step in steps:
            play.take(*step)
        for one in play.asked:
            one.exchange.tick(one.exchange.deadline)
        check(stage, play, going_on=policy["on_cut"] == "continue")

    run(story)


def check(stage: Stage, play: Play, *, going_on: bool) -> None:
    """What holds when all is over."""
    books = stage.books
    for one in play.asked:
        gone = any(f.request_id == one.exchange.request_id and f.ended is Ended.CANCELLED for f in books.finishes)
        assert len(one.client.ends) == int(not gone)
        mine = [o for o in books.outcomes if o.request_id == one.exchange.request_id]
        assert sorted(o.attempt for o in mine) == list(range(1, len(mine) + 1))
        assert sum(o.ended is Ended.SERVED for o in mine) == int(one.client.ends in (["whole"], ["closed"]))
        if not going_on:
            assert sum(o.ended in (Ended.CUT, Ended.SERVED) for o in mine) <= 1
        assert all(o.usage is None or o.cost is not None for o in mine)
    assert len(books.finishes) == 2
    assert len(books.outcomes) == len(stage.flights)
    assert stage.busy() == 0
    assert not stage.engine.live
    answered = {id(f) for f in stage.flights} - play.ended
    assert all(f.aborted for f in stage.flights if id(f) in answered and not served(play, f))


def served(play: Play, flight: Flight) -> bool:
    """It gave the whole answer, and has a moment to end its response in peace."""
    whole = (["whole"], ["closed"])
    return any(one.client.ends in whole and flight in play.flights[n] for n, one in enumerate(play.asked))


def run(story: Callable[[], None]) -> None:
    """On an event loop, which nothing here waits for."""

    async def told() -> None:
        story()

    asyncio.run(told())
