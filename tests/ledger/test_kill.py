"""`kill -9` at any moment loses nothing that was acknowledged, and doubles nothing."""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from proxy.ledger.recover import recover
from proxy.ledger.sqlite import open_ledger

_SERVER = """
import itertools, os, sys, time
from proxy.core.outcome import Ended, Outcome
from proxy.core.plan import Plan
from proxy.core.route import Target
from proxy.core.told import Told
from proxy.ledger import writer
from proxy.ledger.sqlite import open_ledger

writer.LINGER = 0.003
ledger = open_ledger(sys.argv[1], journal_size=256 * 1024)
for number in itertools.count():
    name = f"{os.getpid()}-{sys.argv[2]}-{number}"
    ledger.record(Outcome(name, 1, "chat", "a/b", "a", Ended.SERVED, None, 200, False, 1.0, 0.0, None, None, 1.0,
                          None, None, None, False, "", ""))
    ledger.tell(Told(name, time.time(), "chat", "chat", "", "", (), False, Ended.SERVED, 200, None, 1.0, 0.0, 2,
                     Plan((Target(name, "a", "b"),)), None))
    if not ledger.stats.lost:
        os.write(1, name.encode() + b"\\n")
"""


def _killed(database: Path, servers: int, seconds: float, round_: int) -> list[str]:
    """Run some servers on one database, kill them, and tell what they had acknowledged."""
    command = [sys.executable, "-c", _SERVER, str(database), str(round_)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(servers)]
    acknowledged = []
    for process in running:
        assert process.stdout is not None
        first = process.stdout.readline()
        assert first, "the server did not come up"
        acknowledged.append(first)
    killers = [threading.Timer(random.uniform(0, seconds), process.kill) for process in running]
    for killer in killers:
        killer.start()
    for process in running:
        assert process.stdout is not None
        acknowledged += process.stdout.read().splitlines(keepends=True)
        process.stdout.close()
        assert process.wait() == -9
    # The last line may be cut short: that one was not acknowledged.
    return [line.decode().strip() for line in acknowledged if line.endswith(b"\n")]


def _check(database: Path, acknowledged: list[str]) -> None:
    """Of attempts, and of why requests went where they went."""
    with closing(sqlite3.connect(database)) as connection:
        for table in ("attempts", "requests"):
            found = Counter(name for (name,) in connection.execute(f"SELECT request_id FROM {table}"))
            assert [name for name in acknowledged if name not in found] == []
            assert [name for name, times in found.items() if times > 1] == []
        plans = dict(connection.execute("SELECT number, plan FROM plans"))
        numbers = dict(connection.execute("SELECT request_id, plan FROM requests"))
        for name in acknowledged:
            assert json.loads(plans[numbers[name]]) == {"targets": [name]}, "what a row speaks of is there too"


@pytest.mark.slow
def test_kill_9_again_and_again(database: Path) -> None:
    """Each start brings in what the one before left; two servers at a time die at different moments."""
    acknowledged: list[str] = []
    for round_ in range(4):
        acknowledged += _killed(database, servers=2, seconds=0.15, round_=round_)
    recover(database)  # first, since `close` gives a busy machine 5 s
    asyncio.run(open_ledger(database).close())
    _check(database, acknowledged)
    assert len(acknowledged) > 100
    assert [path.name for path in database.parent.iterdir()] == ["wayline.db"]


def test_what_a_killed_server_left_is_brought_in_without_a_server(database: Path) -> None:
    acknowledged = _killed(database, servers=1, seconds=0.02, round_=0)
    recover(database)
    _check(database, acknowledged)
    assert recover(database) == 0


@pytest.mark.slow
def test_kill_9_sixty_times(database: Path) -> None:
    acknowledged: list[str] = []
    for round_ in range(20):
        acknowledged += _killed(database, servers=3, seconds=random.choice((0.0, 0.05, 0.5)), round_=round_)
    recover(database)  # first, since `close` gives a busy machine 5 s
    asyncio.run(open_ledger(database).close())
    _check(database, acknowledged)
    assert [path.name for path in database.parent.iterdir()] == ["wayline.db"]
