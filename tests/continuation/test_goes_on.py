"""Where making an answer again takes too long, the model goes on from what was sent: each character once."""

from __future__ import annotations

import asyncio

import pytest

from tests.continuation.conftest import ENGINES, TARGET, Stage, Tell, contents, one_answer, text, told


@pytest.mark.parametrize("engine", ENGINES)
def test_the_model_goes_on_from_the_partial_answer(engine: str, tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        uncut = await stage.uncut()
        answer = await stage.cut("on", 10)
        assert told(answer) == [f"prefill {TARGET}"]
        whole = text(uncut)
        sent = whole[: len(whole) // 4]
        assert text(answer).startswith(sent)
        assert len(text(answer)) > len(sent) + 20
        assert text(answer).count(whole[:20]) == 1, "it began anew"
        shares = await stage.shares("on", 3)
        assert [(share.ended, share.how) for share in shares] == [
            ("cut", "fresh"),
            ("failed", "exact"),
            ("served", "prefill"),
        ]
        first, _, last = shares
        usage = one_answer(answer)
        assert first.usage_source == "estimated" and last.usage_source == "reported"
        assert usage["prompt_tokens"] == first.input == one_answer(uncut)["prompt_tokens"]
        assert first.output is not None and last.output is not None
        assert usage["completion_tokens"] == first.output + last.output
        assert first.input is not None
        assert last.input == first.input + first.output, "the tokens that were sent are not the ones it went on behind"

    tell(engine, story, **{"continue": {"exact_within": 0.001}})


@pytest.mark.parametrize("engine", ENGINES)
def test_the_tokens_of_a_cut_stream_are_estimated_within_a_tenth(engine: str, tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        talk = await stage.rig.begun("chat", "left", **stage.body(max_tokens=200))
        await talk.head()
        async with asyncio.timeout(20):
            while contents(talk.answer.body) < 20:
                assert await talk.piece()
        got = contents(talk.answer.body)
        await talk.leave()
        (share,) = await stage.shares("left", 1)
        assert (share.ended, share.usage_source, share.input) == ("cancelled", "estimated", 23)
        assert share.output is not None and abs(share.output - got) <= got / 10

    tell(engine, story)
