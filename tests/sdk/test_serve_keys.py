"""A real `wayline serve` whose keys come and go while it runs, and whose budgets outlive `kill -9`."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.sdk.serving import ROOT, Serving, serving
from tests.upstream import InThread, Upstream, in_thread
from tests.upstream_answers import chat_ok
from tests.upstream_steps import Behaviour, Hang

HELLO: Any = [{"role": "user", "content": "Say hello."}]
CONFIG = """
listen: {{port: 0}}
ledger: {{path: {directory}/wayline.db}}
backends: {{up: {{type: openai, base_url: "{url}", price: {{input: 0, output: 2}}}}}}
routes:
  chat: {{targets: [up/m]}}
  other: {{targets: [up/m]}}
{more}
"""
SEEN_WITHIN = 2.5
"""Seconds in which a server sees what became of a key, and some for a busy machine."""
COSTS = 1000
"""Tokens of an answer: $0.002."""


class Upstreams:
    """What the upstream does with the next request."""

    def __init__(self) -> None:
        self.behaviour: Behaviour = chat_ok(usage=(0, COSTS))

    def __call__(self, request: object, number: int) -> Behaviour:
        return self.behaviour


@pytest.fixture(scope="module")
def upstreams() -> Upstreams:
    return Upstreams()


@pytest.fixture(scope="module")
def up(upstreams: Upstreams) -> Iterator[InThread]:
    with in_thread(Upstream(upstreams)) as there:
        yield there


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, up: InThread) -> Iterator[Serving]:
    directory = tmp_path_factory.mktemp("keys")
    with serving(directory, CONFIG.format(directory=directory, url=up.up.base_url, more="")) as found:
        first = OpenAI(base_url=found.base_url, api_key="none", max_retries=0)
        with first:
            assert ask(first).choices, "no key is needed yet"
            keys(found, "add", "first")
            assert soon(lambda: refused(first) == "invalid_api_key"), "from the first key on everybody needs one"
        yield found


def keys(server: Serving, *words: str) -> str:
    return server.wayline("keys", *words, "--config", str(server.config)).strip()


def asking(server: Serving, key: str) -> OpenAI:
    return OpenAI(base_url=server.base_url, api_key=key, max_retries=0)


def ask(client: OpenAI, model: str = "chat", **more: Any) -> Any:
    return client.chat.completions.create(**{"model": model, "messages": HELLO, "max_tokens": COSTS, **more})


def soon(happens: Callable[[], bool]) -> bool:
    end = time.monotonic() + SEEN_WITHIN
    while not happens():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def refused(client: OpenAI) -> str | None:
    """With which code a key is refused."""
    try:
        ask(client)
    except openai.AuthenticationError as error:
        return str(error.code)
    return None


def test_a_key_is_good_with_the_first_request_that_brings_it_and_for_its_routes_only(server: Serving) -> None:
    with asking(server, keys(server, "add", "alice", "--route", "chat", "--tag", "search")) as client:
        assert ask(client).choices
        with pytest.raises(openai.PermissionDeniedError) as told:
            ask(client, "other")
        assert (told.value.code, told.value.param) == ("model_not_allowed", "model")
        with pytest.raises(openai.NotFoundError) as unknown:
            ask(client, "chta")
        assert "other" not in unknown.value.message
        assert [model.id for model in client.models.list()] == ["chat"]
    (line,) = [one for one in server.spend("--by", "tag")["lines"] if one["name"] == "search"]
    assert line["requests"] == 1


def test_a_key_that_is_revoked_is_refused_within_two_seconds(server: Serving) -> None:
    with asking(server, keys(server, "add", "bob")) as client:
        assert ask(client).choices
        keys(server, "revoke", "bob")
        assert soon(lambda: refused(client) == "api_key_revoked")


def test_a_key_that_is_changed_for_another_is_good_beside_it_for_the_overlap(server: Serving) -> None:
    with asking(server, keys(server, "add", "carol")) as before:
        assert ask(before).choices
        with asking(server, keys(server, "rotate", "carol", "--overlap", "2s")) as after:
            assert ask(after).choices
            assert ask(before).choices
            assert soon(lambda: refused(before) == "api_key_replaced")
            assert ask(after).choices


def test_a_key_ends_when_it_said(server: Serving) -> None:
    with asking(server, keys(server, "add", "dave", "--expires", "1s")) as client:
        assert soon(lambda: refused(client) == "api_key_expired")


def test_a_budget_is_refused_as_the_sdk_knows_it(server: Serving) -> None:
    with asking(server, keys(server, "add", "erin", "--budget", "0.003/day")) as client:
        assert ask(client).choices
        with pytest.raises(openai.RateLimitError) as told:
            ask(client)
        error = told.value
        assert (error.code, error.type) == ("budget_exceeded", "insufficient_quota")
        assert "The budget of key 'erin' is $0.003 a day; $0.002 of it is spent until" in error.message
        assert float(error.response.headers["retry-after"]) <= 86400
        assert error.response.headers["x-should-retry"] == "false"
        with pytest.raises(openai.BadRequestError) as unbounded:
            ask(client, max_tokens=openai.omit)
        assert (unbounded.value.code, unbounded.value.param) == ("max_tokens_required", "max_tokens")
        assert "with at most 500" in unbounded.value.message
        assert ask(client, max_tokens=400).choices


def test_fifty_at_once_with_room_for_ten_cost_at_most_ten(server: Serving) -> None:
    with asking(server, keys(server, "add", "frank", "--budget", "0.02/total")) as client:

        def one(_: int) -> bool:
            try:
                return bool(ask(client).choices)
            except openai.RateLimitError:
                return False

        with ThreadPoolExecutor(50) as pool:
            assert sum(pool.map(one, range(50))) == 10
    (line,) = [one for one in server.spend("--by", "key")["lines"] if one["name"] == "frank"]
    assert (line["served"], float(line["cost"])) == (10, 0.02)


def test_after_kill_9_what_was_reserved_is_free_again_and_what_was_spent_is_not(
    tmp_path: Path, up: InThread, upstreams: Upstreams
) -> None:
    config = CONFIG.format(directory=tmp_path, url=up.up.base_url, more='budgets: {all: ["0.006/day"]}')
    usual = upstreams.behaviour
    before = Serving(tmp_path, config)
    with OpenAI(base_url=before.base_url, api_key="none", max_retries=0) as client:
        assert ask(client).choices
        upstreams.behaviour = Behaviour((Hang(),))
        waiting = [threading.Thread(target=_lost, args=(client,)) for _ in range(2)]
        asked = len(up.up.requests)
        for thread in waiting:
            thread.start()
        assert soon(lambda: len(up.up.requests) == asked + 2)
        with pytest.raises(openai.RateLimitError) as told:
            ask(client)
        assert "$0.004 reserved by requests that are under way" in told.value.message
        assert told.value.response.headers["retry-after"] == "1"
        before.child.send_signal(signal.SIGKILL)
        before.end()
        for thread in waiting:
            thread.join()
    upstreams.behaviour = usual
    with serving(tmp_path, config) as after, OpenAI(base_url=after.base_url, api_key="n", max_retries=0) as client:
        assert ask(client).choices
        assert ask(client).choices
        with pytest.raises(openai.RateLimitError) as spent:
            ask(client)
        assert "$0.006 of it is spent until" in spent.value.message


def test_two_workers_together_spend_no_more_than_one_would(tmp_path: Path, up: InThread, upstreams: Upstreams) -> None:
    config = CONFIG.format(directory=tmp_path, url=up.up.base_url, more='budgets: {all: ["0.02/day"]}')
    usual, asked = upstreams.behaviour, len(up.up.requests)
    upstreams.behaviour = Behaviour((Hang(),))
    with _killed(Serving(tmp_path, config, workers=2)) as server, ThreadPoolExecutor(40) as pool:
        waiting = [pool.submit(_alone, server) for _ in range(40)]
        assert soon(lambda: sum(one.done() for one in waiting) == 30), "those for whom nothing was left"
        assert len(up.up.requests) == asked + 10
        upstreams.behaviour = usual
        for _ in range(2):  # the ten are under way at both of them, or at one
            os.kill(_children(server)[0], signal.SIGKILL)
            if soon(lambda: any(one.result() == "lost" for one in waiting if one.done())):
                break
        assert soon(lambda: _alone(server) == "served"), "what the killed one had reserved is free again"
        for worker in _children(server):
            os.kill(worker, signal.SIGKILL)  # the rest of the ten wait for ever


def test_two_workers_together_let_through_no_more_than_one_would(tmp_path: Path, up: InThread) -> None:
    more = "limits: {windows: [{requests: 10, per: 10m}]}"
    config = CONFIG.format(directory=tmp_path, url=up.up.base_url, more=more)
    with serving(tmp_path, config, workers=2) as server, ThreadPoolExecutor(10) as pool:
        became = list(pool.map(lambda _: _alone(server), range(40)))
        assert sorted(set(became)) == ["refused", "served"]
        assert became.count("served") == 10
        assert not [line for line in server.log() if line["event"] == "limits.not_shared"]


def test_a_limit_of_a_day_does_not_begin_anew_with_the_server(tmp_path: Path, up: InThread) -> None:
    config = CONFIG.format(directory=tmp_path, url=up.up.base_url, more="limits: {rpd: 5}")
    for workers, served in ((1, 2), (2, 2), (1, 1)):
        with serving(tmp_path, config, workers=workers) as server:
            assert [_alone(server) for _ in range(served)] == ["served"] * served
            if served == 1:
                assert _alone(server) == "refused"


@contextlib.contextmanager
def _killed(server: Serving) -> Iterator[Serving]:
    """At the end of the block by force: workers that were just started again cannot be asked to stop yet."""
    try:
        yield server
    finally:
        server.child.kill()
        server.end()


def _children(server: Serving) -> list[int]:
    """Process ids of the workers (proc(5))."""
    text = Path(f"/proc/{server.child.pid}/task/{server.child.pid}/children").read_text()
    return [int(pid) for pid in text.split()]


def _alone(server: Serving) -> str:
    """One request over a connection of its own."""
    with asking(server, "none") as client:
        try:
            ask(client)
        except openai.RateLimitError:
            return "refused"
        except openai.APIConnectionError:
            return "lost"
    return "served"


def _lost(client: OpenAI) -> None:
    with pytest.raises(openai.APIConnectionError):
        ask(client)


def test_an_address_that_others_reach_needs_one_key_in_the_database(tmp_path: Path, up: InThread) -> None:
    text = CONFIG.format(directory=tmp_path, url=up.up.base_url, more="").replace("{port: 0}", "{host: 0.0.0.0}")
    config = tmp_path / "routes.yaml"
    config.write_text(text)
    command = [sys.executable, "-m", "proxy", "serve", "--config", str(config), "--port", "0"]
    without = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert without.returncode == 1 and "`wayline keys add me`" in without.stderr
    made = [sys.executable, "-m", "proxy", "keys", "add", "me", "--config", str(config), "--json"]
    key = json.loads(subprocess.run(made, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True).stdout)[
        "key"
    ]
    with serving(tmp_path, text) as found:
        url = found.base_url.replace("0.0.0.0", "127.0.0.1")
        with OpenAI(base_url=url, api_key=key, max_retries=0) as client:
            assert ask(client).choices
