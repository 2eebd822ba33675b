"""A local model whose worker is killed makes its answer again as it was: the client gets it byte for byte."""

from __future__ import annotations

from typing import Any

import pytest

from tests.continuation.conftest import ENGINES, Share, Stage, Tell, one_answer, text, told
from tests.faults.rig import until
from tests.faults.talk import Answer
from tests.upstream_answers import ok

EXACT = "exact here/smollm2"
LONG = {"max_tokens": 64}
SAMPLED = {"temperature": 0.9, "seed": 7}


def ends(shares: list[Share]) -> list[tuple[str, str, str | None]]:
    """How each attempt ended."""
    return [(share.ended, share.how, share.failure) for share in shares]


def is_as_uncut(uncut: Answer, answer: Answer) -> None:
    """Asserts that the client cannot tell it from the uncut one, but by the comment."""
    assert text(answer) == text(uncut)
    assert one_answer(answer) == one_answer(uncut)
    assert told(answer) == [EXACT]


CUT = ("cut", "fresh", "worker_crashed")


async def _killed(stage: Stage, positions: tuple[int, ...], **more: Any) -> None:
    uncut = await stage.uncut(**more)
    for after in positions:
        id_ = f"at-{after}"
        is_as_uncut(uncut, await stage.cut(id_, after, **more))
        shares = await stage.shares(id_, 2)
        assert ends(shares) == [CUT, ("served", "exact", None)]
        (_, _, _, _, _, part, source), (_, _, _, _, asked, whole, reported) = shares
        assert (source, reported) == ("estimated", "reported")
        usage = one_answer(uncut)
        assert (asked, whole) == (usage["prompt_tokens"], usage["completion_tokens"])
        assert part is not None and 0 < part <= usage["completion_tokens"]
        await stage.ready()


@pytest.mark.parametrize("engine", ENGINES)
def test_the_worker_killed_in_a_greedy_answer_leaves_no_trace_in_it(engine: str, tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        await _killed(stage, (1, 7))

    tell(engine, story)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_killed_after_any_token(engine: str, tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        await _killed(stage, (1, 2, 3, 5, 8, 13, 21, 34, 55), **LONG)

    tell(engine, story)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_a_sampled_answer_with_a_seed_is_made_again_too(engine: str, tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        await _killed(stage, (5,), **SAMPLED)

    tell(engine, story)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_killed_twice_in_one_answer(engine: str, tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        uncut = await stage.uncut()
        answer = await stage.cut("twice", 4, 9)
        is_as_uncut(uncut, answer)
        shares = await stage.shares("twice", 3)
        assert ends(shares) == [CUT, ("cut", "exact", "worker_crashed"), ("served", "exact", None)]

    tell(engine, story)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_killed_again_while_the_answer_is_made_again_it_goes_on_from_what_was_sent(engine: str, tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        uncut = await stage.uncut()
        place = stage.rig.process.runtime.desk.local["here"].places["smollm2"]
        talk = await stage.rig.begun("chat", "in-between", **stage.body())
        await talk.head()
        await talk.until(b" fox")
        stage.kill()
        await until(lambda: place.state().state != "ready")
        await until(lambda: place.state().state == "ready")
        sent = text(talk.answer)
        stage.kill()
        answer = await talk.rest()
        assert text(uncut).startswith(sent) and text(answer).startswith(sent)
        one_answer(answer)
        shares = await stage.shares("in-between", 3)
        assert [share.ended for share in shares] == ["cut", "failed", "served"]

    tell(engine, story)


def test_a_worker_that_cannot_be_started_again_leaves_the_answer_to_another_target(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        place = stage.rig.process.runtime.desk.local["here"].places["smollm2"]

        def gone() -> None:
            place._launch = _no_more  # type: ignore[attr-defined]  # as if fork failed from now on

        answer = await stage.cut("dead", 3, now=gone)
        assert text(answer).endswith("Elsewhere.") and not text(answer).startswith("Elsewhere.")
        one_answer(answer)
        assert told(answer) == ["ask good/m"]
        shares = await stage.shares("dead", 3)
        assert ends(shares)[0] == CUT and ends(shares)[-1] == ("served", "ask", None)

    tell("xllamacpp", story, upstream=ok("Elsewhere."), **{"continue": {"by": ["exact", "ask"]}})


def _no_more() -> None:
    raise OSError("no more processes")
