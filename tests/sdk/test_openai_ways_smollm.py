"""The Responses API and text completions with a real model: SmolLM2-135M, run by Wayline itself."""

from __future__ import annotations

from typing import Any, Literal

from openai import OpenAI
from pydantic import BaseModel, Field

COUNT = "Count: one, two, three,"


class Three(BaseModel):
    """Short enough for a small model's budget."""

    words: list[Literal["a", "b"]] = Field(min_length=3, max_length=3)


def test_a_response_is_the_same_whole_and_streamed(smollm: OpenAI) -> None:
    ask: dict[str, Any] = {"model": "chat", "input": COUNT, "max_output_tokens": 16, "temperature": 0}
    whole = smollm.responses.create(**ask)
    with smollm.responses.create(**ask, stream=True) as stream:
        *_, last = list(stream)
    assert last.type == "response.incomplete"
    assert whole.output_text
    assert last.response.output_text == whole.output_text
    assert whole.usage is not None
    assert last.response.usage == whole.usage
    assert whole.usage.output_tokens == 16


def test_a_schema_is_kept_to(smollm: OpenAI) -> None:
    with smollm.responses.stream(
        model="chat", input=COUNT, text_format=Three, max_output_tokens=40, temperature=0
    ) as stream:
        parsed = stream.get_final_response().output_parsed
    assert isinstance(parsed, Three)


def test_a_prompt_is_gone_on_with_whole_and_streamed(smollm: OpenAI) -> None:
    whole = smollm.completions.create(model="chat", prompt=COUNT, max_tokens=8, temperature=0)
    with smollm.completions.create(model="chat", prompt=COUNT, max_tokens=8, temperature=0, stream=True) as stream:
        text = "".join(chunk.choices[0].text for chunk in stream)
    assert whole.choices[0].text == text
    assert text.startswith(" four")
    assert whole.choices[0].finish_reason == "length"
    assert whole.usage is not None
    assert whole.usage.completion_tokens == 8


def test_a_prompt_without_a_limit_has_the_sixteen_tokens_of_the_api(smollm: OpenAI) -> None:
    answer = smollm.completions.create(model="chat", prompt=COUNT, temperature=0)
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 16
