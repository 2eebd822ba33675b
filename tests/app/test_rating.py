"""What judges spend is one sum over workers and restarts; ratings are taken where there is a place for them."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from proxy.app.rating import LOOKING, Rating
from proxy.core.failure import FailureKind
from proxy.core.quality.policy import Feedback
from proxy.ledger.recent import recent
from proxy.ledger.sqlite import open_ledger
from proxy.ledger.why import story
from proxy.ledger.why_view import as_text
from proxy.ops.feedback import Busy, Off, Opinion
from proxy.state.state import State
from tests.engine.attentive import Attentive
from tests.engine.stage import answer, until

TODAY = 20_000


def quiet(level: str, name: str, /, **fields: object) -> None:
    """Says nothing."""


def rating(stage: Attentive, state: State | None) -> Rating:
    """One worker's."""
    return Rating(lambda: stage.config, stage.engine, stage.roads.find, lambda *_, **__: None, quiet, state)


def test_what_a_judge_spent_is_known_to_all_workers_and_the_next_day_is_a_new_one(tmp_path: Path) -> None:
    async def story() -> None:
        state = State(tmp_path / "state.db", quiet)
        one, other = rating(Attentive(), state), rating(Attentive(), state)
        one.spend("judge", TODAY, Decimal("0.25"))
        assert one.spent("judge", TODAY) >= Decimal("0.25"), "at once"
        other.spend("judge", TODAY, Decimal("0.5"))
        await state.written()
        for worker in (one, other, rating(Attentive(), state)):
            assert Decimal("0.75") <= worker.spent("judge", TODAY) < Decimal("0.7501")
            assert worker.spent("judge", TODAY + 1) == 0 == worker.spent("another", TODAY)
        await state.close()

    asyncio.run(story())


def test_without_a_database_a_worker_knows_its_own() -> None:
    one = rating(Attentive(), None)
    one.spend("judge", TODAY, Decimal("0.25"))
    assert one.spent("judge", TODAY) == Decimal("0.25")


def test_without_a_place_for_ratings_none_is_taken() -> None:
    async def story() -> None:
        with pytest.raises(Off):
            await rating(Attentive(), None).take("ann", Opinion("r", 1.0, ""))

    asyncio.run(story())


def test_too_many_ratings_at_once_are_told_to_come_back(tmp_path: Path) -> None:
    async def story() -> None:
        state, stage, said = State(tmp_path / "state.db", quiet), Attentive(), list[str]()
        config = replace(stage.config, ledger=str(tmp_path / "none.db"))

        def say(level: str, name: str, /, **fields: object) -> None:
            said.append(name)

        one = Rating(lambda: config, stage.engine, stage.roads.find, lambda *_, **__: None, say, state)
        asked = [one.take("ann", Opinion(f"r{n}", 1.0, "")) for n in range(LOOKING + 5)]
        found = await asyncio.gather(*asked, return_exceptions=True)
        assert all(isinstance(each, Busy) for each in found)
        assert said == ["feedback.unreadable"] * LOOKING, "those beyond the bound look into no ledger"
        await state.close()

    asyncio.run(story())


def test_evaluations_reach_the_choices_and_the_judge_and_the_metrics() -> None:
    async def story() -> None:
        stage = Attentive(quality={"share": 1, "judge": "care", "judge_share": 1})
        one = rating(stage, None)
        stage.say("Why is the sky blue?")
        stage.flights[0].whole(answer("Because air scatters blue light more, the sky is blue."))
        await until(lambda: len(stage.flights) == 2)
        assert stage.flights[1].at == "c"
        first = stage.engine.choices.measured["a/m"].quality
        assert first is not None and first > 0.85
        stage.flights[1].whole(answer('{"completeness": 0, "relevance": 0, "coherence": 0}'))
        second = stage.engine.choices.measured["a/m"].quality
        assert second is not None and second < first
        told = {gauge.name: gauge.value for gauge in one.readings()}
        assert told == {"wayline_quality": second, "wayline_rated_answers": 2.0}
        assert one.spent("care", int(time.time()) // 86400) == Decimal("0.000011")

    asyncio.run(story())


REFUSED, WORSE = "I'm sorry, but I can't help with that.", "..."


@pytest.mark.parametrize(
    ("answers", "whose"),
    [
        ((REFUSED, WORSE), "a/m"),
        ((WORSE, REFUSED), "b/m"),
        ((REFUSED, None), "a/m"),
        ((None, REFUSED), "b/m"),
        ((REFUSED, "The sky is blue because air scatters blue light more than red light."), "b/m"),
    ],
)
def test_what_a_caller_says_is_said_of_the_target_whose_answer_it_got(
    tmp_path: Path, answers: tuple[str | None, str | None], whose: str
) -> None:
    """`None`: the target fails."""

    async def told() -> None:
        path = tmp_path / "wayline.db"
        state, ledger = State(tmp_path / "state.db", quiet), open_ledger(path)
        stage = Attentive(quality={"retry_low_quality": True, "min_quality": 0.8})
        stage.engine.ledger = ledger
        stage.config = replace(stage.config, ledger=str(path), feedback=Feedback())
        one = rating(stage, state)
        asked = stage.say("Why is the sky blue?")
        for flight, text in enumerate(answers):
            if text is None:
                stage.flights[flight].fail(FailureKind.RESET)
            else:
                stage.flights[flight].whole(answer(text))
        assert asked.client.won is not None and asked.client.won.target == whose
        await until(lambda: len(stage.flights) == 2)
        await ledger.close()
        stage.engine.assessor.standings.clear()
        assert await one.take("", Opinion(asked.exchange.request_id, 0.0, "")) == whose
        assert list(stage.engine.assessor.standings) == [whose]
        found = story(path, asked.exchange.request_id)
        assert (found.target, found.ended) == (whose, "served")
        (brief,) = recent(path)
        assert (brief.target, brief.attempts, brief.ended) == (whose, 2, "served")
        spare = [line for line in as_text(found) if "no better than the answer before" in line]
        assert len(spare) == (answers == (REFUSED, WORSE))
        await state.close()

    asyncio.run(told())
