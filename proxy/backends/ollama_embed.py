"""Embeddings by Ollama's `/api/embed`, in OpenAI's terms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from proxy.backends.ollama_reply import usage_of
from proxy.backends.ollama_request import IDLE, SAMPLING, Asked, Written, options_of
from proxy.backends.vectors import embedding
from proxy.core.chat import Embedding
from proxy.core.dialect import Malformed
from proxy.core.failure import Failure, FailureKind

_KNOWN = frozenset({"model", "input", "encoding_format", "dimensions", "keep_alive", "truncate", "options"})


def embed_body(asked: Mapping[str, Any], model: str, own: Asked) -> Written | Failure:
    """The request for `/api/embed`. By default it cuts a text that is too long: a vector of half a text is none."""
    given = asked.get("input")
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        message = "Ollama embeds texts: it does not take tokens"
        return Failure(FailureKind.UNSUPPORTED, message, param="input")
    body: dict[str, Any] = {"model": model, "input": given}
    for name in ("dimensions", "keep_alive", "truncate"):
        if asked.get(name) is not None:
            body[name] = asked[name]
    if own.keep_alive is not None:
        body.setdefault("keep_alive", own.keep_alive)
    if not own.truncate:
        body.setdefault("truncate", False)
    options = options_of(asked, own)
    if options:
        body["options"] = options
    lost = {name for name, value in asked.items() if value is not None and name not in _KNOWN | SAMPLING | IDLE}
    left = lost | {name for name in IDLE if asked.get(name) is not None}
    return Written(body, tuple(sorted(left)), tuple(sorted(lost)))


def read_embedding(reply: Mapping[str, Any], *, base64: bool, model: str | None) -> Embedding:
    """A whole answer. Raises `Malformed`."""
    vectors = reply.get("embeddings")
    if vectors is None and "embedding" in reply:
        vectors = [reply["embedding"]]  # as `/api/embeddings` did, and those who followed it still do
    if type(vectors) is not list or not vectors:
        raise Malformed("the upstream's answer holds no embeddings")
    name = reply.get("model")
    named = name if type(name) is str else ""
    return embedding(vectors, base64=base64, model=named, reply=model, usage=usage_of(reply))
