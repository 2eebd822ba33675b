"""Embeddings of a local model, by either engine."""

from __future__ import annotations

import base64
import math
import struct
from typing import Any

import pytest

from tests.local.unix import post


def embed(path: str, body: dict[str, Any]) -> dict[str, Any]:
    status, answer = post(path, "/v1/embeddings", body)
    assert status == 200, answer
    return answer


def vectors(path: str, given: Any) -> list[list[float]]:
    answer = embed(path, {"input": given})
    assert [item["index"] for item in answer["data"]] == list(range(len(answer["data"])))
    return [item["embedding"] for item in answer["data"]]


def cosine(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


def test_a_text_gives_one_flat_vector_of_length_one(embedder: str) -> None:
    answer = embed(embedder, {"input": "hello"})
    assert answer["model"] == "smollm2"
    assert answer["object"] == "list"
    vector = answer["data"][0]["embedding"]
    assert len(vector) == 576
    assert math.isclose(cosine(vector, vector), 1.0, rel_tol=1e-4)
    assert answer["usage"] == {"prompt_tokens": 1, "total_tokens": 1}


def test_a_list_gives_a_vector_each_in_order(embedder: str) -> None:
    fox, hen = vectors(embedder, ["The fox ran.", "Money is tight at the bank."])
    assert cosine(fox, vectors(embedder, "The fox ran.")[0]) > 0.999
    assert cosine(fox, hen) < 0.99


def test_token_ids_are_taken_as_they_are(embedder: str) -> None:
    (one,) = vectors(embedder, [1, 2, 3])
    again, other = vectors(embedder, [[1, 2, 3], [4, 5]])
    assert cosine(one, again) > 0.999
    assert cosine(one, other) < 0.999
    assert embed(embedder, {"input": [[1, 2, 3], [4, 5]]})["usage"]["prompt_tokens"] == 5


def test_base64_holds_the_same_floats(embedder: str) -> None:
    floats = vectors(embedder, "hello")[0]
    packed = embed(embedder, {"input": "hello", "encoding_format": "base64"})["data"][0]["embedding"]
    unpacked = list(struct.unpack("<576f", base64.b64decode(packed)))
    assert max(abs(a - b) for a, b in zip(floats, unpacked, strict=True)) < 1e-5


@pytest.mark.slow
def test_a_text_longer_than_a_batch_is_embedded_whole(embedder: str) -> None:
    answer = embed(embedder, {"input": "hello world " * 270})
    assert 512 < answer["usage"]["prompt_tokens"] < 1024  # 512 is what llama.cpp evaluates at once by default


@pytest.mark.parametrize("given", ["", [], {}, None, [[]], [{}]])
def test_nothing_to_embed_is_a_400(embedder: str, given: Any) -> None:
    assert post(embedder, "/v1/embeddings", {"input": given})[0] == 400


def test_a_text_beyond_the_context_is_refused(embedder: str) -> None:
    status, answer = post(embedder, "/v1/embeddings", {"input": "hello world " * 1200})
    assert status == 400, answer
    assert answer["error"]["type"] == "exceed_context_size_error"
