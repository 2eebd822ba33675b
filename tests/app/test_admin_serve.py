"""The admin API of a real `wayline serve`: events as they come, the page, reload and drain, also of several workers."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.app.administering import ADMIN
from tests.app.embedding import HELLO, mapping
from tests.sdk.serving import Serving, serving
from tests.upstream import InThread, Upstream, in_thread
from tests.upstream_answers import ok
from tests.upstream_steps import Behaviour

HEADERS = {"authorization": f"Bearer {ADMIN}", "content-type": "application/json"}


def config(directory: Path, upstream: str, **more: Any) -> str:
    found = mapping(directory, upstream, **{"admin": {"key": ADMIN}, **more})
    return json.dumps(found, default=str)


@contextlib.contextmanager
def line_to(server: Serving) -> Iterator[http.client.HTTPConnection]:
    """A connection of its own: with several workers each may lead to another."""
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=30)
    try:
        yield connection
    finally:
        connection.close()


def ask(server: Serving, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    with line_to(server) as connection:
        connection.request(method, path, None if body is None else json.dumps(body), HEADERS)
        reply = connection.getresponse()
        return reply.status, json.loads(reply.read())


def chat(server: Serving) -> int:
    return ask(server, "POST", "/v1/chat/completions", {"model": "chat", "messages": HELLO})[0]


@pytest.fixture(scope="module")
def upstream() -> Iterator[InThread]:
    """The first target fails, the second answers."""

    def answer(request: Any, n: int) -> Behaviour:
        found: Behaviour = ok()(request, n)
        return found

    with in_thread(Upstream(answer)) as there:
        yield there


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, upstream: InThread) -> Iterator[Serving]:
    directory = tmp_path_factory.mktemp("admin")
    with serving(directory, config(directory, upstream.up.base_url)) as found:
        yield found


class Listening:
    """To /admin/events."""

    def __init__(self, connection: http.client.HTTPConnection, last: str = "") -> None:
        connection.request("GET", "/admin/events", headers={**HEADERS, **({"last-event-id": last} if last else {})})
        self.reply = connection.getresponse()
        assert self.reply.headers["content-type"].startswith("text/event-stream")
        assert self.reply.readline() == b": wayline\n"

    def event(self) -> tuple[str, dict[str, Any]]:
        """The next one: its kind and its data."""
        kind = ""
        while line := self.reply.readline():
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name == "event":
                kind = value
            elif name == "data":
                return kind, json.loads(value)
        return "end", {}


def test_events_come_as_things_happen(server: Serving) -> None:
    with line_to(server) as connection, line_to(server) as other:
        listening, second = Listening(connection), Listening(other)
        status, _ = ask(server, "POST", "/admin/targets/up/first/cool", {"seconds": 30})
        assert status == 200
        for one in (listening, second):
            kind, told = one.event()
            assert (kind, told["target"], told["state"], told["for_s"]) == ("target", "up/first", "cooled", 30)
            assert told["at"] > 1.6e9
        ask(server, "POST", "/admin/targets/up/first/restore")
        assert listening.event()[1]["state"] == "restored"
        ask(server, "POST", "/admin/reload")
        assert listening.event()[0] == "reload"


def test_one_who_comes_again_gets_what_happened_meanwhile(server: Serving) -> None:
    with line_to(server) as connection:
        ask(server, "POST", "/admin/targets/up/second/cool", {"seconds": 1})
        ask(server, "POST", "/admin/targets/up/second/restore")
        listening = Listening(connection, last="0")
        seen = [listening.event()[1] for _ in range(3)]
        assert {"cooled", "restored"} <= {told.get("state") for told in seen}


def test_a_listener_that_leaves_is_forgotten_and_others_go_on(server: Serving) -> None:
    for _ in range(60):  # more than may listen at once
        with line_to(server) as connection:
            Listening(connection)
    with line_to(server) as connection:
        listening = Listening(connection)
        ask(server, "POST", "/admin/reload")
        assert listening.event()[0] == "reload"


def test_the_page_needs_no_key_holds_nothing_and_loads_nothing_from_elsewhere(server: Serving) -> None:
    with line_to(server) as connection:
        connection.request("GET", "/admin")
        reply = connection.getresponse()
        reply.read()
        assert (reply.status, urlsplit(reply.headers["location"]).path) == (307, "/admin/")
        connection.request("GET", "/admin/")
        reply = connection.getresponse()
        page = reply.read().decode()
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    policy = reply.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "connect-src 'self'" in policy
    assert reply.headers["x-frame-options"] == "DENY"
    assert "up/first" not in page
    assert not re.findall(r"(?:src|href)=[\"']?(?:https?:)?//", page)


def test_everything_goes_on_while_the_api_is_asked(server: Serving) -> None:
    assert chat(server) == 200
    assert ask(server, "GET", "/admin/status")[1]["status"] == "ready"
    assert ask(server, "GET", "/admin/status?x=1")[0] == 400
    told = ask(server, "POST", "/admin/targets/up%2Ffirst/test")[1]
    assert told["ok"]
    assert server.metric("wayline_requests_total", endpoint="test", status="200") >= 1


def test_drain_ends_the_server_and_those_who_listen(tmp_path: Path, upstream: InThread) -> None:
    with serving(tmp_path, config(tmp_path, upstream.up.base_url)) as server, line_to(server) as connection:
        listening = Listening(connection)
        status, told = ask(server, "POST", "/admin/drain")
        assert (status, told["draining"], told["within_s"]) == (200, True, 30.0)
        while listening.event()[0] != "end":
            pass
        assert server.child.wait(20) == 0


def test_of_two_workers_each_tells_of_itself_and_reload_and_drain_reach_both(
    tmp_path: Path, upstream: InThread
) -> None:
    with serving(tmp_path, config(tmp_path, upstream.up.base_url), workers=2) as server:
        told = [ask(server, "GET", "/admin/status")[1] for _ in range(40)]
        assert len({one["worker"] for one in told}) == 2
        assert {one["workers"] for one in told} == {2}
        assert ask(server, "POST", "/admin/targets/up/first/cool", {"seconds": 600})[1]["all_workers"]
        until_all(server, lambda one: bool(one["by_hand"]))
        assert ask(server, "POST", "/admin/targets/up/first/restore")[0] == 200
        until_all(server, lambda one: not one["by_hand"])
        server.config.write_text(config(tmp_path, upstream.up.base_url, direct=True))
        status, reloaded = ask(server, "POST", "/admin/reload")
        assert (status, reloaded["others"]) == (200, True)
        assert ask(server, "POST", "/admin/drain")[0] == 200
        assert server.child.wait(30) == 0
        lines = [line for line in server.log() if line.get("event") == "config.loaded"]
        assert len(lines) >= 2


def until_all(server: Serving, holds: Callable[[dict[str, Any]], bool]) -> None:
    """Until two workers have said so of the first target."""
    workers, late = set[int](), time.monotonic() + 20
    while len(workers) < 2:
        assert time.monotonic() < late
        told = ask(server, "GET", "/admin/targets")[1]
        if holds(told["targets"][0]):
            workers.add(told["worker"])


def test_the_page_puts_nothing_into_itself_but_as_text() -> None:
    page = (Path(__file__).resolve().parents[2] / "proxy/ops/admin.html").read_text()
    for markup in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "new Function",
        "setAttribute",
    ):
        assert markup not in page
    assert not re.findall(r"\son\w+=", page)  # no handlers in attributes: the policy would not run them either
    assert page.count("<script>") == 1
