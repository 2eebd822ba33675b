"""The openai SDK and a real model: SmolLM2-135M, run by Wayline itself."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Literal

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel, Field

from tests.sdk.serving import Serving

COUNT: Any = [{"role": "user", "content": "Count: one, two, three,"}]
STORY: Any = [{"role": "user", "content": "Tell me a long story about a fox."}]


def test_the_same_question_has_the_same_answer_whole_and_streamed(smollm: OpenAI) -> None:
    whole = smollm.chat.completions.create(model="chat", messages=COUNT, max_tokens=8, temperature=0)
    with smollm.chat.completions.create(
        model="chat", messages=COUNT, max_tokens=8, temperature=0, stream=True, stream_options={"include_usage": True}
    ) as stream:
        *chunks, last = list(stream)
    assert whole.choices[0].message.content
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == whole.choices[0].message.content
    assert whole.choices[0].finish_reason == chunks[-1].choices[0].finish_reason == "length"
    assert whole.usage is not None
    assert last.usage is not None
    assert whole.usage.completion_tokens == last.usage.completion_tokens == 8
    assert whole.usage.prompt_tokens == last.usage.prompt_tokens > 0


def test_what_it_costs_is_nothing_and_known(smollm: OpenAI) -> None:
    raw = smollm.chat.completions.with_raw_response.create(model="chat", messages=COUNT, max_tokens=1)
    assert raw.headers["x-wayline-target"] == "here/chat"
    assert raw.headers["x-wayline-cost"] == "0"


def test_two_are_answered_at_once(local: Serving) -> None:
    async def ask() -> list[str | None]:
        async with AsyncOpenAI(base_url=local.base_url, api_key="none", max_retries=0) as sdk:
            asked = [
                sdk.chat.completions.create(model="chat", messages=COUNT, max_tokens=2, temperature=0) for _ in range(2)
            ]
            return [answer.choices[0].message.content for answer in await asyncio.gather(*asked)]

    assert all(asyncio.run(ask()))


class Fact(BaseModel):
    """A fact about a city."""

    city: Literal["Paris", "Rome"]
    big: bool


class Three(BaseModel):
    """Short enough for a small model's budget."""

    words: list[Literal["a", "b"]] = Field(min_length=3, max_length=3)


def test_a_schema_is_kept_to_by_grammar(smollm: OpenAI) -> None:
    ask: Any = [{"role": "user", "content": "Is Paris big?"}]
    answer = smollm.chat.completions.parse(
        model="chat", messages=ask, response_format=Fact, max_tokens=40, temperature=0
    )
    assert answer.choices[0].finish_reason == "stop"
    assert isinstance(answer.choices[0].message.parsed, Fact)


def test_a_schema_is_kept_to_in_a_stream_too(smollm: OpenAI) -> None:
    with smollm.chat.completions.stream(
        model="chat", messages=COUNT, response_format=Three, max_tokens=40, temperature=0
    ) as stream:
        answer = stream.get_final_completion()
    assert isinstance(answer.choices[0].message.parsed, Three)


@pytest.mark.parametrize("streamed", [True, False], ids=["stream", "whole"])
def test_a_prompt_longer_than_its_context_is_told_as_such(smollm: OpenAI, streamed: bool) -> None:
    began = time.monotonic()
    with pytest.raises(openai.BadRequestError) as raised:
        smollm.chat.completions.create(
            model="chat", messages=[{"role": "user", "content": "word " * 5000}], stream=streamed
        )
    assert raised.value.code == "context_length_exceeded"
    assert time.monotonic() - began < 5  # not evaluated


def test_leaving_a_stream_frees_the_model_for_the_next(local: Serving, smollm: OpenAI) -> None:
    before = local.metric("wayline_tokens_total", target="here/chat", direction="output")
    for _ in range(3):  # more than it answers at once
        with smollm.chat.completions.create(model="chat", messages=STORY, max_tokens=200, stream=True) as stream:
            assert next(stream)
    assert smollm.chat.completions.create(model="chat", messages=COUNT, max_tokens=1).choices
    assert local.metric("wayline_attempts_total", target="here/chat", ended="cancelled") == 3
    assert local.metric("wayline_tokens_total", target="here/chat", direction="output") - before < 150


def test_embeddings_are_the_same_as_floats_and_as_base64(smollm: OpenAI) -> None:
    texts = ["A fox runs.", "The bank is closed."]
    packed = smollm.embeddings.create(model="embed", input=texts)
    floats = smollm.embeddings.create(model="embed", input=texts, encoding_format="float")
    assert [len(each.embedding) for each in packed.data] == [576, 576]
    for one, other in zip(packed.data, floats.data, strict=True):
        assert one.embedding == pytest.approx(other.embedding, rel=1e-6, abs=1e-9)  # float32
    assert packed.data[0].embedding != packed.data[1].embedding
    assert packed.usage.prompt_tokens == floats.usage.prompt_tokens > 0


def test_token_ids_are_embedded_too(smollm: OpenAI) -> None:
    answer = smollm.embeddings.create(model="embed", input=[[1, 2, 3], [4, 5]])
    assert [len(each.embedding) for each in answer.data] == [576, 576]
