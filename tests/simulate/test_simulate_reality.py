"""The judge: real traffic, through the real engine, network and ledger, simulated afterwards on its own configuration.

Time is compressed: a second stands for a minute. What waits in health and strategies waits a sixtieth, here and there.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from statistics import mean

import orjson
import pytest

from proxy.app.desk import build
from proxy.config.load import load
from proxy.config.values import Config
from proxy.core import health
from proxy.core.chat import ChatRequest
from proxy.core.choice import measured
from proxy.core.failure import Failure
from proxy.engine.caller import Nobody, Won
from proxy.engine.engine import Engine
from proxy.ledger.sqlite import open_ledger
from proxy.net.httpnet import HttpNet
from proxy.net.settings import NetSettings
from proxy.simulate import history
from proxy.simulate.record import Record, read
from proxy.simulate.run import simulate
from proxy.simulate.tally import recorded
from tests.upstream import Request, Upstream, in_thread
from tests.upstream_answers import error, stream_ok
from tests.upstream_steps import Behaviour, Pause

FASTER = 60.0
RATE = 120.0
"""Requests a second."""
CONFIG = """
backends:
  dear: {{type: openai, base_url: "{dear}", api_key: k, price: {{input: 1.5, output: 6}}}}
  good: {{type: openai, base_url: "{good}", api_key: k, price: {{input: 1, output: 4}}}}
  cheap: {{type: openai, base_url: "{cheap}", api_key: k, price: {{input: 0.5, output: 2}}}}
routes:
  order: {{targets: [good/m, dear/m]}}
  weighted:
    targets: [{{target: cheap/m, weight: 3}}, {{target: good/m, weight: 2}}, dear/m]
    strategy: weighted
  cheapest: {{targets: [dear/m, good/m, cheap/m], strategy: cheapest}}
  quickest: {{targets: [dear/m, good/m, cheap/m], strategy: least_latency}}
"""


@pytest.fixture
def compressed(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, names in (
        (health, ("WINDOW", "OPEN_FOR", "OPEN_FOR_MAX", "SLOW_OPEN_FOR", "SLOW_OPEN_FOR_MAX")),
        (measured, ("TAU", "SHUN", "SHUN_MAX")),
        (history, ("REACH", "OUTAGE")),
    ):
        for name in names:
            monkeypatch.setattr(module, name, getattr(module, name) / FASTER)


class Waiting(Nobody):
    """Takes an answer's end."""

    def __init__(self) -> None:
        self.over = asyncio.Event()

    def close(self, last: bytes = b"") -> None:
        self.over.set()

    def whole(self, body: bytes, won: Won) -> None:
        self.over.set()

    def refuse(self, failure: Failure, retry_after: float | None, target: str, attempts: int) -> None:
        self.over.set()

    def broken(self, failure: Failure, chars: int | None) -> None:
        self.over.set()


def upstreams(seconds: float, began: float) -> Iterator[tuple[str, Callable[[Request, int], Behaviour]]]:
    """`dear` is quick and sure, `good` has outages, `cheap` is slow and fails now and then."""
    dice = random.Random(4)

    def answering(first: float, every: float, fails: Callable[[float], bool]) -> Callable[[Request, int], Behaviour]:
        def answer(request: Request, _: int) -> Behaviour:
            if fails((time.monotonic() - began) / seconds):
                return error(500)
            words = ["word "] * request.json["max_tokens"]
            usage = (len(request.json["messages"][0]["content"]), len(words))
            steps = stream_ok(words, usage=usage, every=every).steps
            return Behaviour((Pause(first), *steps))

        return answer

    yield "dear", answering(0.004, 0.0005, lambda part: False)
    outages = max(seconds / 12, 1.0)
    yield "good", answering(0.01, 0.001, lambda part: 0.3 < part * outages % 1.0 < 0.5)
    yield "cheap", answering(0.025, 0.004, lambda part: dice.random() < 0.1)


async def traffic(config: Config, path: Path, seconds: float, routes: tuple[str, ...]) -> None:
    net = HttpNet(NetSettings())
    ledger = open_ledger(path)
    engine, desk = Engine(net, ledger), build(config, 0)
    dice = random.Random(7)
    began = time.monotonic()
    waiting = []
    number = 0
    while (now := time.monotonic() - began) < seconds:
        while number < now * RATE:
            number += 1
            body = {
                "model": routes[number % len(routes)],
                "messages": [{"role": "user", "content": "x" * dice.randrange(10, 2000)}],
                "max_tokens": dice.randrange(1, 12),
                "stream": True,
            }
            road = desk.roads.find(routes[number % len(routes)])
            assert road is not None
            request = ChatRequest(orjson.dumps(body), body, road.route.name, True, False)
            caller = Waiting()
            engine.exchange(road, request, caller, f"r{number}", "").start()
            waiting.append(caller.over.wait())
        await asyncio.sleep(0.004)
    await asyncio.wait_for(asyncio.gather(*waiting), 30)
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(net.close(), 5)
    await ledger.close()


def on_record(folder: Path, seconds: float, routes: tuple[str, ...]) -> tuple[Record, Config]:
    with ExitStack() as stack:
        addresses = {
            name: stack.enter_context(in_thread(Upstream(script, keep=False))).up.base_url
            for name, script in upstreams(seconds, time.monotonic())
        }
        config = load(CONFIG.format(**addresses), {}, "routes.yaml", lambda _: "")
        assert isinstance(config, Config)
        asyncio.run(traffic(config, folder / "ledger.db", seconds, routes))
    return read(folder / "ledger.db"), config


def judge(record: Record, config: Config, *, share: float, cost: float) -> None:
    """`own`: by what each request met on record, and by what is drawn for all alike. The lot is different with each
    seed; five of them together say whether there is something wrong besides."""
    for own in (True, False):
        found = [simulate(record, config, own=own, seed=seed) for seed in range(1, 6)]
        today = found[0].today
        assert all(each.draft.requests == today.requests >= 100 for each in found)
        assert today.failovers > 10  # it was no fair weather
        for name in today.by_target:
            assert mean(each.draft.share(name) for each in found) == pytest.approx(today.share(name), abs=share), name
        assert mean(float(each.draft.cost) for each in found) == pytest.approx(float(today.cost), rel=cost)
        assert all(each.draft.lost <= today.lost + 0.01 * today.requests for each in found)


@pytest.mark.slow
def test_four_minutes_of_traffic_come_out_about_as_they_were(tmp_path: Path, compressed: None) -> None:
    judge(*on_record(tmp_path, 4.0, ("order", "weighted", "cheapest")), share=0.04, cost=0.06)


@pytest.mark.slow
def test_an_hour_of_traffic_comes_out_with_its_shares_and_its_cost(tmp_path: Path, compressed: None) -> None:
    record, config = on_record(tmp_path, 60.0, ("order", "weighted", "cheapest", "quickest"))
    judge(record, config, share=0.02, cost=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("other", ["cheapest", "order"])
def test_what_is_foretold_of_another_configuration_then_comes_true(
    tmp_path: Path, compressed: None, other: str
) -> None:
    """Twenty minutes by one strategy on record; what another would do with them; and what it really does."""
    (tmp_path / "before").mkdir()
    (tmp_path / "after").mkdir()
    record, config = on_record(tmp_path / "before", 20.0, ("weighted",))
    draft = replace(config, routes={"weighted": replace(config.routes[other], name="weighted")})
    foretold = [simulate(record, draft, seed=seed).draft for seed in range(1, 6)]
    real = recorded(on_record(tmp_path / "after", 20.0, (other,))[0].requests)
    for name in real.by_target:
        assert mean(each.share(name) for each in foretold) == pytest.approx(real.share(name), abs=0.04), name
    assert mean(float(each.cost) for each in foretold) == pytest.approx(float(real.cost), rel=0.12)
