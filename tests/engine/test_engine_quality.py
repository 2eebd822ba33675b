"""Answers are evaluated when the client has them; where the route says so, a bad one is asked for again elsewhere."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from proxy.core.failure import FailureKind
from proxy.core.outcome import Ended
from proxy.core.quality.policy import Quality
from proxy.core.quality.standing import LEAST, Standing, moved
from proxy.engine.judging import Judge
from proxy.engine.overheard import MOST
from tests.engine.attentive import Attentive
from tests.engine.stage import DONE, Asked, answer, finish, until, word

Story = Callable[[Callable[[], None]], None]
QUESTION = "Why is the sky blue?"
GOOD = "The sky is blue because air scatters blue light more than red light."
REFUSED = "I'm sorry, but I can't help with that."
ALL = {"share": 1}
AGAIN = {"retry_low_quality": True, "min_quality": 0.8}


def ask(stage: Attentive, *, stream: bool = False) -> Asked:
    """One question."""
    return stage.say(QUESTION, stream=stream)


# By and by ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_is_evaluated_once_the_client_has_all_of_it(stream: bool) -> None:
    async def story() -> None:
        stage = Attentive(quality=ALL)
        one = ask(stage, stream=stream)
        if stream:
            stage.flights[0].stream(word(GOOD[:30]), word(GOOD[30:]), finish(), DONE)
        else:
            stage.flights[0].whole(answer(GOOD))
        assert one.client.ends and not stage.engine.assessor.standings
        await stage.engine.assessor.settled()
        stands = stage.engine.assessor.standings["a/m"]
        assert stands.answers == 1 and stands.value > 0.9

    asyncio.run(story())


def test_a_share_of_none_looks_at_none() -> None:
    async def story() -> None:
        stage = Attentive(quality={"share": 0})
        for _ in range(20):
            ask(stage)
            stage.flights[-1].whole(answer(REFUSED))
        await stage.engine.assessor.settled()
        assert not stage.engine.assessor.standings

    asyncio.run(story())


def test_what_was_cut_refused_or_left_is_not_evaluated() -> None:
    async def story() -> None:
        stage = Attentive(quality=ALL, max_attempts=1)
        ask(stage)
        stage.flights[0].fail(FailureKind.RESET)
        ask(stage, stream=True)
        stage.flights[1].stream(word(GOOD))
        stage.flights[1].fail(FailureKind.RESET)
        ask(stage, stream=True).exchange.gone()
        await stage.engine.assessor.settled()
        assert not stage.engine.assessor.standings

    asyncio.run(story())


def test_what_waits_for_its_evaluation_is_bounded() -> None:
    async def story() -> None:
        stage = Attentive(quality=ALL)
        for _ in range(100):
            ask(stage)
            stage.flights[-1].whole(answer(GOOD))
        assert stage.engine.assessor.passed_over > 0
        await stage.engine.assessor.settled()
        known = stage.engine.assessor
        assert known.standings["a/m"].answers + known.passed_over == 100

    asyncio.run(story())


def test_an_endless_stream_is_not_kept() -> None:
    async def story() -> None:
        stage = Attentive(quality=ALL)
        ask(stage, stream=True)
        flight = stage.flights[0]
        flight.stream(word("x"))
        for _ in range(MOST // 200_000 + 2):
            flight.sink.on_data(word("y" * 200_000))
        flight.sink.on_data(finish() + DONE)
        await stage.engine.assessor.settled()
        assert not stage.engine.assessor.standings

    asyncio.run(story())


def test_a_target_that_gets_worse_raises_an_alert_and_clears_it() -> None:
    async def story() -> None:
        stage = Attentive(quality={"share": 1, "min_quality": 0.7})
        noted: list[tuple[str, str, bool]] = []

        def note(kind: str, subject: str, on: bool, message: str = "", **about: object) -> None:
            noted.append((kind, subject, on))
            assert GOOD not in message and REFUSED not in message

        stage.engine.assessor.note = note
        for text, times in ((GOOD, LEAST), (REFUSED, 20), (GOOD, 40)):
            for _ in range(times):
                ask(stage)
                stage.flights[-1].whole(answer(text))
                await stage.engine.assessor.settled()
        assert noted == [("quality", "a/m", True), ("quality", "a/m", False)]

    asyncio.run(story())


def test_a_few_bad_answers_prove_nothing() -> None:
    stands = Standing()
    for _ in range(LEAST - 1):
        stands = moved(stands, 0.0, 0.7)
    assert not stands.low
    assert moved(stands, 0.0, 0.7).low


# Again elsewhere ---------------------------------------------------------------------------------------------------


def test_a_bad_answer_is_asked_for_elsewhere_and_both_are_paid(on_loop: Story) -> None:
    def story() -> None:
        stage = Attentive(quality=AGAIN)
        one = ask(stage)
        stage.flights[0].whole(answer(REFUSED))
        assert not one.client.ends and [flight.at for flight in stage.flights] == ["a", "b"]
        stage.flights[1].whole(answer(GOOD))
        assert GOOD in one.client.body.decode()
        assert one.client.won is not None and (one.client.won.target, one.client.won.attempts) == ("b/m", 2)
        assert [(row.target, row.ended, row.cost) for row in stage.books.outcomes] == [
            ("a/m", Ended.SERVED, Decimal("0.000011")),
            ("b/m", Ended.SERVED, Decimal("0.000011")),
        ]
        (finished,) = stage.books.finishes
        assert (finished.status, finished.attempts, finished.cost) == (200, 2, Decimal("0.000022"))
        assert stage.busy() == 0 and not stage.engine.live and not stage.engine.trouble

    on_loop(story)


@pytest.mark.parametrize("then", ["worse", "fails", "late"])
def test_the_better_one_is_delivered_whatever_becomes_of_the_other(on_loop: Story, then: str) -> None:
    def story() -> None:
        stage = Attentive(quality=AGAIN)
        one = ask(stage)
        stage.flights[0].whole(answer(REFUSED))
        if then == "worse":
            stage.flights[1].whole(answer("..."))
        elif then == "fails":
            stage.flights[1].fail(FailureKind.RESET)
        else:
            one.pass_time(61)
        assert one.client.ends == ["whole"] and "can't help" in one.client.body.decode()
        assert one.client.won is not None and one.client.won.target == "a/m"
        assert one.client.won.cost == Decimal("0.000011")
        assert [row.status for row in stage.books.finishes] == [200]
        assert stage.busy() == 0 and not stage.engine.live

    on_loop(story)


def test_the_better_of_two_bad_ones_is_delivered(on_loop: Story) -> None:
    def story() -> None:
        stage = Attentive(quality=AGAIN)
        one = ask(stage)
        stage.flights[0].whole(answer("..."))
        stage.flights[1].whole(answer(REFUSED))
        assert "can't help" in one.client.body.decode()
        assert one.client.won is not None and one.client.won.target == "b/m"

    on_loop(story)


def test_a_conversation_stays_with_the_target_whose_answer_was_delivered(on_loop: Story) -> None:
    def story() -> None:
        for first, second, then in ((REFUSED, "...", "a"), ("...", REFUSED, "b")):
            stage = Attentive(quality=AGAIN, sticky=True)
            stage.say(QUESTION, user="u")
            stage.flights[0].whole(answer(first))
            stage.flights[1].whole(answer(second))
            stage.say(QUESTION, user="u")
            assert stage.flights[2].at == then

    on_loop(story)


def test_it_stays_within_max_attempts(on_loop: Story) -> None:
    def story() -> None:
        stage = Attentive(quality=AGAIN, max_attempts=1)
        one = ask(stage)
        stage.flights[0].whole(answer(REFUSED))
        assert one.client.ends == ["whole"] and len(stage.flights) == 1

    on_loop(story)


def test_a_good_answer_goes_out_at_once(on_loop: Story) -> None:
    def story() -> None:
        stage = Attentive(quality=AGAIN)
        one = ask(stage)
        stage.flights[0].whole(answer(GOOD))
        assert one.client.ends == ["whole"] and len(stage.flights) == 1
        assert stage.engine.assessor.standings["a/m"].answers == 1

    on_loop(story)


def test_who_leaves_meanwhile_is_gone(on_loop: Story) -> None:
    def story() -> None:
        stage = Attentive(quality=AGAIN)
        one = ask(stage)
        stage.flights[0].whole(answer(REFUSED))
        one.exchange.gone()
        assert stage.flights[1].aborted and not one.client.ends
        assert [row.status for row in stage.books.finishes] == [499]
        assert stage.busy() == 0 and not stage.engine.live

    on_loop(story)


def test_a_stream_is_never_held_back_for_it(on_loop: Story) -> None:
    def story() -> None:
        stage = Attentive(quality=AGAIN)
        one = ask(stage, stream=True)
        stage.flights[0].stream(word(REFUSED), finish(), DONE)
        assert one.client.ends == ["closed"] and len(stage.flights) == 1

    on_loop(story)


# The judge ---------------------------------------------------------------------------------------------------------


class Purse:
    """Implements `Account`."""

    def __init__(self) -> None:
        self.total = Decimal(0)

    def spent(self, route: str, day: int) -> Decimal:
        return self.total

    def spend(self, route: str, day: int, amount: Decimal) -> None:
        self.total += amount


def judged(**quality: Any) -> tuple[Attentive, Purse, list[str]]:
    """A stage whose answers the route `care` rates."""
    stage = Attentive(quality={"share": 1, "judge": "care", "judge_share": 1, **quality})
    purse, said = Purse(), list[str]()
    judge = Judge(stage.engine, purse, lambda level, name, **fields: said.append(name))
    stage.engine.assessor.on_assessed = judge.rate
    return stage, purse, said


def test_the_judge_rates_by_an_exchange_of_its_own_that_is_on_record() -> None:
    async def story() -> None:
        stage, purse, said = judged()
        ask(stage)
        stage.flights[0].whole(answer(GOOD))
        await until(lambda: len(stage.flights) == 2)
        asked = stage.flights[1].asked
        assert stage.flights[1].at == "c"
        assert QUESTION in asked["messages"][1]["content"] and GOOD in asked["messages"][1]["content"]
        before = stage.engine.assessor.standings["a/m"]
        stage.flights[1].whole(answer('Well: {"completeness": 2, "relevance": 1, "coherence": 3}'))
        after = stage.engine.assessor.standings["a/m"]
        assert after.answers == 2 and after.value < before.value
        assert purse.total == Decimal("0.000011") and not said
        rows = [(row.endpoint, row.request_id, row.target) for row in stage.books.outcomes]
        assert rows == [("chat", "r0", "a/m"), ("judge", "r0-judge", "c/m")]
        await stage.engine.assessor.settled()
        assert len(stage.flights) == 2, "what a judge says is not judged"

    asyncio.run(story())


def test_a_judge_is_asked_no_more_when_its_budget_is_spent() -> None:
    async def story() -> None:
        stage, purse, _ = judged(judge_budget=0.00001)
        for _ in range(3):
            ask(stage)
            stage.flights[-1].whole(answer(GOOD))
            await stage.engine.assessor.settled()
            if stage.flights[-1].at == "c":
                stage.flights[-1].whole(answer("9"))
        assert [flight.at for flight in stage.flights] == ["a", "c", "a", "a"]
        assert purse.total == Decimal("0.000011"), "passed by one question at most"

    asyncio.run(story())


def test_a_judge_that_says_nothing_clear_moves_nothing() -> None:
    async def story() -> None:
        stage, _, said = judged()
        ask(stage)
        stage.flights[0].whole(answer(GOOD))
        await until(lambda: len(stage.flights) == 2)
        stage.flights[1].whole(answer("I like it."))
        assert said == ["judge.unclear"]
        assert stage.engine.assessor.standings["a/m"].answers == 1

    asyncio.run(story())


def test_a_judge_that_fails_leaves_room_for_the_next() -> None:
    async def story() -> None:
        stage, _, _ = judged()
        for number in (0, 1):
            ask(stage)
            stage.flights[-1].whole(answer(GOOD))
            await until(lambda: len(stage.flights) == 2 * number + 2)  # noqa: B023  # it is awaited here
            stage.flights[-1].fail(FailureKind.RESET)
        assert [flight.at for flight in stage.flights] == ["a", "c", "a", "c"]

    asyncio.run(story())


def test_by_default_a_tenth_is_looked_at_and_nothing_is_asked_again() -> None:
    assert Quality() == Quality(share=0.1, min_quality=0.7, retry=False, judge="", judge_share=0.1, judge_budget=None)


def test_tools_that_are_called_count_as_an_answer(on_loop: Story) -> None:
    def story() -> None:
        stage = Attentive(quality=AGAIN)
        one = ask(stage)
        reply = json.loads(answer(""))
        call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
        reply["choices"][0]["message"] = {"role": "assistant", "content": None, "tool_calls": [call]}
        reply["choices"][0]["finish_reason"] = "tool_calls"
        stage.flights[0].whole(json.dumps(reply).encode())
        assert one.client.ends == ["whole"] and len(stage.flights) == 1

    on_loop(story)
