"""The Responses API for callers whose responses are kept, also where they come in OpenAI's own bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from proxy.core.chat import ChatRequest
from proxy.core.memory import Kept
from proxy.inbound.responses import Responses
from proxy.inbound.responses_kept import KeptResponses, ResponsesOfOne
from proxy.inbound.way import Notes, Remembers, Wrong
from tests.inbound.sequence import RID, chunk

ANSWER = {"type": "message", "id": "msg_1", "role": "assistant", "content": [{"type": "output_text", "text": "Hello"}]}
HI = {"type": "message", "role": "user", "content": "Hi"}


class Book:
    """A `Memory` in memory."""

    def __init__(self) -> None:
        self.all: dict[tuple[str, str], Kept] = {}

    def find(self, owner: str, id_: str) -> Kept | None:
        return self.all.get((owner, id_))

    def chain(self, owner: str, id_: str) -> tuple[Kept, ...] | None:
        kept = self.find(owner, id_)
        if kept is None:
            return None
        before = self.chain(owner, kept.previous) if kept.previous else ()
        return None if before is None else (*before, kept)

    def item(self, owner: str, id_: str) -> Mapping[str, Any] | None:
        found = [
            i for (o, _), kept in self.all.items() if o == owner for i in kept.response["output"] if i["id"] == id_
        ]
        return found[0] if found else None

    def keep(self, owner: str, kept: Kept) -> None:
        self.all[owner, kept.response["id"]] = kept

    def forget(self, owner: str, id_: str) -> bool:
        return self.all.pop((owner, id_), None) is not None


def told() -> Book:
    """One that knows a response of Ann's."""
    book = Book()
    book.keep("ann", Kept((HI,), {"id": "resp_1", "output": [ANSWER]}))
    return book


def read(api: ResponsesOfOne, **body: Any) -> ChatRequest:
    given = {"model": "m", "input": "And?", **body}
    found = api.read(given, orjson.dumps(given), {})
    assert isinstance(found, ChatRequest), found
    return found


def test_only_the_api_with_a_memory_remembers() -> None:
    assert isinstance(KeptResponses(Book()), Remembers)
    assert not isinstance(Responses(), Remembers)
    assert isinstance(KeptResponses(Book()).of("ann"), Notes)


def test_what_went_before_is_in_both_forms_of_the_request() -> None:
    asked = read(KeptResponses(told()).of("ann"), previous_response_id="resp_1")
    assert [message["content"] for message in asked.body["messages"]] == ["Hi", "Hello", "And?"]
    assert asked.native is not None
    assert "previous_response_id" not in asked.native.body
    assert [item.get("id") for item in asked.native.body["input"]] == [None, "msg_1", None]


def test_results_of_tools_find_their_call_in_what_went_before() -> None:
    book = Book()
    call = {"type": "function_call", "id": "fc_1", "call_id": "a", "name": "f", "arguments": "{}"}
    book.keep("ann", Kept((HI,), {"id": "resp_1", "output": [call]}))
    output = {"type": "function_call_output", "call_id": "a", "output": "1"}
    asked = read(KeptResponses(book).of("ann"), previous_response_id="resp_1", input=[output])
    assert [message["role"] for message in asked.body["messages"]] == ["user", "assistant", "tool"]


def test_another_caller_does_not_find_it() -> None:
    given = {"model": "m", "input": "And?", "previous_response_id": "resp_1"}
    found = KeptResponses(told()).of("bob").read(given, b"", {})
    assert isinstance(found, Wrong)
    assert found.param == "previous_response_id"


def test_a_translated_answer_is_kept_with_what_it_answered() -> None:
    book = told()
    api = KeptResponses(book).of("ann")
    renderer = api.renderer(read(api, previous_response_id="resp_1", stream=True), RID, 1)
    renderer.push(chunk({"content": "Yes."}) + chunk({}, "stop"))
    assert len(book.all) == 1  # not before it is complete
    renderer.close(b"")
    [_, kept] = book.all.values()
    assert kept.previous == "resp_1"
    assert [item["content"] for item in kept.input] == ["And?"]
    assert (kept.response["store"], kept.response["previous_response_id"]) == (True, "resp_1")


def test_an_answer_that_was_cut_is_not_kept() -> None:
    book = Book()
    api = KeptResponses(book).of("ann")
    renderer = api.renderer(read(api, stream=True), RID, 1)
    renderer.push(chunk({"content": "Yes."}))
    assert book.all == {}


def test_openais_own_answers_are_kept_too() -> None:
    response = {"id": "resp_68", "object": "response", "status": "completed", "output": [ANSWER]}
    book = Book()
    api = KeptResponses(book).of("ann")
    read(api)
    api.handed_on(orjson.dumps(response))
    assert book.all["ann", "resp_68"].response == response
    event = {"type": "response.completed", "sequence_number": 9, "response": {**response, "id": "resp_69"}}
    last = b'event: response.output_item.done\ndata: {"type":"response.output_item.done"}\n\n'
    assert api.ending(last + b"event: response.completed\ndata: " + orjson.dumps(event) + b"\n\n") == b""
    assert [item["content"] for item in book.all["ann", "resp_69"].input] == ["And?"]


def test_who_says_store_false_is_not_remembered() -> None:
    book = Book()
    api = KeptResponses(book).of("ann")
    renderer = api.renderer(read(api, store=False), RID, 1)
    message = {"role": "assistant", "content": "Yes."}
    out = renderer.whole(orjson.dumps({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}))
    api.handed_on(orjson.dumps({"id": "resp_68", "output": []}))
    assert orjson.loads(out)["store"] is False
    assert book.all == {}
