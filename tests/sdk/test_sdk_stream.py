"""The openai SDK's streams."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from openai import APIError, APITimeoutError, AsyncOpenAI, OpenAI, Stream
from openai.types.chat import ChatCompletionChunk

from tests.sdk.stage import KEY, Stage
from tests.upstream_answers import (
    DONE,
    chat_ok,
    cut_after,
    delta,
    error,
    error_after,
    raw_stream,
    role,
    sse,
    stream_ok,
    word,
)
from tests.upstream_steps import Behaviour, Hang

HELLO: Any = [{"role": "user", "content": "Say hello."}]
WORDS = ["The ", "quick ", "brown ", "fox"]


def text(stream: Stream[ChatCompletionChunk]) -> str:
    """What choice 0 says."""
    return "".join(choice.delta.content or "" for chunk in stream for choice in chunk.choices if not choice.index)


def test_a_stream_comes_word_by_word_with_its_finish_reason(stage: Stage, client: OpenAI) -> None:
    with client.chat.completions.create(model=stage.play(stream_ok(WORDS)), messages=HELLO, stream=True) as stream:
        chunks = list(stream)
    assert [c.choices[0].delta.content for c in chunks if c.choices[0].delta.content] == WORDS
    assert [c.choices[0].finish_reason for c in chunks if c.choices[0].finish_reason] == ["stop"]
    assert {c.id for c in chunks} == {"chatcmpl-1"}


def test_the_async_client_gets_many_streams_at_once_each_its_own(stage: Stage) -> None:
    models = [stage.play(stream_ok([f"{i} ", *WORDS], every=0.01)) for i in range(20)]

    async def one(sdk: AsyncOpenAI, model: str) -> str:
        async with await sdk.chat.completions.create(model=model, messages=HELLO, stream=True) as stream:
            return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    async def ask() -> list[str]:
        async with AsyncOpenAI(base_url=stage.base_url, api_key=KEY, max_retries=0) as sdk:
            return await asyncio.gather(*(one(sdk, model) for model in models))

    assert asyncio.run(ask()) == [f"{i} The quick brown fox" for i in range(20)]


def test_usage_comes_in_a_last_chunk_without_choices_to_a_client_that_asked(stage: Stage, client: OpenAI) -> None:
    model = stage.play(stream_ok(WORDS))
    with client.chat.completions.create(
        model=model, messages=HELLO, stream=True, stream_options={"include_usage": True}
    ) as stream:
        *others, last = list(stream)
    assert last.choices == []
    assert last.usage is not None
    assert (last.usage.prompt_tokens, last.usage.completion_tokens) == (7, 4)
    assert all(chunk.usage is None and chunk.choices for chunk in others)


def test_usage_is_asked_for_all_the_same_and_kept_from_a_client_that_did_not_ask(stage: Stage, client: OpenAI) -> None:
    model = stage.play(stream_ok(WORDS))
    with client.chat.completions.create(model=model, messages=HELLO, stream=True) as stream:
        assert all(chunk.usage is None and chunk.choices for chunk in stream)
    assert stage.asked(model)[0].json["stream_options"] == {"include_usage": True}


def test_two_choices_in_one_stream_stay_apart(stage: Stage, client: OpenAI) -> None:
    pieces = [delta({"role": "assistant", "content": ""}, index=i) for i in (0, 1)]
    pieces += [delta({"content": f"{name}{n} "}, index=i) for n in range(3) for i, name in ((0, "a"), (1, "b"))]
    pieces += [delta({}, "stop", index=1), delta({}, "length", index=0)]
    model = stage.play(raw_stream(*map(sse, pieces), DONE))
    said, ends = {0: "", 1: ""}, {}
    with client.chat.completions.create(model=model, messages=HELLO, stream=True, n=2) as stream:
        for choice in (choice for chunk in stream for choice in chunk.choices):
            said[choice.index] += choice.delta.content or ""
            if choice.finish_reason:
                ends[choice.index] = choice.finish_reason
    assert said == {0: "a0 a1 a2 ", 1: "b0 b1 b2 "}
    assert ends == {0: "length", 1: "stop"}
    assert stage.asked(model)[0].json["n"] == 2


def test_the_streams_own_helper_puts_the_whole_answer_together(stage: Stage, client: OpenAI) -> None:
    model = stage.play(stream_ok(WORDS))
    with client.chat.completions.stream(model=model, messages=HELLO, stream_options={"include_usage": True}) as stream:
        deltas = [event.delta for event in stream if event.type == "content.delta"]
        answer = stream.get_final_completion()
    assert [each for each in deltas if each] == WORDS
    assert answer.choices[0].message.content == "The quick brown fox"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 4


def test_the_raw_lines_of_a_stream_end_with_done(stage: Stage, client: OpenAI) -> None:
    model = stage.play(stream_ok(WORDS, done=False))
    with client.chat.completions.with_streaming_response.create(model=model, messages=HELLO, stream=True) as response:
        lines = [line for line in response.iter_lines() if line]
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert response.headers["x-wayline-target"] == model
    assert lines[-1] == "data: [DONE]"


@pytest.mark.parametrize("broken", ["close", "reset", "clean", "in_event"])
def test_a_stream_that_breaks_off_goes_on_unseen_where_another_target_says_the_same(
    stage: Stage, client: OpenAI, broken: Any
) -> None:
    route = stage.pair(cut_after(2, broken, words=WORDS), stream_ok(WORDS))
    with client.chat.completions.create(model=route, messages=HELLO, stream=True, temperature=0) as stream:
        chunks = list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "The quick brown fox"
    assert [c.choices[0].finish_reason for c in chunks if c.choices[0].finish_reason] == ["stop"]
    assert len({chunk.id for chunk in chunks}) == 1


@pytest.mark.parametrize("broken", ["close", "reset", "clean", "in_event"])
def test_a_stream_that_breaks_off_raises_after_what_came(stage: Stage, client: OpenAI, broken: Any) -> None:
    model = stage.play(cut_after(2, broken))
    said = ""
    with (
        client.chat.completions.create(model=model, messages=HELLO, stream=True) as stream,
        pytest.raises(APIError, match="upstream") as raised,
    ):
        for chunk in stream:
            said += chunk.choices[0].delta.content or ""
            assert chunk.choices[0].finish_reason is None
    assert said == "Hello"
    assert raised.value.type == "upstream_error"


def test_an_error_event_of_the_upstream_raises(stage: Stage, client: OpenAI) -> None:
    model = stage.play(error_after(2))
    with (
        client.chat.completions.create(model=model, messages=HELLO, stream=True) as stream,
        pytest.raises(APIError),
    ):
        text(stream)


FAULTS = [error(500), cut_after(0, "close"), error_after(0), error_after(None, done=True), raw_stream(role(), DONE)]


@pytest.mark.parametrize("fault", FAULTS, ids=["500", "role then closed", "error after role", "error first", "empty"])
def test_a_failure_before_the_first_word_is_not_seen(stage: Stage, client: OpenAI, fault: Behaviour) -> None:
    route = stage.pair(fault, stream_ok(WORDS))
    with client.chat.completions.create(model=route, messages=HELLO, stream=True) as stream:
        assert text(stream) == "The quick brown fox"
    assert stream.response.headers["x-wayline-attempts"] == "2"
    assert stream.response.headers["x-wayline-target"] == route.replace("pair", "up/b")


def test_leaving_a_stream_ends_the_upstreams_work(stage: Stage, client: OpenAI) -> None:
    model = stage.play(raw_stream(role(), word("Hel"), end=False).then(Hang()))
    with client.chat.completions.create(model=model, messages=HELLO, stream=True) as stream:
        while next(stream).choices[0].delta.content != "Hel":
            pass
    stage.left(model, within=2.0)


def test_cancelling_an_async_stream_ends_the_upstreams_work(stage: Stage) -> None:
    model = stage.play(raw_stream(role(), word("Hel"), end=False).then(Hang()))

    async def run() -> None:
        begun = asyncio.Event()

        async def read(sdk: AsyncOpenAI) -> None:
            async with await sdk.chat.completions.create(model=model, messages=HELLO, stream=True) as stream:
                async for _ in stream:
                    begun.set()

        async with AsyncOpenAI(base_url=stage.base_url, api_key=KEY, max_retries=0) as sdk:
            reading = asyncio.create_task(read(sdk))
            await begun.wait()
            reading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reading
            await asyncio.to_thread(stage.left, model, 2.0)

    asyncio.run(run())


@pytest.mark.parametrize("streamed", [True, False], ids=["stream", "whole"])
def test_a_client_whose_patience_ends_before_anything_came_ends_the_upstreams_work(
    stage: Stage, client: OpenAI, streamed: bool
) -> None:
    model = stage.play(chat_ok().after(Hang()))
    with pytest.raises(APITimeoutError):
        client.chat.completions.create(model=model, messages=HELLO, stream=streamed, timeout=0.3)
    stage.left(model, within=2.0)
