"""Who has seen the end of an answer finds it on record, even when Wayline is killed in that very moment."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.faults.rig import MESSAGES
from tests.faults.talk import CHAT, Answer, ask
from tests.sdk.serving import Serving
from tests.upstream import Upstream, in_thread
from tests.upstream_answers import ok

CONFIG = """
ledger: {{path: {directory}/ledger.db}}
backends:
  a: {{type: openai, base_url: "{url}", api_key: x, price: {{input: 1, output: 2}}}}
routes:
  chat: {{targets: [a/m]}}
"""


@pytest.fixture
def config(tmp_path: Path) -> Iterator[str]:
    """A configuration over an upstream that answers."""
    up = Upstream(ok("one two three"))
    with in_thread(up):
        yield CONFIG.format(directory=tmp_path, url=up.base_url)


def asked(serving: Serving, id_: str, *, stream: bool) -> Answer:
    """One request, read to its last byte."""
    port = urlsplit(serving.url).port
    assert port is not None
    return asyncio.run(
        ask(port, CHAT, {"model": "chat", "messages": MESSAGES, "stream": stream}, {"x-request-id": id_})
    )


@pytest.mark.slow
def test_after_kill_9_every_answer_that_a_client_saw_is_on_record(tmp_path: Path, config: str) -> None:
    seen = []
    for n in range(3):
        serving = Serving(tmp_path, config)
        try:
            for stream in (True, False):
                id_ = f"run{n}-{stream}"
                assert asked(serving, id_, stream=stream).whole
                seen.append(id_)
            serving.child.kill()  # SIGKILL, with nothing between it and the last byte
        finally:
            serving.end()
    last = Serving(tmp_path, config)
    asked(last, "last", stream=False)
    assert last.end() == 0
    with contextlib.closing(sqlite3.connect(tmp_path / "ledger.db")) as ledger:
        rows = ledger.execute("SELECT request_id, ended, input, output, usage_source, cost FROM attempts").fetchall()
    assert sorted(rows) == sorted((id_, "served", 7, 3, "reported", "0.000013") for id_ in [*seen, "last"])
