"""Other people's clients on each way in, in front of four providers: what was recorded is what they get.

One process a client goes through all scenes with all providers; each test looks at what it told of one scene. What goes
to the upstream is held against the provider's own description there (tests/clients/replay.py).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import pytest

from tests.clients.conftest import Stage
from tests.clients.recordings import JOKE, PROVIDERS, TEXT, TOOLS, said

pytestmark = pytest.mark.slow


class Client(NamedTuple):
    """How it is started, and what it raises: refused, limited, cut."""

    words: tuple[str, ...]
    raises: tuple[str, str, str]
    ours: bool = False
    last_streamed: bool = True
    """In a streamed scene with tools, the answer to their results is streamed too."""


OPENAI = ("BadRequestError", "RateLimitError", "APIError")
ANTHROPIC = ("BadRequestError", "RateLimitError", "APIStatusError")
PYDANTIC = ("ModelHTTPError", "ModelHTTPError", "APIError")
LANGCHAIN = ("OpenAIInvalidRequestError", "OpenAIRateLimitError", "APIError")
VERCEL = ("AI_APICallError", "AI_APICallError", "AI_StreamProviderError")
CLIENTS = {
    # Those with `ours` use openai 3 and anthropic 2, the others openai 2 and anthropic 0.
    "openai-chat": Client(("openai_sdk.py", "chat"), OPENAI, ours=True),
    "openai-responses": Client(("openai_sdk.py", "responses"), OPENAI, ours=True),
    "anthropic": Client(("anthropic_sdk.py",), ANTHROPIC, ours=True),
    "langchain-chat": Client(("langchain_models.py", "chat"), LANGCHAIN, ours=True),
    "langchain-responses": Client(("langchain_models.py", "responses"), LANGCHAIN, ours=True),
    "langchain-messages": Client(
        ("langchain_models.py", "messages"),
        ("AnthropicInvalidRequestError", "AnthropicRateLimitError", "APIStatusError"),
        ours=True,
    ),
    "llamaindex": Client(("llamaindex.py",), OPENAI, last_streamed=False),
    "pydantic-ai-chat": Client(("pydantic_agents.py", "chat"), PYDANTIC),
    "pydantic-ai-responses": Client(("pydantic_agents.py", "responses"), PYDANTIC),
    "pydantic-ai-messages": Client(("pydantic_agents.py", "messages"), (*PYDANTIC[:2], "ModelAPIError")),
    "llm": Client(("llm_models.py",), OPENAI),
    "ai-sdk-compatible": Client(("vercel.mjs", "compatible"), VERCEL),
    "ai-sdk-chat": Client(("vercel.mjs", "chat"), VERCEL),
    "ai-sdk-responses": Client(("vercel.mjs", "responses"), VERCEL),
    "ai-sdk-messages": Client(("vercel.mjs", "messages"), VERCEL),
}
Told = Callable[[str], dict[str, Any]]


@pytest.fixture(scope="session")
def told(stage: Stage, request: pytest.FixtureRequest) -> Iterator[Told]:
    """What a client told of its scenes. Those that tests were chosen for run two at a time."""
    chosen = {item.callspec.params.get("client") for item in request.session.items if hasattr(item, "callspec")}
    with ThreadPoolExecutor(2) as pool:
        running = {
            name: pool.submit(stage.run, *client.words, ours=client.ours)
            for name, client in CLIENTS.items()
            if name in chosen
        }
        yield lambda name: running[name].result()


def each(test: Any) -> Any:
    """With each client and provider."""
    test = pytest.mark.parametrize("provider", PROVIDERS)(test)
    return pytest.mark.parametrize("client", CLIENTS)(test)


@each
def test_a_plain_answer_and_what_it_used(told: Told, client: str, provider: str) -> None:
    found = told(client)[f"{provider} text"]
    assert found["text"] == said(TEXT[provider].whole).text
    usage = TEXT[provider].whole.golden["usage"]
    assert found["usage"] == [usage["input"], usage["output"]]


@each
def test_a_stream_adds_up(told: Told, client: str, provider: str) -> None:
    assert told(client)[f"{provider} stream"]["text"] == said(TEXT[provider].stream).text


@each
def test_tools_are_called_and_their_results_answered(told: Told, client: str, provider: str) -> None:
    found = told(client)[f"{provider} tools"]
    assert [tuple(call) for call in found["calls"]] == said(TOOLS[provider].whole).calls
    assert found["text"] == said(TEXT[provider].whole).text


@each
def test_tools_are_called_in_streams_too(told: Told, client: str, provider: str) -> None:
    found = told(client)[f"{provider} tools streamed"]
    assert [tuple(call) for call in found["calls"]] == said(TOOLS[provider].stream).calls
    last = TEXT[provider].stream if CLIENTS[client].last_streamed else TEXT[provider].whole
    assert found["text"] == said(last).text


@each
def test_an_answer_after_a_schema(told: Told, client: str, provider: str) -> None:
    assert json.loads(told(client)[f"{provider} json"]["text"]) == json.loads(JOKE)


@each
def test_an_image_reaches_the_provider(told: Told, client: str, provider: str) -> None:
    assert told(client)[f"{provider} image"]["text"] == said(TEXT[provider].whole).text


@each
def test_each_error_is_the_clients_own_exception(told: Told, client: str, provider: str) -> None:
    refused, limited, cut = CLIENTS[client].raises
    found = told(client)
    assert found[f"{provider} refused"]["error"] == refused
    assert found[f"{provider} refused"]["status"] == 400
    if client != "llm":  # it tries again for minutes, and cannot be told not to
        assert found[f"{provider} limited"]["error"] == limited
        assert found[f"{provider} limited"]["status"] == 429
    assert found[f"{provider} cut"]["error"] == cut
    assert "ended before it was complete" in found[f"{provider} cut"]["words"]


@pytest.fixture(scope="session")
def instructed(stage: Stage) -> dict[str, Any]:
    """What instructor told."""
    return stage.run("instructor_models.py")


@pytest.mark.parametrize("provider", PROVIDERS)
def test_instructor_fills_its_models_in_each_of_its_modes(instructed: dict[str, Any], provider: str) -> None:
    for scene in ("json", "json in words", "json in Markdown"):
        assert json.loads(instructed[f"{provider} {scene}"]["text"]) == json.loads(JOKE)
    whole, stream = (said(answer).calls for answer in TOOLS[provider])
    assert instructed[f"{provider} tool"]["given"] == whole[0][1]
    assert instructed[f"{provider} tool streamed"]["given"] == stream[0][1]
    if len(whole) == 1:  # two calls at once are none for it, on this way in
        assert instructed[f"{provider} tool over messages"]["given"] == whole[0][1]
    for scene, status in (("refused", "400"), ("limited", "429")):
        assert instructed[f"{provider} {scene}"]["error"] == "InstructorRetryException"
        assert f"Error code: {status}" in instructed[f"{provider} {scene}"]["words"]
