"""What the engine knows of its targets while a request is on its way, and what it tells when nothing is left."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from proxy.core.failure import FailureKind as K
from proxy.core.health import WELL, Standing, standing
from proxy.core.outcome import Ended
from proxy.core.usage import Source
from proxy.engine.roads import MAX_DIRECT
from tests.engine.stage import Flight, Stage, finish, refusal, until, word

OnLoop = Callable[[Callable[[], None]], None]


def limit(flight: Flight, seconds: int = 20) -> None:
    """Answers 429."""
    flight.whole(refusal(429), 429, [(b"retry-after", b"%d" % seconds)])


def test_a_target_that_asked_for_time_meanwhile_is_not_asked_by_those_under_way(on_loop: OnLoop) -> None:
    def story() -> None:
        stage = Stage("ab")
        early, late = stage.ask(stream=False), stage.ask(stream=False)
        stage.flights[1].fail(K.RESET)
        limit(stage.flights[2])
        assert late.client.failure is not None and late.client.failure.kind is K.RATE_LIMITED
        stage.flights[0].fail(K.RESET)
        assert len(stage.flights) == 3
        assert early.client.failure is not None and early.client.failure.kind is K.RATE_LIMITED
        assert early.client.retry_after is not None and 19 < early.client.retry_after <= 20

    on_loop(story)


def test_a_target_whose_circuit_opened_meanwhile_costs_those_under_way_nothing(on_loop: OnLoop) -> None:
    def story() -> None:
        stage = Stage("abc", direct=True)
        one = stage.ask(stream=False)
        stage.fails("b")
        sent = len(stage.flights)
        stage.flights[0].fail(K.RESET)
        assert [f.origin.host for f in stage.flights[sent:]] == ["c.test"]
        stage.flights[-1].whole()
        assert one.client.ends == ["whole"]

    on_loop(story)


def test_a_half_open_target_is_probed_by_one_request_though_it_is_the_second_of_several(on_loop: OnLoop) -> None:
    def story() -> None:
        stage = Stage("abc", direct=True)
        stage.fails("b")
        state = stage.engine.health["b/m"]
        stage.engine.health["b/m"] = stage.engine.trouble["b/m"] = state._replace(open_until=0.0)
        several = [stage.ask(stream=False) for _ in range(3)]
        sent = len(stage.flights)
        for flight in stage.flights[sent - 3 : sent]:
            flight.fail(K.RESET)
        assert [f.origin.host for f in stage.flights[sent:]] == ["b.test", "c.test", "c.test"]
        for flight in stage.flights[sent:]:
            flight.whole()
        assert all(one.client.ends == ["whole"] for one in several)
        assert standing(stage.engine.health["b/m"], 0.0) is Standing.WELL

    on_loop(story)


def test_when_all_are_open_they_are_tried_in_order_all_the_same(on_loop: OnLoop) -> None:
    def story() -> None:
        stage = Stage("ab", direct=True)
        stage.fails("a")
        stage.fails("b")
        sent = len(stage.flights)
        one = stage.ask(stream=False)
        stage.flights[-1].fail(K.REFUSED)
        stage.flights[-1].whole()
        assert [f.origin.host for f in stage.flights[sent:]] == ["a.test", "b.test"]
        assert one.client.ends == ["whole"]

    on_loop(story)


def test_when_the_rest_fails_the_client_learns_of_the_one_that_asked_for_time(on_loop: OnLoop) -> None:
    """The second request gets no worse an answer than the first, which saw the 429 itself."""

    def story() -> None:
        stage = Stage("ab")
        first, second = stage.ask(stream=False), None
        limit(stage.flights[0])
        stage.flights[1].fail(K.REFUSED)
        second = stage.ask(stream=False)
        assert stage.flights[2].origin.host == "b.test"
        stage.flights[2].fail(K.REFUSED)
        for one in (first, second):
            assert one.client.failure is not None and one.client.failure.kind is K.RATE_LIMITED
            assert one.client.retry_after is not None and 19 < one.client.retry_after <= 20

    on_loop(story)


def test_a_retry_at_the_same_target_is_not_held_off_by_its_own_failure() -> None:
    async def story() -> None:
        stage = Stage("ab", retry={"same_target": 1, "patience": 30})
        stage.ask(stream=False)
        stage.flights[0].whole(refusal(429), 429, [(b"retry-after-ms", b"30")])
        await until(lambda: len(stage.flights) == 2)
        assert stage.flights[1].origin.host == "a.test"
        stage.flights[1].whole()

    asyncio.run(story())


def test_a_cancelled_call_that_was_never_written_used_nothing(on_loop: OnLoop) -> None:
    def story() -> None:
        stage = Stage("a")
        for dialing in (True, False):
            stage.net.dialing = dialing
            stage.ask().exchange.gone()
        unsent, sent = stage.books.outcomes
        assert unsent.ended is sent.ended is Ended.CANCELLED
        assert unsent.usage is None and unsent.cost is None
        assert sent.usage is not None and sent.usage.source is Source.ESTIMATED and sent.cost

    on_loop(story)


def test_a_connection_that_breaks_after_the_last_finish_reason_takes_nothing_from_the_answer(on_loop: OnLoop) -> None:
    def story() -> None:
        stage = Stage("ab")
        one = stage.ask()
        stage.flights[0].stream(word("Hello"), finish())
        stage.flights[0].fail(K.RESET)
        assert one.client.ends == ["closed"]
        assert stage.engine.health["a/m"].in_a_row == 0

    on_loop(story)


def test_callers_who_name_targets_directly_cannot_fill_the_memory(on_loop: OnLoop) -> None:
    def story() -> None:
        stage = Stage("a", direct=True)
        stage.ask(stream=False)
        stage.flights[0].whole()
        for n in range(MAX_DIRECT + 50):
            stage.ask(f"b/made-up-{n}", stream=False)
            stage.flights.pop().whole(refusal(404), 404)
        assert len(stage.engine.health) <= MAX_DIRECT + 1
        assert len(stage.engine.trouble) <= MAX_DIRECT
        assert stage.engine.health["a/m"] != WELL, "a route's own target is remembered"

    on_loop(story)


def test_a_target_named_directly_shares_the_limit_of_the_one_in_a_route(on_loop: OnLoop) -> None:
    def story() -> None:
        stage = Stage("a", direct=True, concurrency=1)
        stage.ask(stream=False)
        full = stage.ask("a/m", stream=False)
        assert full.client.failure is not None and full.client.failure.kind is K.BUSY
        stage.flights[0].whole()
        assert stage.ask("a/m", stream=False).client.ends == []
        gates = len(stage.gates)
        for n in range(MAX_DIRECT + 50):
            stage.ask(f"a/made-up-{n}", stream=False)
            stage.flights.pop().fail(K.REFUSED)
            stage.books.outcomes.clear()
        assert len(stage.gates) <= gates + MAX_DIRECT

    on_loop(story)
