"""Upstreams that are processes, and what befalls them, drawn from a seed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from bench import process
from bench.faults.gateway import listening
from tests.soak.serving import Serving

BLOWS = {"kill": 3, "restart": 2, "stop": 3, "slow": 2, "reset": 3}
"""How often each comes, to each other."""
EVERY = (0.2, 1.0)
"""Seconds between two blows."""
MODEL_EVERY = 12.0
"""Seconds between two blows to the model's process."""


class Upstreams:
    """The scripted processes: each keeps its port over its lives."""

    def __init__(self, directory: Path, seed: str, names: str) -> None:
        self.directory = directory
        self._seed = seed
        self.ports = dict(zip(names, process.free_ports(len(names)), strict=True))
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    async def start(self, name: str) -> None:
        """Starts one, and waits until it listens."""
        log = self.directory / f"{name}.txt"
        command = process.python("-m", "tests.chaos.scripted", name, str(self.ports[name]), self._seed)
        child = process.start([*command, str(self.book(name))], process.cores()[1], log=log)
        self._children[name] = child
        await listening(self.ports[name], child, log)

    def send(self, name: str, number: signal.Signals) -> None:
        """A signal to one."""
        self._children[name].send_signal(number)

    async def end(self, name: str, number: signal.Signals) -> None:
        """Ends one by a signal; returns when it is gone."""
        self.send(name, number)
        await asyncio.to_thread(self._children[name].wait, 10)

    def book(self, name: str) -> Path:
        """Where it writes down what came and what it said."""
        return self.directory / f"{name}.book"

    def __enter__(self) -> Upstreams:
        return self

    def __exit__(self, *_: object) -> None:
        for child in self._children.values():
            child.kill()
            child.wait()


class Storm:
    """Strikes one upstream after the other, each only when it has come to itself again."""

    def __init__(self, ups: Upstreams, run: Serving, seed: str) -> None:
        self._ups = ups
        self._run = run
        self._chance = random.Random(seed)
        self._down: set[str] = set()
        self._over = asyncio.Event()
        self.blows: Counter[str] = Counter()

    @contextlib.asynccontextmanager
    async def blowing(self) -> AsyncIterator[None]:
        """While the block runs. When it is over, all upstreams are up."""
        over = self._over = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._blow(over, group))
            try:
                yield
            finally:
                over.set()

    async def _blow(self, over: asyncio.Event, group: asyncio.TaskGroup) -> None:
        names = [*self._ups.ports, "real"]
        while not over.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), self._chance.uniform(*EVERY))
            blow = self._chance.choices(list(BLOWS), list(BLOWS.values()))[0]
            name, length = self._chance.choice(names), self._chance.uniform(0.3, 2.0)
            if name not in self._down and not over.is_set():
                group.create_task(self._strike(name, blow, length))

    async def _strike(self, name: str, blow: str, length: float) -> None:
        self._down.add(name)
        if name == "real":
            await self._strike_worker("stop" if blow in {"stop", "slow"} else "kill", length)
        else:
            self.blows[blow] += 1
            await self._strike_process(name, blow, length)
        self._down.discard(name)

    async def _strike_process(self, name: str, blow: str, length: float) -> None:
        ups = self._ups
        if blow == "kill":
            await ups.end(name, signal.SIGKILL)
            await asyncio.sleep(length)
            await ups.start(name)
        elif blow == "restart":
            await ups.end(name, signal.SIGTERM)
            await ups.start(name)
        elif blow == "stop":
            ups.send(name, signal.SIGSTOP)
            await asyncio.sleep(length)
            ups.send(name, signal.SIGCONT)
        else:
            ups.send(name, signal.SIGUSR1 if blow == "slow" else signal.SIGUSR2)

    async def _strike_worker(self, blow: str, length: float) -> None:
        """The model's own process; Wayline starts it again."""
        for pid in worker(self._run):
            self.blows[f"{blow} the model"] += 1
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL if blow == "kill" else signal.SIGSTOP)
                await asyncio.sleep(length)
                if blow == "stop":
                    os.kill(pid, signal.SIGCONT)
        # Each death in a row makes Wayline wait longer before it starts the model again.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._over.wait(), MODEL_EVERY)


def worker(run: Serving) -> list[int]:
    """The process that runs the model; none while it is being started."""
    return [pid for pid in process.tree(run.child.pid) if b"proxy.local.worker" in _command(pid)]


def _command(pid: int) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


async def until(true: Callable[[], bool], within: float) -> bool:
    """Waits for what nobody tells of; whether it came true."""
    for _ in range(int(within / 0.1)):
        if true():
            return True
        await asyncio.sleep(0.1)
    return true()
