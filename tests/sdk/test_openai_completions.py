"""The openai SDK's old text completions: handed on as they are, and translated where a backend has only chat."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import APIError, OpenAI

from tests.sdk.serving import serving
from tests.sdk.stage import Script, Stage, config
from tests.upstream import InThread, Request, Upstream, in_thread
from tests.upstream_answers import DONE, chat_ok, cut_after, dumps, error, plain, raw_stream, sse, stream_ok
from tests.upstream_steps import Behaviour, Close

USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def piece(text: str, finish: str | None = None, **more: Any) -> dict[str, Any]:
    choice = {"text": text, "index": 0, "logprobs": None, "finish_reason": finish}
    return {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "m-served", "choices": [choice], **more}


def text_ok(text: str) -> Behaviour:
    """A whole text completion."""
    return plain(dumps(piece(text, "stop", usage=USAGE)))


def text_stream(*words: str) -> Behaviour:
    """A stream of one."""
    counted = {**piece("", None), "choices": [], "usage": USAGE}
    return raw_stream(*[sse(piece(word)) for word in words], sse(piece("", "stop")), sse(counted), DONE)


@pytest.fixture(scope="module")
def chatty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[OpenAI, Script, InThread]]:
    """A server whose only backend has no text completions."""
    directory: Path = tmp_path_factory.mktemp("chatty")
    script = Script()
    with in_thread(Upstream(script)) as there:
        text = config(directory, there.up.base_url).replace("type: openai", "type: groq")
        with serving(directory, text) as server, OpenAI(base_url=server.base_url, api_key="x", max_retries=0) as sdk:
            yield sdk.with_options(api_key="sk-of-a-test-client"), script, there


def asked(there: InThread, model: str) -> list[Request]:
    return [request for request in there.up.requests if request.json["model"] == model]


def test_a_request_goes_to_a_server_that_has_them_as_it_came(stage: Stage, client: OpenAI) -> None:
    model = stage.play(text_ok(" a time"))
    answer = client.completions.create(model=model, prompt=["Once upon", "A"], suffix="end", echo=True, logprobs=2)
    assert answer.choices[0].text == " a time"
    assert answer.usage is not None
    assert answer.usage.total_tokens == 5
    [request] = stage.asked(model)
    assert request.path == "/v1/completions"
    sent = {"prompt": ["Once upon", "A"], "suffix": "end", "echo": True, "logprobs": 2}
    assert sent.items() <= request.json.items()


def test_a_stream_is_handed_on_with_its_end_and_without_a_usage_that_nobody_asked_for(
    stage: Stage, client: OpenAI
) -> None:
    model = stage.play(text_stream(" a", " time"))
    with client.completions.create(model=model, prompt="Once upon", stream=True) as stream:
        found = list(stream)
    assert [one.choices[0].text for one in found] == [" a", " time", ""]
    with client.completions.with_streaming_response.create(model=model, prompt="Once", stream=True) as response:
        assert [line for line in response.iter_lines() if line][-1] == "data: [DONE]"


def test_usage_of_a_stream_for_those_who_ask(stage: Stage, client: OpenAI) -> None:
    model = stage.play(text_stream(" a"))
    options: Any = {"include_usage": True}
    with client.completions.create(model=model, prompt="Once", stream=True, stream_options=options) as stream:
        last = list(stream)[-1]
    assert last.usage is not None
    assert last.usage.total_tokens == 5


def test_a_failure_is_not_seen_where_another_target_answers(stage: Stage, client: OpenAI) -> None:
    route = stage.pair(error(500), text_ok(" a time"))
    assert client.completions.create(model=route, prompt="Once upon").choices[0].text == " a time"


def test_a_stream_that_breaks_off_raises_after_what_came(stage: Stage, client: OpenAI) -> None:
    model = stage.play(raw_stream(sse(piece(" a")), end=False).then(Close()))
    said = ""
    with (
        client.completions.create(model=model, prompt="Once", stream=True) as stream,
        pytest.raises(APIError, match="upstream"),
    ):
        for one in stream:
            said += one.choices[0].text
    assert said == " a"


def test_a_backend_that_has_only_chat_is_asked_in_a_message(chatty: tuple[OpenAI, Script, InThread]) -> None:
    client, script, there = chatty
    script.put("said", [chat_ok(" a time")])
    answer = client.completions.create(model="up/said", prompt="Once upon", temperature=0.5)
    assert (answer.object, answer.choices[0].text) == ("text_completion", " a time")
    [request] = asked(there, "said")
    assert request.path == "/v1/chat/completions"
    assert request.json["messages"] == [{"role": "user", "content": "Once upon"}]
    assert request.json["temperature"] == 0.5


def test_and_streams(chatty: tuple[OpenAI, Script, InThread]) -> None:
    client, script, _ = chatty
    script.put("streamed", [stream_ok([" a", " time"])])
    with client.completions.create(model="up/streamed", prompt="Once", stream=True) as stream:
        assert "".join(one.choices[0].text for one in stream) == " a time"
    script.put("cut", [cut_after(1)])
    with client.completions.create(model="up/cut", prompt="Once", stream=True) as stream, pytest.raises(APIError):
        list(stream)


@pytest.mark.parametrize(
    ("body", "word"), [({"suffix": "end"}, "middle"), ({"prompt": ["a", "b"]}, "several"), ({"prompt": [1]}, "token")]
)
def test_what_a_chat_cannot_do_is_refused_clearly(
    chatty: tuple[OpenAI, Script, InThread], body: dict[str, Any], word: str
) -> None:
    client, _, there = chatty
    with pytest.raises(openai.BadRequestError, match=word) as raised:
        client.completions.create(**{"model": "up/never", "prompt": "Once", **body})
    assert raised.value.code == "unsupported_parameter"
    assert asked(there, "never") == []


def test_white_space_and_nothing_at_all_are_answers_of_a_text(stage: Stage, client: OpenAI) -> None:
    model = stage.play(text_ok(""), text_stream("\n", "  "))
    assert client.completions.create(model=model, prompt="def f():", suffix="\n").choices[0].text == ""
    with client.completions.create(model=model, prompt="def f():", stream=True) as stream:
        assert "".join(one.choices[0].text for one in stream) == "\n  "


def test_a_server_that_turns_out_to_have_none_goes_on_answering_chats(stage: Stage, client: OpenAI) -> None:
    missing = plain(b'{"detail":"Not Found"}', status=404)
    model = stage.play(missing, chat_ok("Good day."))
    with pytest.raises(openai.BadRequestError) as refused:
        client.completions.create(model=model, prompt="Once upon")
    assert refused.value.code == "unsupported_endpoint"
    answer = client.chat.completions.create(model=model, messages=[{"role": "user", "content": "Hi"}])
    assert answer.choices[0].message.content == "Good day."
    gone = stage.play(error(404, message="The model m1 does not exist", code="model_not_found"))
    with pytest.raises(openai.APIStatusError) as unknown:
        client.completions.create(model=gone, prompt="Once upon")
    assert unknown.value.status_code == 502
