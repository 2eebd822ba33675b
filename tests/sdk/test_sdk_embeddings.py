"""Embeddings by the openai SDK. It asks for base64 and decodes it; openai-node decodes whatever comes as base64."""

from __future__ import annotations

import base64
import struct
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.sdk.stage import Stage
from tests.upstream_answers import embeddings_ok, error

VECTORS = [[0.25, -0.5, 3.0], [1.5, 0.0, -2.0]]


def packed(vector: list[float]) -> str:
    """Little-endian float32, as OpenAI packs them."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


@pytest.mark.parametrize("given", [VECTORS, [packed(v) for v in VECTORS]], ids=["floats", "base64"])
@pytest.mark.parametrize("asked", [{}, {"encoding_format": "float"}], ids=["as it comes", "floats"])
def test_the_sdk_gets_the_right_vectors_whatever_the_backend_gives(
    stage: Stage, client: OpenAI, given: list[Any], asked: dict[str, Any]
) -> None:
    answer = client.embeddings.create(model=stage.play(embeddings_ok(given)), input=["a", "b"], **asked)
    assert [each.embedding for each in answer.data] == VECTORS
    assert [each.index for each in answer.data] == [0, 1]
    assert answer.usage.prompt_tokens == 3


@pytest.mark.parametrize("given", [VECTORS, [packed(v) for v in VECTORS]], ids=["floats", "base64"])
def test_who_asks_for_base64_gets_base64_on_the_wire(stage: Stage, client: OpenAI, given: list[Any]) -> None:
    raw = client.embeddings.with_raw_response.create(
        model=stage.play(embeddings_ok(given)), input=["a", "b"], encoding_format="base64"
    )
    sent: Any = raw.http_response.json()
    assert [each["embedding"] for each in sent["data"]] == [packed(vector) for vector in VECTORS]


def test_token_ids_arrive_as_token_ids(stage: Stage, client: OpenAI) -> None:
    model = stage.play(embeddings_ok(VECTORS))
    client.embeddings.create(model=model, input=[[1, 2, 3], [4]])
    assert stage.asked(model)[0].json["input"] == [[1, 2, 3], [4]]


def test_vectors_of_another_model_never_stand_in(stage: Stage, client: OpenAI) -> None:
    route = stage.pair(error(500), embeddings_ok(VECTORS))
    with pytest.raises(openai.InternalServerError):
        client.embeddings.create(model=route, input="a")
    assert {request.json["model"] for request in stage.asked(route)} == {route.replace("pair", "a")}
