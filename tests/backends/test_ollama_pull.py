"""The progress of a pull, from the lines that Ollama sends. They are those of its docs/api.md."""

from __future__ import annotations

from itertools import pairwise

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.backends.ollama_errors import OllamaErrors
from proxy.backends.ollama_pull import MAX_LINE, PullReader, calls
from proxy.config.values import Backend
from proxy.core.dialect import Malformed
from proxy.core.failure import FailureKind
from proxy.core.secret import Secret

ONE = {"status": "pulling aabbccdd", "digest": "sha256:aabb", "total": 2_000_000_000}
TWO = {"status": "pulling eeff0011", "digest": "sha256:eeff", "total": 500_000, "completed": 500_000}
DONE = {"status": "success"}


def lines(*values: object) -> bytes:
    return b"".join(orjson.dumps(value) + b"\n" for value in values)


def reader(data: bytes = b"") -> PullReader:
    found = PullReader(OllamaErrors())
    found.feed(data)
    return found


def test_the_bytes_of_all_layers_are_added_up() -> None:
    assert str(reader().progress) == "waiting"
    assert str(reader(lines({"status": "pulling manifest"})).progress) == "pulling manifest"
    assert reader(lines(ONE)).progress.percent == 0
    found = reader(lines(ONE, {**ONE, "completed": 1_000_000_000}, TWO, {"status": "verifying sha256 digest"}))
    assert (found.progress.completed, found.progress.total) == (1_000_500_000, 2_000_500_000)
    assert str(found.progress) == "50 % of 2.0 GB"
    assert str(reader(lines(TWO)).progress) == "100 % of 500.0 kB"
    assert (found.done, found.failure) == (False, None)
    found.feed(lines(DONE))
    assert (found.done, found.failure) == (True, None)


def test_an_error_ends_it_in_ollamas_own_words() -> None:
    found = reader(lines({"error": "pull model manifest: file does not exist"}, DONE))
    assert found.failure is not None
    assert found.failure.message == "pull model manifest: file does not exist"
    assert not found.done
    for error in ({"message": "x"}, "from /home/ollama/.ollama at 10.0.0.7"):
        failure = reader(lines({"error": error})).failure
        assert failure is not None
        assert failure.kind is FailureKind.SERVER_ERROR
        assert "10.0.0.7" not in failure.message
        assert "/home" not in failure.message


@given(cuts=st.lists(st.integers(1, 300), max_size=8))
@settings(max_examples=50, deadline=None)
def test_the_cuts_between_the_bytes_change_nothing(cuts: list[int]) -> None:
    data = lines({"status": "pulling manifest"}, ONE, {**ONE, "completed": 5}, TWO, DONE)
    found, places = reader(), sorted({0, *cuts, len(data)})
    for begin, end in pairwise(places):
        found.feed(data[begin:end])
    assert (found.progress, found.done) == (reader(data).progress, True)


@pytest.mark.parametrize("data", [b"nonsense\n", b"[]\n", b"x" * (MAX_LINE + 1)])
def test_what_the_protocol_does_not_allow_is_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        reader(data)


def test_layers_without_an_end_are_given_up() -> None:
    with pytest.raises(Malformed):
        reader(lines(*({"status": "", "digest": str(n), "total": 1} for n in range(1025))))


@given(value=st.dictionaries(st.sampled_from(["status", "digest", "total", "completed"]), st.none() | st.text()))
@settings(max_examples=30, deadline=None)
def test_fields_of_any_type_are_borne(value: dict[str, object]) -> None:
    assert reader(lines(value)).failure is None


def test_the_calls_go_where_the_backend_is_with_its_key() -> None:
    backend = Backend("o", "ollama", "https://gpu.example/ollama/v1", Secret("ollama-key-12"), {"x-team": "a"})
    found = calls(backend, "qwen3:0.6b")
    for call, path in ((found.show, b"show"), (found.pull, b"pull")):
        assert call.head.startswith(b"POST /ollama/api/" + path + b" HTTP/1.1\r\nHost: gpu.example\r\n")
        assert b"Authorization: Bearer ollama-key-12\r\n" in call.head
        assert b"x-team: a\r\n" in call.head
        assert orjson.loads(call.body)["model"] == "qwen3:0.6b"
        assert "ollama-key" not in repr(call)
