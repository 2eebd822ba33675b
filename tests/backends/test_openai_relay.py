"""Endpoints handed on as they are, in OpenAI's dialect: where the call goes, what is in it, what an answer means."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.backends.registry import bind
from proxy.config.values import Backend
from proxy.core.chat import End, Kind
from proxy.core.dialect import Malformed, Prepared, TooLarge
from proxy.core.failure import Failure, FailureKind
from proxy.core.relay import RELAYS, Relayed, RelayRequest, Relays
from proxy.core.route import Target
from proxy.core.secret import Secret
from proxy.core.usage import Special, Usage

KEY = "sk-of-nobody-at-all"
BY_NAME = {relay.name: relay for relay in RELAYS}


def target(type_: str = "openai", url: str = "https://api.test/v1", **more: Any) -> Relays:
    """A target at such a backend."""
    options = more.pop("options", {})
    bound = bind(Backend("b", type_, url, Secret(KEY), options=options), Target("b/m", "b", "m", **more))
    assert isinstance(bound, Relays)
    return bound


def ask(name: str, **body: Any) -> RelayRequest:
    """A request in JSON."""
    body = {"model": "route", **body}
    return RelayRequest(BY_NAME[name], orjson.dumps(body), body, "route", False)


def line(given: Prepared | Failure) -> str:
    """The request line of a call."""
    assert isinstance(given, Prepared)
    return given.call.head.split(b"\r\n")[0].decode()


@pytest.mark.parametrize(
    ("type_", "url", "name", "path"),
    [
        ("openai", "https://api.openai.com/v1", "moderations", "/v1/moderations"),
        ("openai", "http://127.0.0.1:9000/v1", "rerank", "/v1/rerank"),
        ("groq", "https://api.groq.com/openai/v1", "speech", "/openai/v1/audio/speech"),
        ("cohere", "https://api.cohere.ai/compatibility/v1", "rerank", "/v2/rerank"),
        ("cohere", "https://api.cohere.ai/compatibility/v1", "transcriptions", "/v2/audio/transcriptions"),
        ("vllm", "http://127.0.0.1:8000", "rerank", "/v1/rerank"),
    ],
)
def test_the_call_goes_where_the_provider_has_the_endpoint(type_: str, url: str, name: str, path: str) -> None:
    assert line(target(type_, url).relay(ask(name))) == f"POST {path} HTTP/1.1"


def test_azures_deployments_have_theirs_below_them() -> None:
    azure = target("azure", "https://n.openai.azure.com", options={"api_version": "2025-03-01-preview"})
    path = "/openai/deployments/m/audio/speech?api-version=2025-03-01-preview"
    assert line(azure.relay(ask("speech"))) == f"POST {path} HTTP/1.1"


@pytest.mark.parametrize(
    ("type_", "url", "name"),
    [
        ("openai", "https://api.openai.com/v1", "rerank"),
        ("groq", "https://api.groq.com/openai/v1", "moderations"),
        ("deepseek", "https://api.deepseek.com", "images"),
        ("lmstudio", "http://127.0.0.1:1234/v1", "speech"),
        ("llamacpp", "", "rerank"),
    ],
)
def test_a_target_that_does_not_have_it_says_so_and_is_not_asked(type_: str, url: str, name: str) -> None:
    found = target(type_, url).relay(ask(name))
    assert isinstance(found, Failure) and found.kind is FailureKind.UNSUPPORTED


def test_what_chat_does_not_take_is_no_matter_here() -> None:
    """`refuses` and `renames` of a provider speak of chat."""
    found = target("groq", "https://api.groq.com/openai/v1").relay(ask("speech", user="u", voice="v"))
    assert isinstance(found, Prepared) and orjson.loads(found.call.body) == {"model": "m", "user": "u", "voice": "v"}


def test_operators_headers_cannot_spoil_the_type_of_a_form() -> None:
    request = RelayRequest(
        BY_NAME["transcriptions"], b"--b-XX-b", {}, "XX", False, "multipart/form-data; boundary=b", (4, 6)
    )
    found = target(headers={"Content-Type": "text/plain"}).relay(request)
    assert isinstance(found, Prepared) and found.call.body == b"--b-m-b"
    assert found.call.head.count(b"Content-Type") == 1 and b"multipart/form-data; boundary=b\r\n" in found.call.head


def whole(name: str, body: object, content_type: str = "application/json") -> Relayed:
    """What is made of an answer."""
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    found = target().relayed(ask(name), content_type, raw)
    assert isinstance(found, Relayed) and found.raw == raw
    return found


@pytest.mark.parametrize(
    ("name", "usage", "counted"),
    [
        ("transcriptions", {"type": "duration", "seconds": 27}, None),
        (
            "transcriptions",
            {"input_tokens": 14, "input_token_details": {"audio_tokens": 10}, "output_tokens": 4, "total_tokens": 18},
            Usage(14, 4, special=Special(audio_input=10)),
        ),
        (
            "images",
            {"input_tokens": 5, "output_tokens": 9, "total_tokens": 14},
            Usage(5, 9, special=Special(0, 0, 0, 9)),
        ),
        (
            "images",
            {
                "input_tokens": 5,
                "input_tokens_details": {"text_tokens": 3, "image_tokens": 2},
                "output_tokens": 9,
                "output_tokens_details": {"text_tokens": 1, "image_tokens": 8},
            },
            Usage(5, 9, special=Special(0, 0, 2, 8)),
        ),
        ("rerank", {"total_tokens": 7}, Usage(7, 0)),
        ("moderations", None, None),
    ],
)
def test_tokens_are_read_where_the_answer_tells_them(name: str, usage: object, counted: Usage | None) -> None:
    assert whole(name, {"usage": usage}).usage == counted


def test_bytes_that_mean_nothing_to_us_are_handed_on() -> None:
    assert whole("speech", b"\xff\xfb\x00", "audio/mpeg").content_type == "audio/mpeg"
    assert whole("transcriptions", b"WEBVTT", "text/vtt").usage is None
    assert whole("rerank", [{"index": 0, "score": 0.5}]).usage is None


@pytest.mark.parametrize(
    ("name", "body", "kind"),
    [
        ("rerank", b"nonsense", "application/json"),
        ("images", b"\xff", "image/png"),
        ("moderations", b"7", "application/json"),
        ("speech", b"<html>", "text/html; charset=utf-8"),
        ("transcriptions", b"", "text/plain"),
    ],
)
def test_what_cannot_be_an_answer_is_none(name: str, body: bytes, kind: str) -> None:
    with pytest.raises(Malformed):
        target().relayed(ask(name), kind, body)


def test_an_error_under_200_is_one_and_tells_no_key() -> None:
    found = target().relayed(ask("speech"), "application/json", orjson.dumps({"error": {"message": f"bad {KEY}"}}))
    assert isinstance(found, Failure) and KEY not in repr(found)
    assert KEY not in repr(target()) and KEY not in repr(target().relay(ask("speech")))


def events(*values: object) -> bytes:
    """A stream."""
    return b"".join(
        b"data: " + (value if isinstance(value, bytes) else orjson.dumps(value)) + b"\n\n" for value in values
    )


DELTA, LAST = {"type": "transcript.text.delta", "delta": "x"}, {"type": "transcript.text.done", "text": "x"}
STREAMS = {
    "typed": (events(DELTA, {**LAST, "usage": {"input_tokens": 3, "output_tokens": 1}}), End.COMPLETE),
    "named": (b"event: transcript.text.done\n" + events(LAST), End.COMPLETE),
    "marked": (events({"choices": []}, b"[DONE]"), End.COMPLETE),
    "of no known type": (events({"text": "x"}), End.COMPLETE),
    "cut": (events(DELTA), End.TRUNCATED),
    "failed": (events(DELTA, {"type": "error", "error": {"message": "m"}}), End.ERRORED),
}


@pytest.mark.parametrize("name", STREAMS)
@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 200), max_size=6))
def test_a_stream_is_the_same_however_it_is_cut(name: str, cuts: list[int]) -> None:
    data, end = STREAMS[name]
    decoder = target().relay_decoder("text/event-stream")
    edges = [0, *sorted({min(cut, len(data)) for cut in cuts}), len(data)]
    found = [event for begin, until in pairwise(edges) for event in decoder.feed(data[begin:until])]
    assert decoder.close() is end
    assert decoder.finished is (end is End.COMPLETE and name != "of no known type")
    told = b"".join(event.raw for event in found)
    assert told == (data if end is not End.ERRORED else events(DELTA))
    assert [event.kind for event in found if event.kind < Kind.CONTENT] == (
        [Kind.DONE] if name == "marked" else [Kind.ERROR] if name == "failed" else []
    )
    assert (decoder.usage == Usage(3, 1)) is (name == "typed")


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(max_size=60), max_size=6), st.sampled_from(["text/event-stream", "audio/mpeg", ""]))
def test_any_bytes_at_all_raise_only_malformed(pieces: list[bytes], kind: str) -> None:
    decoder = target().relay_decoder(kind)
    try:
        for piece in pieces:
            decoder.feed(piece)
    except Malformed:
        pass
    decoder.close()
    for relay in RELAYS:
        try:
            target().relayed(RelayRequest(relay, b"", {}, "m", False), kind, b"".join(pieces))
        except Malformed:
            continue


def test_an_endless_event_is_given_up() -> None:
    decoder = target().relay_decoder("text/event-stream")
    with pytest.raises(TooLarge):
        for _ in range(40):
            decoder.feed(b"data: " + b"x" * 1024 * 1024)
