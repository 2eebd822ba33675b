"""Backends for a soak: right answers that carry the request's id, and from a seed now and then a fault."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from tests.upstream import Request, Upstream
from tests.upstream_answers import (
    Cut,
    chat_ok,
    completion,
    cut_after,
    dumps,
    embeddings_ok,
    error,
    error_after,
    last,
    plain,
    raw_stream,
    role,
    sse,
    stream_ok,
    usage_event,
    word,
)
from tests.upstream_faults import rate_limited
from tests.upstream_steps import Behaviour, Close, Hang, Pause, Reset, Send, Tokens

SLOW = 10.0
"""Seconds that a backend takes where the client is going to leave meanwhile."""


class Ask(NamedTuple):
    """What one request of the soak wants; it travels as the prompt's text."""

    id: int
    words: int
    pace: str
    """`now`, `late` (nothing comes for long) or `stall` (two words, and then nothing for long)."""

    def text(self) -> str:
        """As the prompt."""
        return f"{self.id} {self.words} {self.pace}"

    def said(self) -> list[str]:
        """The words of the right answer: each tells whose it is."""
        return [f"{self.id}:{i} " for i in range(self.words)]

    @property
    def usage(self) -> Tokens:
        """What the right answer uses."""
        return Tokens(self.id % 50 + 1, self.words)


def asked(request: Request) -> Ask:
    """What a request that arrived at a backend wants."""
    body = request.json
    text = body["input"] if request.path.endswith("/embeddings") else body["messages"][0]["content"]
    id_, words, pace = text.split(" ")
    return Ask(int(id_), int(words), pace)


class Faulty:
    """One backend: `early` and `late` are the parts of its answers that fail before and after their first content."""

    def __init__(self, name: str, seed: str, early: float, late: float) -> None:
        self.name = name
        self._seed = seed
        self._early = early
        self._late = late
        self.cut: set[int] = set()
        """Ids of the requests whose streams it broke off after content."""
        self.played: Counter[str] = Counter()
        """How often each fault was played."""
        self.up = Upstream(self.answer, keep=False)

    def answer(self, request: Request, _: int) -> Behaviour:
        """The right answer, or a fault, by the seed and the request's id alone."""
        ask = asked(request)
        chance = random.Random(f"{self._seed} {self.name} {ask.id}")
        if request.path.endswith("/embeddings"):
            return embeddings_ok([[float(ask.id), 1.0]], usage=(ask.usage.input, 0))
        stream = bool(request.json.get("stream"))
        if ask.pace != "now":
            return _slow(ask, stream)
        draw = chance.random()
        if draw < self._early:
            return self._fault(EARLY_STREAM if stream else EARLY_WHOLE, ask, chance)
        if stream and draw < self._early + self._late:
            self.cut.add(ask.id)
            return self._fault(LATE, ask, chance)
        return _right(ask, stream)

    def _fault(self, faults: dict[str, Callable[[Ask], Behaviour]], ask: Ask, chance: random.Random) -> Behaviour:
        name = chance.choice(list(faults))
        self.played[name] += 1
        return faults[name](ask)


def _id(ask: Ask) -> str:
    return f"chatcmpl-{ask.id}"


def _right(ask: Ask, stream: bool) -> Behaviour:
    if stream:
        done = ask.id % 7 > 0  # some servers leave out the [DONE]
        return stream_ok(ask.said(), usage=ask.usage, id_=_id(ask), done=done)
    return chat_ok("".join(ask.said()), usage=ask.usage, id_=_id(ask))


def _slow(ask: Ask, stream: bool) -> Behaviour:
    if ask.pace == "late" or not stream:
        return _right(ask, stream).after(Pause(SLOW))
    words = [word(each, _id(ask)) for each in ask.said()[:2]]
    return raw_stream(role(_id(ask)), *words, Pause(SLOW), last(id_=_id(ask)))


def _always(behaviour: Behaviour) -> Callable[[Ask], Behaviour]:
    return lambda _: behaviour


EARLY_WHOLE: dict[str, Callable[[Ask], Behaviour]] = {
    "reset": _always(Behaviour((Reset(),))),
    "closed": _always(Behaviour((Close(),))),
    "no answer": _always(Behaviour((Hang(),))),
    "half headers": _always(Behaviour((Send(b"HTTP/1.1 200 OK\r\ncontent-le"), Close()))),
    "garbage": _always(Behaviour((Send(b"\x00\x01\x02 no HTTP\r\n\r\n"), Close()))),
    "half a body": _always(Behaviour((Send(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{"), Close()))),
    "500": _always(error(500)),
    "502": _always(error(502)),
    "503": _always(error(503)),
    "429": _always(rate_limited({"retry-after-ms": "20"})),
    "empty 200": _always(plain(b"")),
    "HTML": _always(plain(b"<html>", content_type="text/html")),
    "error with 200": _always(plain(dumps({"error": {"message": "it broke", "type": "server_error"}}))),
    "empty answer that costs": lambda ask: plain(dumps(completion("", ask.usage))).then(ask.usage),
    "slow": lambda ask: _right(ask, False).after(Pause(0.3)),
}
EARLY_STREAM: dict[str, Callable[[Ask], Behaviour]] = {
    **{name: EARLY_WHOLE[name] for name in ("reset", "closed", "no answer", "garbage", "500", "503", "429", "HTML")},
    "error first": _always(error_after(None)),
    "error after role": _always(error_after(0, done=True)),
    "role, then closed": _always(cut_after(0, "close")),
    "role, then the end": _always(cut_after(0, "clean")),
    "empty stream that costs": lambda ask: raw_stream(role(), last(), usage_event(ask.usage), ask.usage),
    "slow": lambda ask: _right(ask, True).after(Pause(0.3)),
}


def _cut(how: Cut) -> Callable[[Ask], Behaviour]:
    return lambda ask: cut_after(2, how, words=ask.said())


LATE: dict[str, Callable[[Ask], Behaviour]] = {
    "closed between events": _cut("close"),
    "closed in a chunk": _cut("in_chunk"),
    "ended in an event": _cut("in_event"),
    "ended without finish_reason": _cut("clean"),
    "reset": _cut("reset"),
    "stalled": _cut("hang"),
    "error event": lambda ask: raw_stream(
        *(word(each, _id(ask)) for each in ask.said()[:2]), sse({"error": {"message": "it broke"}})
    ),
}
