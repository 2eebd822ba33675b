"""Embeddings by Gemini and by Vertex, in OpenAI's terms.

Sources (read on 2026-11-21): ai.google.dev, "Embeddings" (`batchEmbedContents`); google-genai 3.4, `models.py`, for
Vertex: models named gemini are asked by `embedContent`, or for several texts `batchEmbedContents`, others by `predict`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from proxy.backends.gemini_contents import CannotSay
from proxy.backends.gemini_reply import usage_of
from proxy.backends.gemini_request import IDLE, Written
from proxy.core.dialect import Malformed
from proxy.core.usage import Usage

_TASK = ("task_type", "taskType")
_KNOWN = frozenset({"model", "input", "encoding_format", "dimensions", "title", "auto_truncate", *_TASK})
_MAX = 1 << 40


def batch_body(asked: Mapping[str, Any], model: str) -> Written:
    """For Gemini's `batchEmbedContents`, which every model of it has. Raises `CannotSay`."""
    more = _options(asked, "outputDimensionality", "taskType", "title")
    named = f"models/{model}" if "/" not in model else model
    requests = [{"model": named, "content": {"parts": [{"text": text}]}, **more} for text in texts_of(asked)]
    return _written({"requests": requests}, asked)


def vertex_body(asked: Mapping[str, Any], model: str) -> tuple[str, Written]:
    """The method to call on Vertex, and what for. A text that is too long is an error, unless cutting it is asked
    for: a vector of half a text is none. Raises `CannotSay`."""
    texts = texts_of(asked)
    cut = bool(asked.get("auto_truncate"))
    if "gemini" in model:
        more = {**_options(asked, "outputDimensionality", "taskType", "title"), "autoTruncate": cut}
        contents = [{"role": "user", "parts": [{"text": text}]} for text in texts]
        if len(contents) == 1:
            return "embedContent", _written({"content": contents[0], "embedContentConfig": more}, asked)
        requests = [{"content": content, "embedContentConfig": more} for content in contents]
        return "batchEmbedContents", _written({"requests": requests}, asked)
    beside = _options(asked, "", "task_type", "title")
    parameters = {**_options(asked, "outputDimensionality", "", ""), "autoTruncate": cut}
    instances = [{"content": text, **beside} for text in texts]
    return "predict", _written({"instances": instances, "parameters": parameters}, asked)


def texts_of(asked: Mapping[str, Any]) -> list[str]:
    """The texts of `input`. Raises `CannotSay`."""
    given = asked.get("input")
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise CannotSay("this backend embeds texts: it does not take tokens")
    return texts


def vectors_of(reply: Mapping[str, Any]) -> tuple[list[Any], Usage | None]:
    """The vectors of any of the three replies, and what they took where that is told. Raises `Malformed`."""
    predictions = reply.get("predictions")
    if type(predictions) is list:
        found = [_at(one, "embeddings") for one in predictions]
        counts = [_at(_at(one, "statistics"), "token_count") for one in found]
        tokens = [int(count) for count in counts if type(count) in (int, float) and 0 <= count < _MAX]
        usage = Usage(sum(tokens), 0) if tokens and len(tokens) == len(found) else None
        return [_at(one, "values") for one in found], usage
    given = reply.get("embeddings") if "embeddings" in reply else [reply.get("embedding")]
    if type(given) is not list:
        raise Malformed("the upstream's answer holds no embeddings")
    return [_at(one, "values") for one in given], usage_of(reply.get("usageMetadata"))


def _options(asked: Mapping[str, Any], size: str, task: str, title: str) -> dict[str, Any]:
    found = {
        size: asked.get("dimensions"),
        task: asked.get(_TASK[0]) or asked.get(_TASK[1]),
        title: asked.get("title"),
    }
    return {name: value for name, value in found.items() if name and value is not None}


def _written(body: dict[str, Any], asked: Mapping[str, Any]) -> Written:
    lost = {name for name, value in asked.items() if value is not None and name not in _KNOWN and name not in IDLE}
    left = lost | {name for name in IDLE if asked.get(name) is not None}
    return Written(body, tuple(sorted(left)), tuple(sorted(lost)))


def _at(value: Any, name: str) -> Any:
    return value.get(name) if type(value) is dict else None
