"""The engine's clockwork: each time is watched, whichever is the shortest, and no answer is lost to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from proxy.core.failure import FailureKind as K
from proxy.core.outcome import Ended
from proxy.core.usage import Source
from tests.engine.stage import DONE, JSON, SSE, Stage, answer, finish, refusal, until, word

OnLoop = Callable[[Callable[[], None]], None]


def test_a_stall_is_noticed_after_the_idle_time_though_first_is_longer(on_loop: OnLoop) -> None:
    def story() -> None:
        stage = Stage()
        one = stage.ask()
        stage.flights[0].stream(word("Hello"))
        one.pass_time(1.9)
        assert not one.client.ends
        one.pass_time(2.1)
        assert one.client.ends == ["broken"]
        assert stage.books.outcomes[0].failure is K.IDLE_TIMEOUT
        assert stage.flights[0].aborted

    on_loop(story)


def test_before_the_first_content_the_idle_time_does_not_run(on_loop: OnLoop) -> None:
    def story() -> None:
        stage = Stage("a")
        one = stage.ask()
        stage.flights[0].stream(b": still thinking\n\n")
        one.pass_time(9.9)
        assert not one.client.ends
        one.pass_time(10.1)
        assert one.client.failure is not None and one.client.failure.kind is K.FIRST_TIMEOUT

    on_loop(story)


def test_half_a_whole_answer_is_waited_for_no_longer_than_the_idle_time(on_loop: OnLoop) -> None:
    def story() -> None:
        stage = Stage("a")
        one = stage.ask(stream=False)
        stage.flights[0].sink.on_head(200, JSON)
        stage.flights[0].sink.on_data(answer()[:50])
        one.pass_time(2.1)
        assert one.client.failure is not None and one.client.failure.kind is K.IDLE_TIMEOUT

    on_loop(story)


def test_a_targets_total_is_watched_though_it_is_the_shortest(on_loop: OnLoop) -> None:
    def story() -> None:
        target = {"target": "a/m", "timeouts": {"first": 30, "idle": 30, "total": 1}}
        stage = Stage([target, "b"])
        one = stage.ask()
        one.pass_time(1.1)
        assert stage.books.outcomes[0].failure is K.TOTAL_TIMEOUT
        assert len(stage.flights) == 2 and not one.client.ends

    on_loop(story)


def test_a_slow_client_is_no_fault_of_the_upstream(on_loop: OnLoop) -> None:
    def story() -> None:
        stage = Stage("a")
        one = stage.ask(slow=True)
        stage.flights[0].stream(word("Hello"))
        assert stage.flights[0].paused
        one.pass_time(30)
        assert not one.client.ends
        one.client.slow = False
        one.exchange.ready()
        assert stage.flights[0].resumed
        stage.flights[0].sink.on_data(word(" again") + finish() + DONE)
        assert one.client.ends == ["closed"]

    on_loop(story)


def test_after_a_slow_client_has_caught_up_a_stall_is_noticed_as_ever(on_loop: OnLoop) -> None:
    def story() -> None:
        stage = Stage("a")
        one = stage.ask(slow=True)
        stage.flights[0].stream(word("Hello"))
        one.pass_time(5)
        one.client.slow = False
        one.exchange.ready()
        one.pass_time(8)
        assert one.client.ends == ["broken"]

    on_loop(story)


@pytest.mark.parametrize("said", ["Hello", ""])
def test_a_finished_stream_that_does_not_end_is_taken_for_ended_soon(on_loop: OnLoop, said: str) -> None:
    """With something said it is whole; with nothing it is empty, and another target is asked."""

    def story() -> None:
        stage = Stage()
        one = stage.ask()
        stage.flights[0].stream(word(said), finish())
        one.pass_time(3)
        assert stage.flights[0].aborted
        if said:
            assert one.client.ends == ["closed"]
            assert stage.books.outcomes[0].ended is Ended.SERVED
        else:
            assert one.client.opened is None and len(stage.flights) == 2
            assert stage.books.outcomes[0].failure is K.EMPTY_ANSWER

    on_loop(story)


def test_an_answer_whose_usage_alone_is_missing_at_the_deadline_is_whole(on_loop: OnLoop) -> None:
    def story() -> None:
        stage = Stage("a", timeouts={"first": 30, "idle": 30, "total": 1})
        one = stage.ask()
        stage.flights[0].stream(word("Hello"), finish())
        one.pass_time(1.1)
        assert one.client.ends == ["closed"]
        usage = stage.books.outcomes[0].usage
        assert usage is not None and usage.source is Source.ESTIMATED

    on_loop(story)


def test_nothing_is_sent_any_more_when_the_deadline_is_past(on_loop: OnLoop) -> None:
    """Neither after a stream that finished without a word, nor after a failure that the clock had not come to yet."""

    def story() -> None:
        stage = Stage("abc", timeouts={"first": 30, "idle": 30, "total": 20})
        one, other = stage.ask(), stage.ask()
        stage.flights[0].stream(finish())
        one.exchange.tick(one.exchange.deadline)
        assert one.client.ends == ["refused"]
        other.exchange.deadline = other.exchange.began
        stage.flights[1].fail(K.RESET)
        assert other.client.ends == ["refused"]
        assert len(stage.flights) == 2 and all(o.ended is Ended.FAILED for o in stage.books.outcomes)

    on_loop(story)


def test_at_the_deadline_a_request_ends_wherever_it_stands(on_loop: OnLoop) -> None:
    def story() -> None:
        stage = Stage("a", retry={"same_target": 1, "patience": 50})
        waiting, sent = stage.ask(stream=False), stage.ask(stream=False)
        stage.flights[0].whole(refusal(503), 503, [(b"retry-after", b"40")])
        waiting.exchange.tick(waiting.exchange.deadline)
        sent.exchange.tick(sent.exchange.deadline)
        for one in (waiting, sent):
            assert one.client.failure is not None and one.client.failure.kind is K.TOTAL_TIMEOUT
        assert not stage.engine.live and not stage.busy()

    on_loop(story)


def test_an_error_is_known_by_its_status_though_its_body_never_comes(on_loop: OnLoop) -> None:
    def story() -> None:
        stage = Stage("ab")
        stage.ask(stream=False)
        first = stage.flights[0]
        first.sink.on_head(429, [(b"retry-after", b"9")])
        first.fail(K.RESET)
        other = stage.ask(stream=False)
        assert stage.flights[-1].origin.host == "b.test", "the first one asked for time"
        assert stage.books.outcomes[0].failure is K.RATE_LIMITED
        stage.flights[-1].sink.on_head(503, [])
        other.pass_time(2.1)
        assert stage.books.outcomes[1].failure is K.OVERLOADED

    on_loop(story)


def test_one_request_whose_look_goes_wrong_does_not_stop_the_clock_for_the_others() -> None:
    class Broken:
        due = 0.0

        def tick(self, now: float) -> None:
            raise RuntimeError("a defect")

    async def story() -> None:
        heard: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: heard.append(context))
        stage = Stage("a", timeouts={"first": 0.1, "idle": 0.1, "total": 1})
        broken: Any = Broken()
        stage.engine.enter(broken)
        one = stage.ask(stream=False)
        await until(lambda: bool(one.client.ends))
        assert heard
        stage.engine.leave(broken)
        await asyncio.sleep(0.1)

    asyncio.run(story())


def test_a_content_type_that_says_the_wrong_kind_of_answer_is_judged_at_once(on_loop: OnLoop) -> None:
    def story() -> None:
        stage = Stage()
        stage.ask(stream=False)
        stage.flights[0].sink.on_head(200, SSE)
        assert stage.flights[0].aborted
        assert stage.books.outcomes[0].failure is K.WRONG_TYPE
        assert len(stage.flights) == 2

    on_loop(story)
