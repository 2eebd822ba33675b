"""What a process has learnt of its targets, the next one knows."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

from proxy.app.process import Process
from proxy.config.load import load
from proxy.config.values import Config
from proxy.core.choice.bandit import Trials, counted, rewarded
from proxy.core.choice.measured import Measured
from proxy.ops.log import Log

CONFIG = """
listen: {{port: 0}}
ledger: {{path: {path}}}
backends: {{up: {{type: openai, base_url: "http://127.0.0.1:1/v1", api_key: k}}}}
routes: {{chat: {{targets: [up/a, up/b], strategy: ucb}}}}
"""


def test_measures_and_trials_outlive_the_process(tmp_path: Path) -> None:
    config = load(CONFIG.format(path=tmp_path / "ledger.db"), {}, "routes.yaml", lambda _: "")
    assert isinstance(config, Config), str(config)
    now = time.monotonic()

    async def lives(learns: bool) -> Process:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        log = Log(form="json", fd=nowhere)
        process = Process(config, {}, log, lambda: "never")
        async with process.running():
            if learns:
                choices = process.engine.choices
                choices.measured["up/a"] = Measured(first=0.7, at=now, output=120.0, attempts=9, dense=1.2)
                choices.trials["chat"] = {"up/a": rewarded(Trials(), 0.8, now, 3600.0)}
        log.close()
        os.close(nowhere)
        return process

    asyncio.run(lives(True))
    choices = asyncio.run(lives(False)).engine.choices
    known = choices.measured["up/a"]
    assert (known.first, known.output, known.attempts, known.dense) == (0.7, 120.0, 9, 1.2)
    assert abs(known.at - now) < 5
    assert counted(choices.trials["chat"]["up/a"], time.monotonic(), 3600.0) == (1, 0.8)
