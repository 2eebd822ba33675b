"""LangChain's ChatOpenAI and OpenAIEmbeddings, pointed at Wayline by `base_url` alone."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import openai
import pytest
import tiktoken
from langchain_core.messages import AIMessageChunk
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from openai import DefaultAsyncHttpxClient, DefaultHttpxClient
from pydantic import BaseModel, SecretStr

from tests.sdk.serving import Serving
from tests.sdk.stage import KEY, Stage
from tests.sdk.test_sdk_tools import Weather, streamed, whole
from tests.upstream_answers import MODEL, chat_ok, cut_after, embeddings_ok, stream_ok

VECTORS = [[0.25, -0.5], [1.5, 0.0]]


@pytest.fixture
def http() -> Iterator[DefaultHttpxClient]:
    """What LangChain asks with: its own one is never closed, and its socket is found by whichever test comes later."""
    with DefaultHttpxClient() as client:
        yield client


@pytest.fixture
def chat(stage: Stage, http: DefaultHttpxClient) -> Any:
    """Makes a ChatOpenAI for a model of the stage."""

    def made(model: str, **more: Any) -> ChatOpenAI:
        given = {"max_retries": 0, "http_client": http, **more}
        return ChatOpenAI(base_url=stage.base_url, api_key=SecretStr(KEY), model=model, **given)

    return made


def test_invoke_gives_text_usage_and_the_model_that_served(stage: Stage, chat: Any) -> None:
    message = chat(stage.play(chat_ok("Hello!"))).invoke("Say hello.")
    assert message.content == "Hello!"
    assert message.usage_metadata["input_tokens"] == 7
    assert message.usage_metadata["output_tokens"] == 2
    assert message.response_metadata["model_name"] == MODEL
    assert message.response_metadata["finish_reason"] == "stop"


def test_stream_adds_up_to_one_message(stage: Stage, chat: Any) -> None:
    chunks: Iterator[AIMessageChunk] = chat(stage.play(stream_ok(["Hel", "lo"])), stream_usage=True).stream("Hello?")
    first, *others = chunks
    message = sum(others, start=first)
    assert message.content == "Hello"
    assert message.usage_metadata is not None
    assert (message.usage_metadata["input_tokens"], message.usage_metadata["output_tokens"]) == (7, 2)
    assert message.response_metadata["finish_reason"] == "stop"


def test_stream_has_no_usage_where_none_was_asked_for(stage: Stage, chat: Any) -> None:
    chunks = list(chat(stage.play(stream_ok(["Hel", "lo"]))).stream("Hello?"))
    assert all(chunk.usage_metadata is None for chunk in chunks)


def test_the_async_ways_give_the_same(stage: Stage, chat: Any) -> None:
    async def ask() -> tuple[str, str]:
        async with DefaultAsyncHttpxClient() as http:  # LangChain's own one is never closed
            model = chat(stage.play(chat_ok("Hello!"), stream_ok(["Hel", "lo!"])), http_async_client=http)
            message = await model.ainvoke("Hello?")
            return message.content, "".join([chunk.content async for chunk in model.astream("Hello?")])

    assert asyncio.run(ask()) == ("Hello!", "Hello!")


def test_bound_tools_are_called_whole_and_streamed(stage: Stage, chat: Any) -> None:
    model = chat(stage.play(whole(), streamed())).bind_tools([Weather])
    wanted = [("Weather", {"city": "Paris"}, "call_1"), ("Weather", {"city": "Rome"}, "call_2")]
    assert [(c["name"], c["args"], c["id"]) for c in model.invoke("Weather?").tool_calls] == wanted
    first, *others = model.stream("Weather?")
    message = sum(others, start=first)
    assert [(c["name"], c["args"], c["id"]) for c in message.tool_calls] == wanted


@pytest.mark.parametrize("method", ["json_schema", "function_calling", "json_mode"])
def test_structured_output_works_by_each_method(stage: Stage, chat: Any, method: str) -> None:
    model = stage.play(whole() if method == "function_calling" else chat_ok('{"city":"Paris"}'))
    assert chat(model).with_structured_output(Weather, method=method).invoke("Weather?") == Weather(city="Paris")


def test_a_stream_that_breaks_off_raises(stage: Stage, chat: Any) -> None:
    said: list[str] = []
    with pytest.raises(openai.APIError):
        said.extend(chunk.content for chunk in chat(stage.play(cut_after(2))).stream("Hello?"))
    assert "".join(said) in ("", "Hello")


def test_a_failover_is_not_seen(stage: Stage, chat: Any) -> None:
    route = stage.pair(cut_after(0), stream_ok(["from ", "the ", "second"]))
    assert "".join(chunk.content for chunk in chat(route).stream("Hello?")) == "from the second"


class Bytes(tiktoken.Encoding):
    """A tokenizer that needs no download: each byte is a token."""

    def __init__(self, *_: object) -> None:
        super().__init__(
            "bytes", pat_str="[^z]+|z", mergeable_ranks={bytes([i]): i for i in range(256)}, special_tokens={}
        )


def test_embeddings_arrive_as_text_or_as_token_ids(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, http: DefaultHttpxClient
) -> None:
    monkeypatch.setattr(tiktoken, "encoding_for_model", Bytes)
    monkeypatch.setattr(tiktoken, "get_encoding", Bytes)
    for check, sent in ((False, ["ab", "c"]), (True, [[97, 98], [99]])):
        model = stage.play(embeddings_ok(VECTORS))
        embeddings = OpenAIEmbeddings(
            base_url=stage.base_url,
            api_key=SecretStr(KEY),
            model=model,
            check_embedding_ctx_length=check,
            http_client=http,
        )
        assert embeddings.embed_documents(["ab", "c"]) == VECTORS
        assert stage.asked(model)[0].json["input"] == sent


class Fact(BaseModel):
    """A fact about a city."""

    big: bool


def test_a_real_model_answers_streams_and_keeps_to_a_schema(local: Serving, http: DefaultHttpxClient) -> None:
    model = ChatOpenAI(
        http_client=http,
        base_url=local.base_url,
        api_key=SecretStr("none"),
        model="chat",
        temperature=0,
        max_retries=0,
        stream_usage=True,
    )
    message = model.bind(max_tokens=6).invoke("Count: one, two, three,")
    first, *others = model.bind(max_tokens=6).stream("Count: one, two, three,")
    whole = sum(others, start=first)
    assert message.content
    assert message.content == whole.content
    assert message.usage_metadata == whole.usage_metadata
    assert isinstance(model.with_structured_output(Fact).invoke("Is Paris big?"), Fact)


def test_a_real_model_embeds(local: Serving, http: DefaultHttpxClient) -> None:
    embeddings = OpenAIEmbeddings(
        base_url=local.base_url,
        api_key=SecretStr("none"),
        model="embed",
        check_embedding_ctx_length=False,
        http_client=http,
    )
    documents = embeddings.embed_documents(["A fox runs.", "A dog runs."])
    assert [len(each) for each in documents] == [576, 576]
    assert embeddings.embed_query("A fox runs.") == pytest.approx(documents[0], abs=1e-5)
