"""Reads a Responses stream as a strict client would: by the openai SDK's own types, and by the order of its events."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import orjson
from openai import omit
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from proxy.core.chat import ChatRequest
from proxy.inbound.responses import Responses
from proxy.inbound.way import Wrong

EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
RID = "req_00112233445566778899"
DELTAS = {
    "response.output_text.delta": ("output_text", "text"),
    "response.refusal.delta": ("refusal", "refusal"),
}


def request(**body: Any) -> ChatRequest:
    """A request to the Responses API, read."""
    given = {"model": "m", "input": "Hello", **body}
    read = Responses().read(given, orjson.dumps(given), {})
    assert not isinstance(read, Wrong), read
    return read


def wrong(**body: Any) -> Wrong:
    """What is wrong with a request."""
    given = {"model": "m", "input": "Hello", **body}
    read = Responses().read(given, orjson.dumps(given), {})
    assert isinstance(read, Wrong), read
    return read


def sse(chunk: object) -> bytes:
    """A chunk as the engine hands it over."""
    return b"data: " + orjson.dumps(chunk) + b"\n\n"


def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
    """A chunk with one choice."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish, **more}
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m-served"}
    return sse({**head, "choices": [choice]})


def usage(given: int = 7, made: int = 2, **more: Any) -> bytes:
    """The usage chunk."""
    counts = {"prompt_tokens": given, "completion_tokens": made, "total_tokens": given + made, **more}
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m-served"}
    return sse({**head, "choices": [], "usage": counts})


def streamed(asked: ChatRequest, chunks: Iterable[bytes], last: bytes = b"") -> list[dict[str, Any]]:
    """The events of a complete stream, in order."""
    renderer = Responses().renderer(asked, RID, 1_700_000_000)
    out = b"".join([renderer.push(one) for one in chunks]) + renderer.close(last)
    return events(out)


def whole(asked: ChatRequest, completion: dict[str, Any]) -> dict[str, Any]:
    """The response made from a whole completion, valid by the SDK's types."""
    body = Responses().renderer(asked, RID, 1_700_000_000).whole(orjson.dumps(completion))
    Response.model_validate_json(body)
    response: dict[str, Any] = orjson.loads(body)
    return response


def events(out: bytes) -> list[dict[str, Any]]:
    """A stream's events; the name of each is its type."""
    found = []
    for block in out.split(b"\n\n")[:-1]:
        if block.startswith(b":"):
            continue
        name, data = block.split(b"\n")
        event = orjson.loads(data.removeprefix(b"data: "))
        assert name == b"event: " + event["type"].encode()
        found.append(event)
    return found


def of(found: Sequence[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    """Those of one type."""
    return [event for event in found if event["type"] == kind]


def check(found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Asserts that this is a valid and complete stream. The response at its end."""
    for event in found:
        EVENT.validate_json(orjson.dumps(event))
    assert [event["sequence_number"] for event in found] == list(range(len(found)))
    kinds = [event["type"] for event in found]
    assert kinds[:2] == ["response.created", "response.in_progress"]
    assert kinds[-1] in ("response.completed", "response.incomplete")
    assert sum(kind in ("response.completed", "response.incomplete", "response.failed") for kind in kinds) == 1
    end: dict[str, Any] = found[-1]["response"]
    assert kinds[-1] == f"response.{end['status']}"
    assert found[0]["response"]["id"] == end["id"]
    _items(found, end["output"])
    if kinds[-1] == "response.completed":
        assert as_the_sdk_sees(found) == end["output"]
    return end


def as_the_sdk_sees(found: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The output that the SDK's own accumulation ends with."""
    state: Any = ResponseStreamState(input_tools=omit, text_format=omit)
    for event in found:
        state.handle_event(EVENT.validate_json(orjson.dumps(event)))
    return [_plain(item) for item in state._completed_response.output]


def _plain(item: Any) -> dict[str, Any]:
    said: dict[str, Any] = item.model_dump(mode="json", exclude_unset=True)
    said.pop("parsed_arguments", None)
    for part in said.get("content") or []:
        part.pop("parsed", None)
    return said


def _items(found: Sequence[dict[str, Any]], output: list[dict[str, Any]]) -> None:
    """Each item is begun once, ended once, and is what its pieces say."""
    added = of(found, "response.output_item.added")
    done = of(found, "response.output_item.done")
    assert [event["output_index"] for event in added] == list(range(len(output)))
    assert sorted(event["output_index"] for event in done) == list(range(len(output)))
    for event in done:
        assert event["item"] == output[event["output_index"]]
    for begun, item in zip(added, output, strict=True):
        assert begun["item"]["id"] == item["id"]
        mine = [event for event in found if event.get("item_id") == item["id"]]
        assert all(event["output_index"] == begun["output_index"] for event in mine)
        _pieces(mine, item)


def _pieces(mine: list[dict[str, Any]], item: dict[str, Any]) -> None:
    if item["type"] == "function_call":
        said = "".join(event["delta"] for event in of(mine, "response.function_call_arguments.delta"))
        [end] = of(mine, "response.function_call_arguments.done")
        assert said == end["arguments"] == item["arguments"]
    elif item["type"] == "reasoning":
        said = "".join(event["delta"] for event in of(mine, "response.reasoning_summary_text.delta"))
        assert said == "".join(part["text"] for part in item["summary"])
    elif item["type"] == "message":
        for place, part in enumerate(item["content"]):
            here = [event for event in mine if event["content_index"] == place]
            assert here[0]["type"] == "response.content_part.added"
            assert here[-1]["type"] == "response.content_part.done"
            assert here[-1]["part"] == part
            for kind, (name, field) in DELTAS.items():
                if part["type"] == name:
                    assert "".join(event["delta"] for event in of(here, kind)) == part[field]
