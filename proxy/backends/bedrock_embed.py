"""Embeddings of Amazon's and Cohere's models on Bedrock, by InvokeModel.

https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-embed-text.html
https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-embed.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

from proxy.backends.openai_errors import ErrorReader
from proxy.backends.openai_reply import read_embedding
from proxy.core.chat import Embedding
from proxy.core.dialect import Malformed
from proxy.core.failure import Failure, FailureKind
from proxy.core.tokens import of_text
from proxy.core.usage import Source

_READ = frozenset({"model", "input", "encoding_format", "dimensions"})
_OF_TITAN = frozenset({"normalize"})
_OF_COHERE = frozenset({"input_type", "truncate"})
_HINTS = frozenset({"user"})


class Asked(NamedTuple):
    """A body, and what is not in it."""

    body: dict[str, Any]
    lost: tuple[str, ...]
    hints: tuple[str, ...]


def write(asked: Mapping[str, Any], model: str) -> Asked | Failure:
    """The body for this model; a `Failure` for one that is not known, or for what it does not take."""
    given = asked.get("input")
    texts = [given] if isinstance(given, str) else given
    name = model.lower()
    known = "titan-embed" in name or "cohere.embed" in name
    if not known:
        return _not("embeddings come from Titan's and Cohere's models only at this backend")
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        return _not("this target embeds texts, not token ids")
    if "titan-embed" in name:
        if len(texts) != 1:
            return _not("this target embeds one text a call: send them one by one")
        return _titan(asked, name, texts[0])
    return _cohere(asked, name, texts)


def read(body: bytes, model: str, errors: ErrorReader, *, base64: bool, reply: str | None) -> Embedding | Failure:
    """Embeddings in OpenAI's form. Where nobody counted tokens (Cohere tells only in a header), they are estimated.
    Raises `Malformed`."""
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Malformed("the upstream's answer is not JSON") from error
    vectors = _vectors(answer)
    counted = answer.get("inputTextTokenCount")
    texts = answer.get("texts")
    tokens = counted if type(counted) is int and counted >= 0 else None
    if tokens is None:
        tokens = sum(of_text(text) for text in texts if isinstance(text, str)) if isinstance(texts, list) else 0
    rows = [{"object": "embedding", "index": at, "embedding": vector} for at, vector in enumerate(vectors)]
    told = {
        "object": "list",
        "data": rows,
        "model": model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }
    found = read_embedding(orjson.dumps(told), errors, base64=base64, model=reply)
    if isinstance(found, Failure):
        return found
    if counted is None:
        usage = None if found.usage is None or not tokens else found.usage._replace(source=Source.ESTIMATED)
        found = found._replace(usage=usage)
    return found._replace(model=model)


def _titan(asked: Mapping[str, Any], name: str, text: str) -> Asked:
    body: dict[str, Any] = {"inputText": text}
    lost, hints = _others(asked, body, _OF_TITAN if "v2" in name else frozenset())
    size = asked.get("dimensions")
    if size is not None:
        if "titan-embed-image" in name:
            body["embeddingConfig"] = {"outputEmbeddingLength": size}
        elif "v2" in name:
            body["dimensions"] = size
        else:
            lost.append("dimensions")
    return Asked(body, tuple(lost), tuple(hints))


def _cohere(asked: Mapping[str, Any], name: str, texts: list[str]) -> Asked:
    body: dict[str, Any] = {"texts": texts, "input_type": "search_document", "embedding_types": ["float"]}
    lost, hints = _others(asked, body, _OF_COHERE)
    size = asked.get("dimensions")
    if size is not None:
        if "embed-v4" in name:
            body["output_dimension"] = size
        else:
            lost.append("dimensions")
    return Asked(body, tuple(lost), tuple(hints))


def _others(asked: Mapping[str, Any], body: dict[str, Any], own: frozenset[str]) -> tuple[list[str], list[str]]:
    lost: list[str] = []
    hints: list[str] = []
    for name, value in asked.items():
        if name in own:
            body[name] = value
        elif name in _HINTS:
            hints.append(name)
        elif name not in _READ and value is not None:
            lost.append(name)
    return lost, hints


def _vectors(answer: Any) -> list[Any]:
    """Titan gives one, Cohere a list, by their type where that was asked for."""
    if isinstance(answer, dict):
        one, many = answer.get("embedding"), answer.get("embeddings")
        if isinstance(many, dict):
            many = many.get("float")
        if isinstance(one, list) and one:
            return [one]
        if isinstance(many, list) and many:
            return many
    raise Malformed("the upstream's answer holds no embeddings")


def _not(why: str) -> Failure:
    return Failure(FailureKind.UNSUPPORTED, why, param="input")
