"""Who finds no place waits: in which order they have their turns, and how a wait ends."""

from __future__ import annotations

import asyncio

from proxy.app.limiting import terms_of
from proxy.core.failure import FailureKind
from proxy.core.limiting.values import Limits, Rate
from tests.engine.limited import Limited, turns
from tests.engine.stage import refusal, until

QUEUE = {"size": 3, "wait": 30}


def test_who_finds_all_places_taken_waits_and_goes_first_in_first_out() -> None:
    async def story() -> None:
        stage = Limited("a", backends={"a": {"concurrency": 1}}, queue=QUEUE)
        first = stage.come("k")
        waiting = [stage.come("k", user=str(n)) for n in range(3)]
        assert stage.waiting == 3 and len(stage.flights) == 1
        for n, one in enumerate(waiting):
            stage.flights[-1].whole()
            await turns()
            assert len(stage.flights) == n + 2 and stage.flights[-1].asked["user"] == str(n)
            assert one.client.ends == []
        stage.flights[-1].whole()
        assert all(one.client.ends == ["whole"] for one in [first, *waiting])
        assert first.client.won is not None and first.client.won.queued == 0
        assert waiting[0].client.won is not None and waiting[0].client.won.queued > 0
        assert stage.busy() == 0 and stage.waiting == 0

    asyncio.run(story())


def test_never_more_than_there_are_places_go_at_once_and_nobody_is_lost() -> None:
    async def story() -> None:
        stage = Limited("ab", backends={n: {"concurrency": 2} for n in "ab"}, queue={"size": 100, "wait": 30})
        asked = [stage.come(f"k{n % 5}", priority=("high", "normal", "low")[n % 3]) for n in range(60)]
        done = 0
        while done < 60:
            open_ = [flight for flight in stage.flights if flight not in finished]
            assert len(open_) == min(4, 60 - done)
            finished.append(open_[done % len(open_)])
            open_[done % len(open_)].whole()
            done += 1
            await turns()
        assert all(one.client.ends == ["whole"] for one in asked)
        assert stage.busy() == 0

    finished: list[object] = []
    asyncio.run(story())


def test_one_key_that_floods_does_not_keep_the_others_waiting() -> None:
    async def story() -> None:
        stage = Limited("a", backends={"a": {"concurrency": 1}}, queue={"size": 200, "wait": 30})
        for _ in range(100):
            stage.come("flood", user="flood")
        for name in ("x", "y"):
            stage.come(name, user=name)
        for _ in range(5):
            stage.flights[-1].whole()
            await turns()
        assert {flight.asked["user"] for flight in stage.flights} == {"flood", "x", "y"}

    asyncio.run(story())


def test_whoever_comes_later_does_not_go_before_those_who_wait() -> None:
    async def story() -> None:
        stage = Limited("a", backends={"a": {"concurrency": 1}}, queue=QUEUE)
        stage.come()
        stage.come(user="waits")
        stage.flights[0].whole()
        late = stage.come(user="late")  # before anybody was called
        assert len(stage.flights) == 1 and late.client.ends == []
        await turns()
        assert [flight.asked.get("user") for flight in stage.flights] == [None, "waits"]
        stage.flights[1].whole()
        await turns()
        assert stage.flights[2].asked["user"] == "late"

    asyncio.run(story())


def test_a_full_queue_refuses_with_a_time_and_a_place_is_free_as_soon_as_one_leaves() -> None:
    async def story() -> None:
        stage = Limited("a", backends={"a": {"concurrency": 1}}, queue={"size": 2, "wait": 30})
        stage.come()
        waiting = [stage.come(), stage.come()]
        refused = stage.come().client
        assert refused.failure is not None and refused.failure.verdict.status == 503
        assert "Too many requests are waiting" in refused.failure.message
        assert refused.retry_after is not None and refused.retry_after >= 1
        waiting[0].exchange.gone()
        assert stage.waiting == 1
        assert stage.come().client.ends == []
        assert stage.books.finishes[-1].status == 499

    asyncio.run(story())


def test_each_priority_has_its_own_bounds() -> None:
    async def story() -> None:
        queue = {"size": 10, "wait": 30, "priorities": {"low": {"size": 1, "wait": 1}}}
        stage = Limited("a", backends={"a": {"concurrency": 1}}, queue=queue)
        stage.come()
        low = stage.come(priority="low")
        assert stage.come(priority="low").client.ends == ["refused"]
        normal = stage.come()
        assert stage.waiting == 2 and stage.limiter.waiting.depth("low") == 1
        low.pass_time(2)
        assert low.client.failure is not None and low.client.failure.verdict.status == 503
        assert "No place for route 'chat' within" in low.client.failure.message
        assert normal.client.ends == [] and stage.waiting == 1

    asyncio.run(story())


def test_a_rate_that_opens_in_time_is_waited_for_and_one_that_does_not_is_not() -> None:
    async def story() -> None:
        soon = {"windows": [{"requests": 1, "per": "50ms"}]}
        stage = Limited("a", backends={"a": {"limits": soon}}, queue=QUEUE)
        stage.come(), stage.come()
        assert len(stage.flights) == 1 and stage.waiting == 1
        await until(lambda: len(stage.flights) == 2)
        stage = Limited("a", backends={"a": {"limits": {"rpm": 1}}}, queue=QUEUE)
        stage.come()
        refused = stage.come().client
        assert refused.ends == ["refused"] and refused.retry_after is not None and refused.retry_after > 59

    asyncio.run(story())


def test_a_key_over_its_own_limit_waits_without_keeping_others() -> None:
    async def story() -> None:
        limits = Limits((Rate("requests", 1, 0.05),))
        stage = Limited("a", keys={"k": (limits, 1.0)}, queue=QUEUE)
        stage.come("k", user="1"), stage.come("k", user="2"), stage.come("k", user="3"), stage.come("o", user="o")
        assert [flight.asked["user"] for flight in stage.flights] == ["1", "o"]
        await until(lambda: len(stage.flights) == 4)
        assert [flight.asked["user"] for flight in stage.flights] == ["1", "o", "2", "3"]

    asyncio.run(story())


def test_a_wait_for_a_place_of_a_key_ends_when_one_of_its_requests_does() -> None:
    async def story() -> None:
        stage = Limited("a", keys={"k": (Limits(concurrency=1), 1.0)}, queue=QUEUE)
        stage.come("k"), stage.come("k")
        assert len(stage.flights) == 1
        stage.flights[0].whole()
        await turns()
        assert len(stage.flights) == 2

    asyncio.run(story())


def test_a_waiting_stream_is_kept_alive_and_a_deadline_holds() -> None:
    async def story() -> None:
        stage = Limited("a", backends={"a": {"concurrency": 1}}, queue={"size": 3, "wait": "10m"}, keep_alive=15)
        stage.come()
        waits = stage.come(stream=True)
        waits.pass_time(16)
        assert waits.client.body == b": wayline waiting for a place\n\n"
        waits.pass_time(61)
        assert waits.client.failure is not None and waits.client.failure.kind is FailureKind.TOTAL_TIMEOUT
        assert stage.waiting == 0

    asyncio.run(story())


def test_at_shutdown_those_who_wait_are_refused_at_once_and_those_under_way_go_on() -> None:
    async def story() -> None:
        stage = Limited("a", backends={"a": {"concurrency": 1}}, queue=QUEUE)
        first, waits = stage.come(), stage.come()
        stage.limiter.waiting.drain()
        assert waits.client.failure is not None and waits.client.failure.kind is FailureKind.DRAINING
        assert waits.client.failure.verdict.status == 503
        assert stage.come().client.ends == ["refused"]
        stage.flights[0].whole()
        assert first.client.ends == ["whole"]

    asyncio.run(story())


def test_one_whose_turn_raises_does_not_keep_the_next() -> None:
    async def story() -> None:
        stage = Limited("a", backends={"a": {"concurrency": 1}}, queue=QUEUE)
        stage.come()
        broken, good = stage.come(), stage.come()
        raised: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: raised.append(context["exception"]))
        broken.exchange.road = None  # type: ignore[assignment]  # so that it cannot set out
        stage.flights[0].whole()
        await turns()
        assert len(raised) == 1 and len(stage.flights) == 2
        assert good.exchange._live

    asyncio.run(story())


def test_a_target_that_nobody_else_may_serve_is_waited_for_while_others_are_free() -> None:
    async def story() -> None:
        sees = {"target": "a/m", "concurrency": 1, "capabilities": {"vision": True}}
        blind = {"target": "b/m", "capabilities": {"vision": False}}
        stage = Limited([sees, blind], queue=QUEUE)
        picture = [
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}]}
        ]
        stage.come(messages=picture, user="1"), stage.come(messages=picture, user="2"), stage.come(user="3")
        assert [(flight.at, flight.asked["user"]) for flight in stage.flights] == [("a", "1"), ("b", "3")]
        stage.flights[0].whole()
        await turns()
        assert (stage.flights[2].at, stage.flights[2].asked["user"]) == ("a", "2")

    asyncio.run(story())


def test_a_target_that_asked_for_a_little_time_is_waited_for() -> None:
    async def story() -> None:
        stage = Limited("a", queue=QUEUE)
        stage.come()
        headers = [(b"content-type", b"application/json"), (b"retry-after-ms", b"60")]
        stage.flights[0].whole(refusal(429), status=429, headers=headers)
        waits = stage.come()
        assert stage.waiting == 1 and len(stage.flights) == 1
        await until(lambda: len(stage.flights) == 2)
        stage.flights[1].whole(refusal(429), status=429, headers=[*headers[:1], (b"retry-after", b"600")])
        assert waits.client.ends == ["refused"]
        assert stage.come().client.ends == ["refused"]

    asyncio.run(story())


def test_limits_that_change_while_somebody_waits_leave_nothing_behind() -> None:
    async def story() -> None:
        keys = {"k": (Limits(concurrency=1), 1.0)}
        stage = Limited("a", keys=keys, queue=QUEUE)
        stage.come("k"), stage.come("k")
        terms = terms_of(stage.config)
        stage.limiter.adopt(terms._replace(all=Limits(concurrency=10)))
        stage.come("k")
        assert stage.waiting == 2
        for n in range(3):
            stage.flights[n].whole()
            await turns()
        assert [scope.waiting for scope in stage.limiter.scopes()] == [0, 0]
        assert len(stage.flights) == 3 and stage.waiting == 0
        assert stage.come("other").client.ends == []

    asyncio.run(story())


def test_one_whose_first_target_failed_goes_on_before_those_who_wait() -> None:
    async def story() -> None:
        stage = Limited("ab", backends={"a": {"concurrency": 1}, "b": {"concurrency": 1}}, queue=QUEUE)
        first, second = stage.come(user="1"), stage.come(user="2")
        stage.come(user="waits")
        stage.flights[1].whole()
        stage.flights[0].fail(FailureKind.RESET)  # before the one who waits was called
        assert [flight.at for flight in stage.flights] == ["a", "b", "b"]
        assert stage.flights[2].asked["user"] == "1"
        await turns()
        assert stage.flights[3].asked["user"] == "waits"
        assert first.client.ends == [] and second.client.ends == ["whole"]

    asyncio.run(story())


def test_where_others_wait_for_a_limit_and_this_route_has_no_queue_that_is_said() -> None:
    async def story() -> None:
        stage = Limited("a", queue=QUEUE)
        stage.limiter.adopt(terms_of(stage.config)._replace(all=Limits(concurrency=1)))
        stage.come(), stage.come()
        stage.flights[0].whole()
        late = stage.come()
        assert stage.waiting == 2 and late.client.ends == []
        scope = next(iter(stage.limiter.scopes()))
        assert scope.refusal(0.0, 0.0).message == "Others wait for the limit of this gateway already."

    asyncio.run(story())
