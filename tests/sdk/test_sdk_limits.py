"""Limits and the queue of a real `wayline serve`, as the openai SDK's users meet them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.sdk.serving import Serving, serving
from tests.upstream import InThread, Request, Upstream, in_thread
from tests.upstream_answers import chat_ok
from tests.upstream_steps import Behaviour, Pause

HELLO: Any = [{"role": "user", "content": "Say hello."}]
TAKES, PLACES, FLOOD = 0.06, 2, 40
"""Seconds that an answer takes, and how many of them are made at once."""
CONFIG = """
listen: {{port: 0}}
ledger: {{path: {directory}/ledger.db}}
keys:
  - {{name: flood, key: key-of-flood}}
  - {{name: alice, key: key-of-alice}}
  - {{name: bob, key: key-of-bob}}
  - {{name: slow, key: key-of-slow, limits: {{windows: [{{requests: 1, per: 1s}}]}}}}
  - {{name: waits, key: key-of-waits, limits: {{windows: [{{requests: 1, per: 1s}}]}}}}
  - {{name: once, key: key-of-once, limits: {{rpm: 1}}}}
queue: {{size: 500, wait: 30s}}
backends: {{up: {{type: openai, base_url: "{upstream}", api_key: k, concurrency: 2}}}}
routes:
  chat: {{targets: [up/m]}}
  hurry: {{targets: [up/m], queue: false}}
"""


def _answer(request: Request, n: int) -> Behaviour:
    return chat_ok("Hello!").after(Pause(TAKES))


@pytest.fixture(scope="module")
def there() -> Iterator[InThread]:
    """An upstream that takes its time."""
    with in_thread(Upstream(_answer)) as up:
        yield up


@pytest.fixture(scope="module")
def server(there: InThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """Wayline in front of it."""
    directory: Path = tmp_path_factory.mktemp("limits")
    with serving(directory, CONFIG.format(directory=directory, upstream=there.up.base_url)) as server:
        yield server


def _client(server: Serving, name: str, retries: int = 0) -> OpenAI:
    return OpenAI(base_url=server.base_url, api_key=f"key-of-{name}", max_retries=retries)


def test_one_key_that_floods_leaves_the_others_their_share(server: Serving, there: InThread) -> None:
    """Forty requests of one key come at once; two others then ask for five each, one after another."""

    def asks(name: str) -> None:
        with _client(server, name) as sdk:
            for _ in range(5):
                sdk.chat.completions.create(model="chat", messages=HELLO, user=name)

    with _client(server, "flood") as sdk, ThreadPoolExecutor(FLOOD + 2) as threads:

        def floods() -> None:
            sdk.chat.completions.create(model="chat", messages=HELLO, user="flood")

        flood = [threads.submit(floods) for _ in range(FLOOD)]
        _until(lambda: server.metric("wayline_queue_depth") >= FLOOD / 2)
        others = [threads.submit(asks, name) for name in ("alice", "bob")]
        for one in others:
            one.result(60)
        left = sum(not one.done() for one in flood)
        for one in flood:
            one.result(60)
    assert left >= 5, "they did not have to wait until the flood was over"
    order = [request.json["user"] for request in there.up.requests if "user" in request.json]
    assert Counter(order) == {"flood": FLOOD, "alice": 5, "bob": 5}
    first = order.index("alice")
    assert "flood" in order[first : first + 6], "and the flood goes on beside them"
    assert len(there.up.connections) <= PLACES, "never more under way than places"


def _until(true: Any) -> None:
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_over_its_limit_a_key_gets_a_rate_limit_error_with_a_time(server: Serving) -> None:
    with _client(server, "once") as sdk:
        sdk.chat.completions.create(model="hurry", messages=HELLO)
        with pytest.raises(openai.RateLimitError) as raised:
            sdk.chat.completions.create(model="hurry", messages=HELLO)
    error = raised.value
    assert (error.code, error.type) == ("rate_limit_exceeded", "rate_limit_error")
    assert "Limit reached for key 'once': 1 request a minute." in error.message
    headers = error.response.headers
    assert 55 <= int(headers["retry-after"]) <= 60
    assert (headers["x-ratelimit-limit-requests"], headers["x-ratelimit-remaining-requests"]) == ("1", "0")


def test_the_sdk_comes_back_when_it_was_told_to_and_is_answered(server: Serving) -> None:
    with _client(server, "slow", retries=2) as sdk:
        sdk.chat.completions.create(model="hurry", messages=HELLO)
        at = time.monotonic()
        assert sdk.chat.completions.create(model="hurry", messages=HELLO).choices
        assert 0.5 < time.monotonic() - at < 5


def test_what_is_left_stands_in_the_headers_and_how_long_it_waited(server: Serving) -> None:
    with _client(server, "waits") as sdk:
        first = sdk.chat.completions.with_raw_response.create(model="chat", messages=HELLO)
        second = sdk.chat.completions.with_raw_response.create(model="chat", messages=HELLO)
    assert first.headers["x-ratelimit-limit-requests"] == "1"
    assert first.headers["x-ratelimit-remaining-requests"] == "0"
    assert first.headers["x-ratelimit-reset-requests"] in ("1s", "2s")
    assert "x-wayline-queued-ms" not in first.headers
    assert 100 < int(second.headers["x-wayline-queued-ms"]) < 3000


def test_metrics_tell_who_waited(server: Serving) -> None:
    assert server.metric("wayline_queue_requests_total", ended="served", priority="normal") >= 30
    assert server.metric("wayline_queue_seconds_total", priority="normal") > 1
