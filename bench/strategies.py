"""What each strategy does with the same traffic: `python -m bench.strategies [--seconds 60] [--json FILE]`

`wayline serve` in front of four upstreams: two real llama.cpp servers with SmolLM2 (cheap, and soon busy), a flaky one
(cheap, quick, one answer in six fails) and a sure one (quick and dear). For each strategy a server of its own, the same
requests at the same moments, and the ledger's figures. Prints Markdown.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import re
import signal
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bench import process
from bench.__main__ import machine
from bench.llamas import NAME, Llama, llamas
from bench.strategies_table import table
from proxy.core.choice.facts import Facts
from proxy.core.choice.ranking import Candidate
from proxy.simulate.record import read
from proxy.simulate.tally import Tally, recorded
from proxy.simulate.view import plain_tally
from tests.upstream import Request, Upstream, in_thread
from tests.upstream_answers import error, stream_ok
from tests.upstream_steps import Behaviour, Pause

RATE = 4.0
"""Requests a second, at moments drawn by lot: more than the two llama.cpp servers can do."""
TOKENS = (8, 24)
"""Of an answer: at least, at most."""
WORDS = ("red", "house", "why", "seven", "river", "glass")
FLAKY = 1 / 6
"""Of its answers fail."""
START_WITHIN, PATIENCE = 60.0, 60.0
STRATEGIES = {
    "order": (),
    "weighted": (),
    "least_latency": (),
    "least_busy": (),
    "cheapest": (),
    "score": (),
    "ucb": ("ucb: {window: 1m}",),
    "fallback_by_task": ("tasks: {code_generation: [sure/m], general_chat: [flaky/m]}",),
    "custom": ("custom: 'bench.strategies:quick_and_sure'",),
}
"""With what their routes say besides."""
CONFIG = """
listen: {{port: 0}}
ledger: {{path: {directory}/ledger.db}}
state: {{path: {directory}/state.db}}
log: json
backends:
  llama: {{type: llama-server, base_url: "http://127.0.0.1:{llama}/v1", price: {{input: 0.02, output: 0.05}}}}
  single: {{type: llama-server, base_url: "http://127.0.0.1:{single}/v1", price: {{input: 0.02, output: 0.05}}}}
  flaky: {{type: openai, api_key: bench, base_url: "{flaky}", price: {{input: 0.1, output: 0.4}}}}
  sure: {{type: openai, api_key: bench, base_url: "{sure}", price: {{input: 2.5, output: 10}}}}
routes:
  chat:
    targets:
      - {{target: llama/{name}, weight: 3, concurrency: 4}}
      - {{target: single/{name}, weight: 1, concurrency: 2}}
      - {{target: flaky/m, weight: 4}}
      - {{target: sure/m, weight: 2}}
    strategy: {strategy}
"""


def quick_and_sure(candidates: Sequence[Candidate], facts: Facts) -> Sequence[str]:
    """For `custom`: what served nine times of ten, the quickest first; then the rest."""

    def key(one: Candidate) -> tuple[bool, float]:
        return one.failing or one.measured.good < 0.9, one.measured.first or 0.0

    return [one.target.name for one in sorted(candidates, key=key)]


class Ask(NamedTuple):
    """One request of the traffic. `at`: seconds after the beginning."""

    at: float
    body: bytes
    task: str


def traffic(seconds: float) -> list[Ask]:
    """The same each time."""
    dice = random.Random(11)
    found = []
    at = 0.0
    while (at := at + dice.expovariate(RATE)) < seconds:
        words = " ".join(dice.choice(WORDS) for _ in range(dice.randint(5, 40)))
        body = {
            "model": "chat",
            "messages": [{"role": "user", "content": f"Say something about: {words}."}],
            "max_tokens": dice.randint(*TOKENS),
            "stream": True,
        }
        task = "code_generation" if dice.random() < 0.3 else "general_chat"
        found.append(Ask(at, json.dumps(body).encode(), task))
    return found


def scripted(first: float, every: float, fails: float) -> Any:
    """Answers of an upstream of ours."""
    dice = random.Random(5)

    def answer(request: Request, _: int) -> Behaviour:
        if dice.random() < fails:
            return Behaviour((Pause(first), *error(500).steps))
        count = request.json["max_tokens"]
        usage = (len(request.json["messages"][0]["content"]) // 4, count)
        return Behaviour((Pause(first), *stream_ok(["word "] * count, usage=usage, every=every).steps))

    return answer


# One strategy -----------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def serving(directory: Path, config: str) -> Iterator[int]:
    """`wayline serve`; gives its port."""
    path = directory / "routes.yaml"
    path.write_text(config)
    command = process.python("-m", "proxy", "serve", "--config", str(path), "--port", "0")
    with (directory / "log.txt").open("wb") as log:
        child = subprocess.Popen(command, cwd=process.ROOT, stdout=log, stderr=subprocess.STDOUT)
    try:
        yield _port(directory / "log.txt", child)
    finally:
        child.send_signal(signal.SIGTERM)
        child.wait(PATIENCE)


def _port(log: Path, child: subprocess.Popen[bytes]) -> int:
    until = time.monotonic() + START_WITHIN
    while time.monotonic() < until and child.poll() is None:
        found = re.search(r"ready at http://[^:]+:(\d+)", log.read_text())
        if found:
            return int(found[1])
        time.sleep(0.05)
    child.kill()
    raise RuntimeError(f"wayline did not start: {log.read_text()[-2000:]}")


async def drive(port: int, asks: Sequence[Ask]) -> None:
    """Each at its time, on a connection of its own."""
    began = time.monotonic()
    running = []
    for ask in asks:
        await asyncio.sleep(max(began + ask.at - time.monotonic(), 0.0))
        running.append(asyncio.create_task(_one(port, ask)))
    await asyncio.wait_for(asyncio.gather(*running), PATIENCE)


async def _one(port: int, ask: Ask) -> None:
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\nconnection: close\r\n"
        f"x-wayline-prefer: task={ask.task}\r\ncontent-length: {len(ask.body)}\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head.encode() + ask.body)
    await reader.read()
    writer.close()
    await writer.wait_closed()


def measured(directory: Path, config: str, asks: Sequence[Ask]) -> Tally:
    """One strategy's."""
    with serving(directory, config) as port:
        asyncio.run(drive(port, asks))
    return recorded(read(directory / "ledger.db").requests)


def run(names: Sequence[str], seconds: float) -> dict[str, Any]:
    """All of it, as JSON says it."""
    asks = traffic(seconds)
    results: dict[str, Any] = {}
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="strategies-")))
        one, other = stack.enter_context(llamas(directory))
        flaky = stack.enter_context(in_thread(Upstream(scripted(0.05, 0.004, FLAKY), keep=False))).up.base_url
        sure = stack.enter_context(in_thread(Upstream(scripted(0.03, 0.003, 0.0), keep=False))).up.base_url
        _warm(one, other)
        for name in names:
            here = directory / name
            here.mkdir()
            words = {"directory": here, "llama": one.port, "single": other.port, "flaky": flaky, "sure": sure}
            strategy = "\n    ".join((name, *STRATEGIES[name]))
            results[name] = plain_tally(measured(here, CONFIG.format(name=NAME, strategy=strategy, **words), asks))
            results[name]["load"] = os.getloadavg()[0]
            print(f"{name}: {results[name]['served']} of {len(asks)} served", flush=True)
    kinds = {"llama": f"{one.kind}, {one.slots} slots", "single": f"{other.kind}, {other.slots} slot"}
    return {"machine": machine(), "seconds": seconds, "requests": len(asks), "llamas": kinds, "results": results}


def _warm(*servers: Llama) -> None:
    """Each has answered once."""
    body = {"model": NAME, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 4}
    for server in servers:
        url = f"http://127.0.0.1:{server.port}/v1/chat/completions"
        request = urllib.request.Request(url, json.dumps(body).encode(), {"content-type": "application/json"})
        urllib.request.urlopen(request, timeout=PATIENCE).close()


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.strategies", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="of traffic, for each; default: %(default)g")
    parser.add_argument("--only", action="append", choices=list(STRATEGIES), help="this one, beside order")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything that was measured")
    args = parser.parse_args(arguments)
    document = run(["order", *args.only] if args.only else list(STRATEGIES), args.seconds)
    print(table(document))
    if args.json is not None:
        args.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
