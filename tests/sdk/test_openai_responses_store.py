"""The openai SDK going on from responses that Wayline keeps."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.sdk.serving import serving
from tests.sdk.stage import Script
from tests.upstream import InThread, Request, Upstream, in_thread
from tests.upstream_answers import chat_ok, stream_ok

CONFIG = """
listen: {{port: 0}}
ledger: {{path: {directory}/ledger.db}}
store: {{path: {directory}/responses.db, days: 1}}
direct: true
keys: [{{name: ann, key: sk-of-ann-0000}}, {{name: bob, key: sk-of-bob-0000}}]
backends:
  up: {{type: openai, base_url: "{upstream}", api_key: sk-of-the-gateway}}
routes:
  all: {{targets: [up/all]}}
"""


class Kept:
    """A server that keeps responses, the upstream behind it, and who plays what."""

    def __init__(self, base_url: str, there: InThread, script: Script) -> None:
        self.ann = OpenAI(base_url=base_url, api_key="sk-of-ann-0000", max_retries=0)
        self.bob = OpenAI(base_url=base_url, api_key="sk-of-bob-0000", max_retries=0)
        self._there = there
        self.script = script

    def asked(self, model: str) -> list[Request]:
        return [request for request in self._there.up.requests if request.json["model"] == model]

    def messages(self, model: str) -> list[tuple[str, Any]]:
        """Roles and contents of what came last."""
        return [(one["role"], one["content"]) for one in self.asked(model)[-1].json["messages"]]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    directory: Path = tmp_path_factory.mktemp("kept")
    script = Script()
    with in_thread(Upstream(script)) as there:
        text = CONFIG.format(directory=directory, upstream=there.up.base_url)
        with serving(directory, text) as server:
            found = Kept(server.base_url, there, script)
            with found.ann, found.bob:
                yield found


def test_a_conversation_goes_on_from_its_last_response(kept: Kept) -> None:
    kept.script.put("talk", [chat_ok("Hello Ann."), stream_ok(["You are ", "Ann."]), chat_ok("Bye.")])
    first = kept.ann.responses.create(model="up/talk", input="I am Ann.", instructions="Be kind.")
    with kept.ann.responses.stream(
        model="up/talk", input="Who am I?", previous_response_id=first.id, instructions="Be brief."
    ) as stream:
        second = stream.get_final_response()
    third = kept.ann.responses.create(model="up/talk", input="Bye.", previous_response_id=second.id)
    assert (third.output_text, third.previous_response_id) == ("Bye.", second.id)
    assert kept.messages("talk") == [
        ("user", "I am Ann."),
        ("assistant", "Hello Ann."),
        ("user", "Who am I?"),
        ("assistant", "You are Ann."),
        ("user", "Bye."),
    ]
    told = kept.asked("talk")[1].json["messages"][0]  # each request has its own instructions
    assert told == {"role": "system", "content": "Be brief."}


def test_the_answer_says_that_it_is_kept_and_can_be_had_again(kept: Kept) -> None:
    kept.script.put("again", [chat_ok("Hello!")])
    raw = kept.ann.responses.with_raw_response.create(model="up/again", input="Hi")
    assert json.loads(raw.content)["store"] is True
    response = raw.parse()
    assert kept.ann.responses.retrieve(response.id) == response
    kept.ann.responses.delete(response.id)
    with pytest.raises(openai.NotFoundError):
        kept.ann.responses.retrieve(response.id)
    with pytest.raises(openai.NotFoundError):
        kept.ann.responses.delete(response.id)
    with pytest.raises(openai.BadRequestError, match="not found"):
        kept.ann.responses.create(model="up/again", input="Hi", previous_response_id=response.id)


def test_nobody_goes_on_from_what_is_anothers(kept: Kept) -> None:
    kept.script.put("own", [chat_ok("Secret.")])
    response = kept.ann.responses.create(model="up/own", input="Hi")
    with pytest.raises(openai.NotFoundError):
        kept.bob.responses.retrieve(response.id)
    with pytest.raises(openai.NotFoundError):
        kept.bob.responses.delete(response.id)
    with pytest.raises(openai.BadRequestError, match="not found") as raised:
        kept.bob.responses.create(model="up/own", input="Hi", previous_response_id=response.id)
    assert raised.value.param == "previous_response_id"
    with pytest.raises(openai.AuthenticationError):
        kept.ann.with_options(api_key="sk-wrong").responses.retrieve(response.id)


def test_who_does_not_want_it_is_not_remembered(kept: Kept) -> None:
    kept.script.put("unkept", [chat_ok("Hello!")])
    raw = kept.ann.responses.with_raw_response.create(model="up/unkept", input="Hi", store=False)
    assert json.loads(raw.content)["store"] is False
    with pytest.raises(openai.NotFoundError):
        kept.ann.responses.retrieve(raw.parse().id)


def test_an_item_can_be_sent_by_its_id(kept: Kept) -> None:
    kept.script.put("item", [chat_ok("Hello!"), chat_ok("Yes.")])
    first = kept.ann.responses.create(model="up/item", input="Hi")
    items: Any = [
        {"role": "user", "content": "Hi"},
        {"type": "item_reference", "id": first.output[0].id},
        {"role": "user", "content": "Really?"},
    ]
    assert kept.ann.responses.create(model="up/item", input=items).output_text == "Yes."
    assert kept.messages("item") == [("user", "Hi"), ("assistant", "Hello!"), ("user", "Really?")]
    with pytest.raises(openai.BadRequestError, match="not found"):
        kept.bob.responses.create(model="up/item", input=items)
