"""`wayline serve --workers 2`: two processes that are one to clients, to Prometheus and to the ledger."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openai import OpenAI

from tests.sdk.serving import Serving, serving
from tests.sdk.stage import KEY, Script, Stage, config
from tests.upstream import Upstream, in_thread
from tests.upstream_answers import chat_ok, stream_ok

HELLO: Any = [{"role": "user", "content": "Say hello."}]
WORDS = [f"w{i} " for i in range(10)]
STREAMS = 8
WITHIN = 30.0
"""Seconds in which another worker must have taken a dead one's place."""


@pytest.fixture(scope="module")
def pair_of_workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A stage of its own. Its last test ends it."""
    directory, script = tmp_path_factory.mktemp("workers"), Script()
    with (
        in_thread(Upstream(script)) as there,
        serving(directory, config(directory, there.up.base_url), workers=2) as server,
    ):
        yield Stage(server, there, script)


def children(server: Serving) -> set[int]:
    """Process ids of the parent's children (proc(5))."""
    return {int(pid) for pid in Path(f"/proc/{server.child.pid}/task/{server.child.pid}/children").read_text().split()}


def ask(stage: Stage, model: str) -> str:
    """One request over a connection of its own; the part of its id that is the answering worker's own."""
    body = json.dumps({"model": model, "messages": HELLO}).encode()
    headers = {"content-type": "application/json", "authorization": f"Bearer {KEY}"}
    request = urllib.request.Request(f"{stage.base_url}/chat/completions", body, headers)
    with urllib.request.urlopen(request, timeout=30) as reply:
        id_: str = reply.headers["x-request-id"]
    return id_[:-8]


def counted(stage: Stage) -> float:
    """Answers, as /metrics says over a connection of its own: an attempt is counted before its answer goes out."""
    return stage.server.metric("wayline_attempts_total", ended="served")


def ask_until(stage: Stage, model: str, answered: set[str], count: int) -> int:
    """Asks until so many processes have answered; how often that was."""
    asked, until = 0, time.monotonic() + WITHIN
    while len(answered) < count:
        assert time.monotonic() < until, f"only {answered} answered"
        answered.add(ask(stage, model))
        asked += 1
    return asked


def test_both_answer_and_either_tells_of_both(pair_of_workers: Stage) -> None:
    stage = pair_of_workers
    route = stage.pair(chat_ok(), chat_ok())
    before = counted(stage)
    asked = ask_until(stage, route, set(), 2)
    assert {counted(stage) - before for _ in range(12)} == {asked}
    lines = [line for line in stage.server.spend()["lines"] if line["name"] == route]
    assert [(line["requests"], line["input"]) for line in lines] == [(asked, 7 * asked)]


@pytest.mark.slow
def test_another_takes_the_place_of_one_that_dies_and_what_that_one_counted_stays(pair_of_workers: Stage) -> None:
    stage = pair_of_workers
    route = stage.pair(chat_ok(), chat_ok())
    before, answered = counted(stage), set[str]()
    asked = ask_until(stage, route, answered, 2)
    dead, left = children(stage.server)
    os.kill(dead, signal.SIGKILL)
    while dead in children(stage.server):
        time.sleep(0.01)
    asked += ask_until(stage, route, answered, 3)
    assert left in children(stage.server)
    assert len(children(stage.server)) == 2
    assert {counted(stage) - before for _ in range(12)} == {asked}


def test_all_of_them_finish_what_they_began_when_told_to_stop(pair_of_workers: Stage) -> None:
    assert streams_at_the_end(pair_of_workers) == dict.fromkeys(range(STREAMS), "".join(WORDS))


def streams_at_the_end(stage: Stage) -> dict[int, str]:
    """What streams said that were under way when the server was told to stop."""
    model = stage.play(stream_ok(WORDS, every=0.05))
    said: dict[int, str] = {}
    begun = threading.Barrier(STREAMS + 1)

    def read(n: int) -> None:
        with sdk.chat.completions.create(model=model, messages=HELLO, stream=True) as stream:
            first = next(stream)
            begun.wait(WITHIN)
            said[n] = "".join(chunk.choices[0].delta.content or "" for chunk in (first, *stream))

    readers = [threading.Thread(target=read, args=(n,)) for n in range(STREAMS)]
    with OpenAI(base_url=stage.base_url, api_key=KEY, max_retries=0) as sdk:
        for reader in readers:
            reader.start()
        begun.wait(WITHIN)
        assert stage.server.end() == 0
        for reader in readers:
            reader.join()
    return said
