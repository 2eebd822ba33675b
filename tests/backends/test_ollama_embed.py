"""What Ollama is asked to embed."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from proxy.backends.registry import bind
from proxy.config.values import Backend
from proxy.core.chat import EmbedRequest
from proxy.core.dialect import Prepared
from proxy.core.failure import Failure, FailureKind
from proxy.core.route import Target


def embedded(body: dict[str, Any], **options: Any) -> Prepared | Failure:
    dialect = bind(Backend("o", "ollama", options=options), Target("o/", "o", ""))
    return dialect.embed(EmbedRequest(b"", {"model": "o/nomic", **body}, "o/nomic", False))


def test_embeddings_are_of_whole_texts() -> None:
    prepared = embedded({"input": ["a", "b"], "dimensions": 8, "encoding_format": "base64", "user": "u"}, num_ctx=512)
    assert isinstance(prepared, Prepared)
    assert prepared.call.head.startswith(b"POST /api/embed HTTP/1.1\r\n")
    assert orjson.loads(prepared.call.body) == {
        "model": "nomic",
        "input": ["a", "b"],
        "dimensions": 8,
        "truncate": False,
        "options": {"num_ctx": 512},
    }
    assert (prepared.dropped, prepared.unsupported) == (("user",), ())


def test_a_configuration_may_let_long_texts_be_cut() -> None:
    prepared = embedded({"input": "a", "task": "query"}, truncate=True, keep_alive=60.0)
    assert isinstance(prepared, Prepared)
    assert orjson.loads(prepared.call.body) == {"model": "nomic", "input": "a", "keep_alive": "60s"}
    assert prepared.unsupported == ("task",)


@pytest.mark.parametrize("tokens", [[1, 2], [[1, 2], [3]], ["a", [1]]])
def test_token_ids_cannot_be_embedded(tokens: list[object]) -> None:
    failure = embedded({"input": tokens})
    assert isinstance(failure, Failure)
    assert (failure.kind, failure.param) == (FailureKind.UNSUPPORTED, "input")
