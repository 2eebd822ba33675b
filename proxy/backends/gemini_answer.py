"""A whole answer of Gemini's as a chat completion: one reply, or the list of chunks that a stream without `alt=sse`
is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from proxy.backends.chunks import usage_object
from proxy.backends.gemini_errors import GoogleErrors
from proxy.backends.gemini_reply import (
    MAX_CHOICES,
    answer_id,
    blocked,
    detail,
    finish_of,
    image,
    logprobs_of,
    model_of,
    parts_of,
    said_in,
    tool_call,
    usage_of,
)
from proxy.core.chat import Completion
from proxy.core.dialect import Malformed, Stamp
from proxy.core.failure import Failure
from proxy.core.usage import Usage

_PARTS = frozenset({"candidates", "promptFeedback", "usageMetadata"})
"""One of these stands in every answer."""


@dataclass(slots=True)
class Candidate:
    """One choice, put together from its parts."""

    text: str = ""
    thoughts: str = ""
    details: list[dict[str, Any]] = field(default_factory=list)
    calls: list[dict[str, Any]] = field(default_factory=list)
    images: list[dict[str, Any]] = field(default_factory=list)
    logprobs: list[Any] = field(default_factory=list)
    finish: str = ""

    def add(self, given: Mapping[str, Any], answer: str, choice: int) -> Failure | None:
        """One more piece of it. Raises `Malformed`."""
        for part in parts_of(given):
            said = said_in(part)
            self.text += said.text
            self.thoughts += said.thought
            if (mark := detail(said, len(self.details))) is not None:
                self.details.append(mark)
            if said.call is not None:
                self.calls.append(tool_call(said.call, said.signature, answer, choice, len(self.calls)))
            elif said.media:
                self.images.append(image(said))
        probable = logprobs_of(given)
        if probable is not None:
            self.logprobs += probable["content"]
        finish = finish_of(given, calls=bool(self.calls))
        if isinstance(finish, Failure):
            return finish
        self.finish = finish or self.finish
        return None

    @property
    def silent(self) -> bool:
        """It says nothing."""
        return not (self.calls or self.thoughts or self.images) and not self.text.strip()

    @property
    def chars(self) -> int:
        """Characters of all kinds."""
        return (
            len(self.text) + len(self.thoughts) + sum(len(word) for c in self.calls for word in c["function"].values())
        )

    def choice(self, index: int) -> dict[str, Any]:
        """As it stands in `choices`. Raises `Malformed` where it did not end."""
        if not self.finish:
            raise Malformed("a candidate of the upstream has no finish reason")
        bare = not self.text and (self.calls or self.images)
        message: dict[str, Any] = {"role": "assistant", "content": None if bare else self.text, "refusal": None}
        if self.thoughts:
            message["reasoning_content"] = self.thoughts
        if self.details:
            message["reasoning_details"] = self.details
        if self.calls:
            message["tool_calls"] = self.calls
        if self.images:
            message["images"] = self.images
        logprobs = {"content": self.logprobs, "refusal": None} if self.logprobs else None
        return {"index": index, "message": message, "logprobs": logprobs, "finish_reason": self.finish}


def read_answer(body: bytes, errors: GoogleErrors, model: str | None, stamp: Stamp) -> Completion | Failure:
    """A `Failure` where an error came under 200, or the prompt was blocked. Raises `Malformed`."""
    replies = _replies(body)
    found: dict[int, Candidate] = {}
    named, metadata = "", None
    answer = answer_id(replies[0], stamp)
    for reply in replies:
        if reply.get("error"):
            return errors.in_stream(reply)
        named = named or model_of(reply)
        metadata = reply.get("usageMetadata") or metadata
        for index, given in candidates_of(reply):
            failure = found.setdefault(index, Candidate()).add(given, answer, index)
            if failure is not None:
                return failure
    if not found:
        failure = next((one for one in map(blocked, replies) if one is not None), None)
        if failure is not None:
            return failure
        if not any(_PARTS.intersection(reply) for reply in replies):
            raise Malformed("the upstream's answer is not one of Gemini's")
    return _completion(found, usage_of(metadata), named, model, answer, stamp)


def candidates_of(reply: Mapping[str, Any]) -> Iterable[tuple[int, Mapping[str, Any]]]:
    """The candidates with their indexes. Raises `Malformed`."""
    given = reply.get("candidates")
    if given is None:
        return
    if type(given) is not list:
        raise Malformed("`candidates` of the upstream is not a list")
    for candidate in given:
        if type(candidate) is not dict:
            raise Malformed("a candidate of the upstream is not a JSON object")
        index = candidate.get("index", 0)
        if type(index) is not int or not 0 <= index < MAX_CHOICES:
            raise Malformed("a candidate of the upstream has an index that is none")
        yield index, candidate


def _completion(
    found: Mapping[int, Candidate], usage: Usage | None, named: str, model: str | None, answer: str, stamp: Stamp
) -> Completion:
    body: dict[str, Any] = {
        "id": answer,
        "object": "chat.completion",
        "created": stamp.created,
        "model": named if model is None else model,
        "choices": [found[index].choice(index) for index in sorted(found)],
    }
    if usage is not None:
        body["usage"] = usage_object(usage)
    silent = all(one.silent for one in found.values())
    finishes = {one.finish for one in found.values()}
    spent = "length" in finishes and usage is not None and usage.output > 0  # all of it on thoughts that are not shown
    chars = sum(one.chars for one in found.values())
    filtered = silent and "content_filter" in finishes
    return Completion(orjson.dumps(body), named, usage, silent and not spent, filtered, chars)


def _replies(body: bytes) -> list[dict[str, Any]]:
    try:
        reply = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Malformed("the upstream's answer is not JSON") from error
    replies = reply if type(reply) is list else [reply]
    if not replies or not all(type(one) is dict for one in replies):
        raise Malformed("the upstream's answer is not a JSON object")
    return replies
