"""A client may leave at any moment: whoever works for it hears so once, and nothing of it stays."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.wire.running import JSON, Client, Running, post, until

Leave = Callable[[Client], None]
WAYS: dict[str, Leave] = {"closing": Client.close, "a reset": Client.reset, "a half-close": Client.half_close}

CUTS = {
    "before the first byte": b"",
    "in the request line": b"POST /he",
    "in the headers": b"POST /held HTTP/1.1\r\nHost: a\r\nX-",
    "after the headers": post("/held", b"12345")[:-5],
    "in the body": post("/held", b"12345")[:-2],
    "in a chunk": b"POST /held HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n123",
}


@pytest.mark.parametrize("leave", WAYS.values(), ids=WAYS.keys())
@pytest.mark.parametrize("raw", CUTS.values(), ids=CUTS.keys())
def test_leaving_before_the_request_is_whole_frees_the_connection(door: Running, raw: bytes, leave: Leave) -> None:
    client = door.client()
    client.send(raw)
    until(lambda: door.connections() == 1, "the connection is made")
    leave(client)
    door.all_gone()
    assert door.held.requests == []


@pytest.mark.parametrize("leave", WAYS.values(), ids=WAYS.keys())
def test_leaving_before_the_answer_is_told_once(door: Running, leave: Leave) -> None:
    client = door.client()
    client.send(post("/held"))
    door.held.took()
    leave(client)
    until(lambda: door.held.gone == [0], "the endpoint was told")
    door.all_gone()
    assert door.held.gone == [0]
    assert door.held.replies[0].gone


@pytest.mark.parametrize("leave", WAYS.values(), ids=WAYS.keys())
def test_leaving_in_the_middle_of_a_stream_is_told_once_and_further_pieces_go_nowhere(
    door: Running, leave: Leave
) -> None:
    client = door.client()
    client.send(post("/held"))
    door.held.took()
    reply = door.held.replies[0]
    door.call(lambda: reply.start(200, JSON), lambda: reply.push(b"one"))
    client.upto(b"one\r\n")
    leave(client)
    until(lambda: door.held.gone == [0], "the endpoint was told")
    assert door.call(lambda: reply.push(b"two")) is True  # nothing to wait for
    door.call(reply.flush, reply.end, reply.abandon, lambda: reply.whole(200, JSON, b""))
    door.all_gone()
    assert door.held.gone == [0]


def test_leaving_is_noticed_while_another_request_of_the_same_client_waits(door: Running) -> None:
    client = door.client()
    client.send(post("/held") + post("/held"))
    door.held.took()
    client.send(post("/held"))
    client.close()
    until(lambda: door.held.gone == [0], "the endpoint was told")
    door.all_gone()
    assert len(door.held.requests) == 1


def test_leaving_after_the_answer_is_no_concern_of_its_endpoint(door: Running) -> None:
    client = door.client()
    client.send(post("/held"))
    door.held.took()
    door.call(lambda: door.held.replies[0].whole(200, JSON, b"{}"))
    client.answer()
    client.close()
    door.all_gone()
    assert door.held.gone == []
    assert not door.held.replies[0].gone


def test_who_watches_after_the_client_left_is_told_at_once(door: Running) -> None:
    client = door.client()
    client.send(post("/held"))
    door.held.took()
    client.reset()
    door.all_gone()
    told: list[int] = []
    door.call(lambda: door.held.replies[0].watch(lambda: told.append(1), lambda: told.append(2)))
    assert told == [1]


def test_a_gone_client_of_the_app_is_seen_by_the_app(door: Running) -> None:
    client = door.client()
    client.send(b"GET /told HTTP/1.1\r\nHost: a\r\n\r\n")
    client.reset()
    door.all_gone()
    until(lambda: not door.server.server_state.tasks, "no task left")
