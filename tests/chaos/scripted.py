"""One upstream as a process: `python -m tests.chaos.scripted NAME PORT SEED BOOK`.

SIGUSR1 makes it slow for two seconds, SIGUSR2 resets all its connections. BOOK is where each request that came (`came
ID`) and each usage that it is about to send (`said ID INPUT OUTPUT`) is written down, so that its count outlives it.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import time
from collections.abc import Sequence

from tests.chaos.asking import Ask
from tests.upstream import Request, Upstream
from tests.upstream_answers import DONE, Cut, error, last, raw_stream, role, usage_event, word
from tests.upstream_steps import Behaviour, Close, Hang, Pause, Reset, Send, Step, Tokens

PREFILLS = {"a": "goes on", "b": "no", "c": "repeats", "d": "refuses"}
"""What each does when it is given a partial answer; `b` is not given any."""
CUT = 0.05
"""Part of its answers that it breaks off by itself."""
BREAKS: tuple[Cut, ...] = ("close", "reset", "hang", "clean", "in_event")
AGAIN = 4
"""Words that `c` says again."""


class Scripted(Upstream):
    """Answers as the prompt says, and keeps its book."""

    def __init__(self, name: str, port: int, seed: str, book: str) -> None:
        super().__init__(self.answer, keep=False)
        self.port = port
        self._name = name
        self._seed = seed
        self._book = os.open(book, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._slow_until = 0.0

    def slow(self) -> None:
        """For two seconds."""
        self._slow_until = time.monotonic() + 2.0

    def answer(self, request: Request, _: int) -> Behaviour:
        """By the prompt and the seed; a partial answer that is not the right one's beginning is the proxy's error."""
        messages = request.json["messages"]
        ask = Ask.of(messages[0]["content"])
        self._write(f"came {ask.id}")
        partial = messages[-1]["content"] if len(messages) > 1 else ""
        try:
            rest = ask.rest(partial)
        except ValueError as problem:
            self._write(f"wrong {ask.id} {problem}")
            return error(400, str(problem))
        chance = random.Random(f"{self._seed} {self._name} {ask.id} {len(partial)}")
        if partial:
            if PREFILLS[self._name] == "refuses" and chance.random() < 0.5:
                return error(400, "the last message must be the user's", type_="invalid_request_error")
            long = len(partial.split()) >= AGAIN  # less is not taken for a repetition
            if PREFILLS[self._name] == "repeats" and long and chance.random() < 0.5:
                rest = self._again(partial, rest)
        return self._stream(ask, partial, rest, chance)

    def said(self, request: Request, tokens: Tokens) -> None:
        super().said(request, tokens)
        id_ = Ask.of(request.json["messages"][0]["content"]).id
        self._write(f"said {id_} {tokens.input} {tokens.output}")

    def _again(self, partial: str, rest: list[str]) -> list[str]:
        """Repeats the end of the partial answer, in whole words, before it goes on."""
        repeated = [f"{each} " for each in partial.split()[-AGAIN:]]
        if rest and rest[0].startswith(" "):
            rest = [rest[0][1:], *rest[1:]]
        return repeated + rest

    def _stream(self, ask: Ask, partial: str, words: Sequence[str], chance: random.Random) -> Behaviour:
        slow = time.monotonic() < self._slow_until
        every = chance.uniform(0.02, 0.12) * (6 if slow else 1)
        first = chance.uniform(0.0, 0.1) + (chance.uniform(0.0, 2.0) if slow else 0)
        id_ = f"chatcmpl-{self._name}-{ask.id}"
        parts: list[bytes | Step] = [role(id_), Pause(first)]
        cut = chance.randrange(len(words) + 1) if chance.random() < CUT else None
        for i, each in enumerate(words[:cut]):
            parts += [*([Pause(every)] if i else []), word(each, id_)]
        if cut is not None:
            how = chance.choice(BREAKS)
            return _broken(parts, word("half", id_), how)
        usage = ask.usage(partial, len(words))
        return raw_stream(*parts, last(id_=id_), usage, usage_event(usage, id_), DONE)

    def _write(self, line: str) -> None:
        os.write(self._book, f"{line}\n".encode())


def _broken(parts: list[bytes | Step], more: bytes, how: Cut) -> Behaviour:
    if how == "clean":
        return raw_stream(*parts)
    if how == "in_event":
        return raw_stream(*parts, more[: len(more) // 2])
    ends: dict[str, Step] = {"close": Close(), "reset": Reset(), "hang": Hang()}
    return raw_stream(*parts, end=False).then(Send(b""), ends[how])


async def serve(name: str, port: int, seed: str, book: str) -> None:
    """Until SIGTERM, which closes its connections wherever they are."""
    async with Scripted(name, port, seed, book) as up:
        loop = asyncio.get_running_loop()
        over = asyncio.Event()
        loop.add_signal_handler(signal.SIGTERM, over.set)
        loop.add_signal_handler(signal.SIGUSR1, up.slow)
        loop.add_signal_handler(signal.SIGUSR2, up.reset)
        await over.wait()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]))
