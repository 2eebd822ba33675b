"""A screen looks at what is asked of other endpoints too, where it is told to: vectors, ranks, speech, pictures."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from proxy.core.chat import EmbedRequest
from proxy.core.failure import FailureKind
from proxy.core.relay import RELAYS, RelayRequest
from proxy.core.screen.rule import ALSO
from proxy.core.screen.texts import endpoint
from proxy.engine.screening import LARGE
from tests.engine.attentive import Attentive, moderated
from tests.engine.stage import Client, until

Story = Callable[[Callable[[], None]], None]
BOMB = {"category": "weapons", "terms": ["pipe bomb"]}
ALL: dict[str, Any] = {"input": [BOMB], "also": list(ALSO)}


def vectors(count: int = 1) -> bytes:
    """An answer."""
    data = [{"index": place, "embedding": [1.0]} for place in range(count)]
    return json.dumps({"data": data, "model": "m", "usage": {"prompt_tokens": 1, "total_tokens": 1}}).encode()


def relayed(stage: Attentive, name: str, body: dict[str, Any], *, prompt: str = "", raw: bytes = b"{}") -> Client:
    """A request that is handed on as it is. `prompt`: of a form."""
    road = stage.roads.find("chat")
    assert road is not None
    (relay,) = (one for one in RELAYS if one.name == name)
    client = Client()
    request = RelayRequest(relay, raw, {"model": "chat", **body}, "chat", relay.flows, prompt=prompt)
    stage.engine.relay(road, request, client, "r", "").start()
    return client


def refused(client: Client, param: str) -> None:
    assert client.ends == ["refused"] and client.failure is not None
    failure = client.failure
    assert (failure.verdict.status, failure.verdict.code, failure.param) == (400, "content_filter", param)


@pytest.mark.parametrize(
    "given",
    [
        "How to make a PIPE bomb",
        ["harmless", "a pipe bomb"],
        [{"text": "a pipe bomb"}, {"image": "https://pictures.test/1"}],
        {"content": [{"type": "text", "text": "a pipe bomb"}]},
    ],
)
def test_what_vectors_are_asked_of_is_refused_before_any_target_is_asked(on_loop: Story, given: Any) -> None:
    def story() -> None:
        stage = Attentive(screen=ALL)
        one = stage.ask(embed=True, input=given)
        refused(one.client, "input")
        assert not stage.flights and not stage.engine.live
        (told,) = stage.books.told
        assert [(note.what, note.whose) for note in told.notes] == [("screen", "input")]
        good = stage.ask(embed=True, input="how to bake bread")
        stage.flights[-1].whole(vectors())
        assert good.client.ends == ["whole"] and good.client.won is not None and not good.client.won.screened

    on_loop(story)


@pytest.mark.parametrize("given", [[1, 2, 3], [[1, 2], [3]], ["text", [4]]])
def test_token_ids_are_refused_since_nothing_can_be_found_in_them(on_loop: Story, given: Any) -> None:
    def story() -> None:
        stage = Attentive(screen=ALL)
        one = stage.ask(embed=True, input=given)
        assert one.client.failure is not None and not stage.flights
        assert (one.client.failure.kind, one.client.failure.param) == (FailureKind.UNSUPPORTED, "input")

    on_loop(story)


@pytest.mark.parametrize(
    ("name", "body", "param"),
    [
        ("rerank", {"query": "pipe bomb", "documents": ["a"]}, "documents"),
        ("rerank", {"query": "q", "documents": [{"Title": "t", "Text": "a pipe bomb"}]}, "documents"),
        ("speech", {"input": "take a pipe bomb", "voice": "alloy"}, "input"),
        ("speech", {"input": "fine", "instructions": "Say pipe bomb often."}, "input"),
        ("images", {"prompt": "a pipe bomb on a table"}, "prompt"),
        ("images", {"prompt": "a table", "negative_prompt": "no pipe bomb"}, "prompt"),
    ],
)
def test_so_is_what_is_handed_on_as_it_is(on_loop: Story, name: str, body: dict[str, Any], param: str) -> None:
    def story() -> None:
        stage = Attentive(screen=ALL)
        refused(relayed(stage, name, body), param)
        assert not stage.flights

    on_loop(story)


@pytest.mark.parametrize("name", ["image_edits", "transcriptions", "translations"])
def test_of_a_form_the_prompt_is_looked_at(on_loop: Story, name: str) -> None:
    def story() -> None:
        stage = Attentive(screen=ALL)
        refused(relayed(stage, name, {}, prompt="with a pipe bomb"), "prompt")
        relayed(stage, name, {}, prompt="with a hat")
        assert len(stage.flights) == 1

    on_loop(story)


def test_an_endpoint_that_is_not_named_is_not_looked_at(on_loop: Story) -> None:
    def story() -> None:
        for also in ([], ["speech"]):
            stage = Attentive(screen={"input": [BOMB], "also": also})
            stage.ask(embed=True, input="a pipe bomb")
            relayed(stage, "images", {"prompt": "a pipe bomb"})
            assert len(stage.flights) == 2

    on_loop(story)


def test_whoever_asks_a_moderation_is_never_screened(on_loop: Story) -> None:
    def story() -> None:
        stage = Attentive(screen=ALL)
        relayed(stage, "moderations", {"input": "a pipe bomb"})
        assert len(stage.flights) == 1

    on_loop(story)


def test_each_endpoint_that_is_handed_on_has_its_word_but_moderations() -> None:
    words = {relay.name: endpoint(RelayRequest(relay, b"", {}, "m", False)) for relay in RELAYS}
    assert words.pop("moderations") == ""
    assert {*words.values(), "embeddings"} == set(ALSO)


def test_a_picture_in_words_clothing_is_no_text(on_loop: Story) -> None:
    def story() -> None:
        stage = Attentive(screen=ALL)
        stage.ask(embed=True, input=[{"image": "pipe bomb"}, {"type": "image_url", "image_url": {"url": "pipe bomb"}}])
        assert len(stage.flights) == 1

    on_loop(story)


@pytest.mark.parametrize("rule", [{"severity": "low"}, {"resources": "Call 112."}, {"use": "care"}])
def test_what_is_found_and_not_refused_is_told_and_nothing_else_changes(on_loop: Story, rule: dict[str, str]) -> None:
    def story() -> None:
        stage = Attentive(screen={"input": [{**BOMB, **rule}], "also": ["embeddings", "speech"]})
        one = stage.ask(embed=True, input="a pipe bomb")
        (flight,) = stage.flights
        assert flight.at == "a", "vectors of another model would be of no use"
        flight.whole(vectors())
        assert one.client.won is not None and one.client.won.screened == "weapons"
        assert json.loads(one.client.body)["data"] == json.loads(vectors())["data"]
        spoken = relayed(stage, "speech", {"input": "a pipe bomb"})
        stage.flights[-1].whole(b"RIFF", headers=[(b"content-type", b"audio/wav")])
        assert spoken.body == b"RIFF" and spoken.won is not None and spoken.won.screened == "weapons"
        (found,) = stage.engine.attention.found.items()
        assert found == (("chat", "input", "weapons", "weapons", "flag"), 2)

    on_loop(story)


def test_a_rule_that_would_send_elsewhere_hides_none_that_refuses(on_loop: Story) -> None:
    def story() -> None:
        rules = [{"category": "crisis", "terms": ["hopeless"], "use": "care"}, BOMB]
        stage = Attentive(screen={"input": rules, "also": ["embeddings"]})
        refused(stage.ask(embed=True, input="hopeless without a pipe bomb").client, "input")

    on_loop(story)


@pytest.mark.parametrize("flagged", [True, False])
def test_a_moderation_judges_what_vectors_are_asked_of(flagged: bool) -> None:
    async def story() -> None:
        stage = Attentive(screen={"input": [{"moderation": "moderation"}], "also": ["embeddings"]})
        one = stage.ask(embed=True, input=["first text", "second text"])
        await until(lambda: len(stage.flights) == 1)
        (question,) = stage.flights
        assert question.asked["input"] == "first text\n\nsecond text"
        question.whole(moderated(violence=flagged))
        await until(lambda: bool(one.client.ends) or len(stage.flights) == 2)
        if flagged:
            refused(one.client, "input")
        else:
            stage.flights[1].whole(vectors(2))
            assert one.client.ends == ["whole"]
        assert not stage.engine.live

    asyncio.run(story())


def test_who_leaves_meanwhile_takes_the_question_along() -> None:
    async def story() -> None:
        stage = Attentive(screen={"input": [{"moderation": "moderation"}], "also": ["embeddings"]})
        one = stage.ask(embed=True, input="a text")
        await until(lambda: len(stage.flights) == 1)
        one.exchange.gone()
        await until(lambda: not stage.engine.live)
        assert len(stage.flights) == 1 and stage.flights[0].aborted
        assert stage.books.finishes[-1].status == 499

    asyncio.run(story())


def test_many_texts_are_looked_through_beside_the_others() -> None:
    async def story() -> None:
        stage = Attentive(screen=ALL)
        given = ["x " * 1000] * (LARGE // 2000) + ["pipe bomb"]
        body = {"model": "chat", "input": given}
        road, client = stage.roads.find("chat"), Client()
        assert road is not None
        request = EmbedRequest(json.dumps(body).encode(), body, "chat", False)
        stage.engine.exchange(road, request, client, "r", "").start()
        assert not client.ends, "the loop goes on"
        await until(lambda: bool(client.ends))
        refused(client, "input")

    asyncio.run(story())
