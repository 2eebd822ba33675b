"""What a body that is not a stream of events means: pure, apart from the clockwork of an attempt."""

from __future__ import annotations

import re

from proxy.core.call import Headers
from proxy.core.chat import Completion, Embedding, EmbedRequest
from proxy.core.dialect import Dialect, Malformed, Stamp
from proxy.core.failure import Failure, FailureKind
from proxy.core.relay import Request

K = FailureKind
_NO_ENDPOINT = frozenset({404, 405, 501})
_OF_THE_MODEL = re.compile(rb"model|deployment", re.IGNORECASE)


def is_stream(headers: Headers, kind: bytes) -> bool | None:
    """Is it a stream of this kind? `None` when the upstream names no type."""
    for name, value in headers:
        if name == b"content-type":
            return kind in value.lower()
    return None


def whole(
    dialect: Dialect,
    request: Request,
    body: bytes,
    *,
    status: int | None,
    model: str | None,
    stamp: Stamp,
) -> Completion | Embedding | Failure:
    """A whole 2xx body where one was asked for; what says nothing is still a `Completion`, and `empty`."""
    try:
        if isinstance(request, EmbedRequest):
            found = dialect.embedding(body, base64=request.base64, model=model)
            if isinstance(found, Embedding) and found.vectors != texts_in(request.body.get("input")):
                raise Malformed("the upstream did not give a vector for each text")
            return found
        return dialect.completion(body, model=model, stamp=stamp)
    except Malformed as error:
        return unreadable(error, body, status)


def unreadable(error: Malformed, body: bytes, status: int | None) -> Failure:
    """What a 2xx body is that is no answer: none at all, a page, or something else."""
    kind = K.EMPTY_ANSWER if not body else K.WRONG_TYPE if body.lstrip()[:1] == b"<" else K.MALFORMED
    return Failure(kind, str(error), status)


def texts_in(given: object) -> int:
    """How many vectors an embeddings input asks for: one for a text or a list of token ids, else one for each item."""
    return len(given) if isinstance(given, list) and not isinstance(given[0], int) else 1


def no_endpoint(failure: Failure, status: int, body: bytes) -> bool:
    """Does an error say that there is no such endpoint there? That is no word on the target, which may be good at
    others: unless it speaks of the model."""
    return status in _NO_ENDPOINT and failure.kind is K.NOT_FOUND and _OF_THE_MODEL.search(body) is None


def nothing_said(answer: Completion, status: int | None) -> Failure:
    """Why an empty answer is none."""
    if answer.filtered:
        return Failure(K.FILTERED, "the content filter withheld the answer", status)
    return Failure(K.EMPTY_ANSWER, "the upstream's answer is empty", status)


def no_stream(dialect: Dialect, body: bytes, status: int | None) -> Failure:
    """A 2xx answer that is no event stream where one was asked for: some send an error so."""
    if body.lstrip()[:1] in (b"{", b"["):
        try:
            found = dialect.completion(body)
        except Malformed:
            found = None
        if isinstance(found, Failure):
            return found
    if not body:
        return Failure(K.EMPTY_ANSWER, "the upstream's answer is empty", status)
    return Failure(K.WRONG_TYPE, "the upstream did not send an event stream", status)
