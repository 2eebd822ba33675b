"""Errors in OpenAI's shape: which status, which headers, whose words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proxy.core.failure import VERDICTS, Failure, FailureKind
from proxy.wire.errors import CALLERS_OWN, WORDS, from_failure, in_band, model_not_found, scrubbed

K = FailureKind


def read(answer: tuple[int, bytes, bytes]) -> tuple[int, dict[str, str], dict[str, Any]]:
    status, headers, body = answer
    assert headers.endswith(b"\r\n")
    lines = dict(line.split(": ", 1) for line in headers.decode().split("\r\n")[:-1])
    error = json.loads(body)["error"]
    assert sorted(error) == ["code", "message", "param", "type"]
    return status, lines, error


@pytest.mark.parametrize("kind", list(FailureKind))
def test_every_kind_of_failure_has_words_and_the_verdicts_status(kind: FailureKind) -> None:
    status, lines, error = read(from_failure(Failure(kind, ""), request_id="req_1"))
    assert status == VERDICTS[kind].status
    assert error["message"] == WORDS[kind]
    assert (error["type"], error["code"]) == (VERDICTS[kind].type, VERDICTS[kind].code)
    assert lines["content-type"] == "application/json"
    assert lines["x-request-id"] == lines["x-wayline-request-id"] == "req_1"


SECRET = "key sk-proj-abcdef123456 at https://internal.example:8443/v1?x=1 refused, Bearer abc.def.ghi"


@pytest.mark.parametrize("kind", list(FailureKind))
def test_no_failure_tells_a_key_or_an_address(kind: FailureKind) -> None:
    failure = Failure(kind, SECRET, 400)
    for text in (from_failure(failure)[2].decode(), in_band(failure).decode()):
        for part in ("sk-proj", "abcdef", "internal.example", "abc.def"):
            assert part not in text


@pytest.mark.parametrize("kind", list(FailureKind))
def test_the_upstreams_words_are_handed_on_only_where_they_speak_of_the_request(kind: FailureKind) -> None:
    failure = Failure(kind, "upstream says so", None, None, "their_code", "their_type", "their.param")
    _, _, error = read(from_failure(failure))
    theirs = (error["message"], error["code"], error["type"], error["param"])
    if kind in CALLERS_OWN:
        assert theirs == ("upstream says so", "their_code", "their_type", "their.param")
    else:
        assert not {"upstream says so", "their_code", "their_type", "their.param"} & set(theirs)


@pytest.mark.parametrize(("theirs", "ours"), [(400, 400), (413, 413), (422, 422), (418, 400), (500, 400), (None, 400)])
def test_a_bad_request_keeps_its_status_where_that_is_one_of_a_bad_request(theirs: int | None, ours: int) -> None:
    assert from_failure(Failure(K.BAD_REQUEST, "no", theirs))[0] == ours


def test_retry_after_goes_out_in_whole_seconds_and_exactly_when_short() -> None:
    limited = Failure(K.RATE_LIMITED, "")
    assert read(from_failure(limited, retry_after=2.2))[1]["retry-after"] == "3"
    short = read(from_failure(limited, retry_after=0.174))[1]
    assert (short["retry-after"], short["retry-after-ms"]) == ("1", "174")
    assert "retry-after" not in read(from_failure(limited))[1]
    assert "retry-after" not in read(from_failure(Failure(K.RESET, ""), retry_after=3.0))[1]


def test_the_sdk_is_told_where_its_own_retry_would_be_futile() -> None:
    """It retries 408, 409, 429 and 5xx twice by itself, within seconds."""
    futile = {kind for kind in FailureKind if "x-should-retry" in read(from_failure(Failure(kind, "")))[1]}
    assert K.QUOTA in futile and K.KEY_REFUSED in futile and K.NOT_FOUND in futile
    assert not futile & {K.RATE_LIMITED, K.OVERLOADED, K.LOADING, K.RESET, K.SERVER_ERROR, K.BUSY, K.DRAINING}
    limited = Failure(K.RATE_LIMITED, "")
    assert "x-should-retry" not in read(from_failure(limited, retry_after=120.0))[1]
    assert read(from_failure(limited, retry_after=121.0))[1]["x-should-retry"] == "false"
    never = Failure(K.RATE_LIMITED, "more than the whole limit", code="request_too_large", ours=True)
    assert read(from_failure(never))[1]["x-should-retry"] == "false"


def test_a_failure_inside_a_stream_is_one_event_with_an_error() -> None:
    event = in_band(Failure(K.TRUNCATED, "x"), request_id="req_9")
    assert event.startswith(b"data: ") and event.endswith(b"\n\n") and event.count(b"\n") == 2
    error = json.loads(event[6:])["error"]
    assert (error["code"], error["request_id"]) == ("upstream_truncated", "req_9")


def test_an_unknown_model_is_a_404_that_names_at_most_ten_others() -> None:
    answer = model_not_found("gpt-9", [f"route{number}" for number in range(20)])
    error = json.loads(answer.body)["error"]
    assert (answer.status, error["code"], error["param"]) == (404, "model_not_found", "model")
    assert "route9" in error["message"] and "route10" not in error["message"]
    assert "Available" not in json.loads(model_not_found("x", []).body)["error"]["message"]


def test_a_message_of_any_length_is_scrubbed_quickly_and_cut() -> None:
    assert len(scrubbed("sk-" * 1_000_000)) <= 4000
    assert scrubbed("plain words, a.b:c/d, 3 tokens") == "plain words, a.b:c/d, 3 tokens"
