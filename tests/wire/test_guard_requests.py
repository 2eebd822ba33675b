"""What a well-behaved client may rely on: whole answers, streams, keep-alive, pipelining, both versions of HTTP/1."""

from __future__ import annotations

import json
from functools import partial

from proxy.wire.reply import Inbound, Reply
from tests.wire.running import JSON, Running, post, serving, until


def test_a_hot_endpoint_gets_the_whole_request_as_one_value(door: Running) -> None:
    client = door.client()
    client.send(post("/held?x=1", b'{"a": 1}', "X-Thing: Value"))
    door.held.took()
    inbound = door.held.requests[0]
    assert (inbound.method, inbound.path, inbound.body) == ("POST", "/held", b'{"a": 1}')
    assert (b"x-thing", b"Value") in inbound.headers
    assert inbound.client == "127.0.0.1"


def test_a_whole_answer_has_date_length_and_the_endpoints_headers_and_the_connection_stays(door: Running) -> None:
    client = door.client()
    for body in (b"{}", b'{"second": true}'):
        client.send(post("/echo", body))
        answer = client.answer()
        assert (answer.status, answer.body) == (200, body)
        assert answer.headers["date"].endswith("GMT")
        assert answer.headers["content-type"] == "application/json"
        assert "connection" not in answer.headers


def test_all_other_paths_reach_the_app_with_method_path_query_and_body(door: Running) -> None:
    assert door.ask(b"GET /told?a=b%20c HTTP/1.1\r\nHost: a\r\n\r\n").body == b"GET /told a=b%20c 0"
    assert door.ask(post("/told", b"x" * 100_000)).body == b"POST /told  100000"
    assert door.ask(b"GET /t%C3%A9 HTTP/1.1\r\nHost: a\r\n\r\n").status == 404  # decoded, as ASGI has it: no such route
    assert door.ask(b"GET http://other/told?q HTTP/1.1\r\nHost: a\r\n\r\n").body == b"GET /told q 0"


def test_a_path_is_hot_only_by_its_exact_bytes(door: Running) -> None:
    for path in ("/ech%6f", "//echo", "/echo/", "/ECHO"):
        assert door.ask(post(path)).status == 404
    assert door.ask(post("http://a/echo")).status == 200


def test_an_answer_to_head_has_no_body(door: Running) -> None:
    client = door.client()
    client.send(b"HEAD /told HTTP/1.1\r\nHost: a\r\n\r\nGET /told HTTP/1.1\r\nHost: a\r\n\r\n")
    assert client.head().headers["content-length"] == "13"
    assert client.answer().body == b"GET /told  0"
    refused = door.client()
    refused.send(b"HEAD /echo HTTP/1.1\r\nHost: a\r\n\r\n")
    assert refused.head().status == 405
    assert refused.at_end()


def test_pipelined_requests_are_answered_one_after_another_in_order(door: Running) -> None:
    client = door.client()
    told = b"GET /told?%d HTTP/1.1\r\nHost: a\r\n\r\n"
    client.send(post("/echo", b"[1]") + told % 2 + post("/held", b"[3]") + post("/echo", b"[4]") + told % 5)
    assert client.answer().body == b"[1]"
    assert client.answer().body == b"GET /told 2 0"
    door.held.took()
    client.send(told % 6)
    door.call(lambda: door.held.replies[0].whole(200, JSON, b"[3]"))
    assert [client.answer().body for _ in range(4)] == [b"[3]", b"[4]", b"GET /told 5 0", b"GET /told 6 0"]


def test_a_request_that_comes_while_one_is_answered_waits_for_it(door: Running) -> None:
    client = door.client()
    client.send(post("/held", b"1"))
    door.held.took()
    client.send(post("/held", b"2"))
    client.send(post("/held", b"3")[:-1])
    for number in (1, 2):
        assert len(door.held.requests) == number
        door.call(partial(door.held.replies[number - 1].whole, 200, JSON, b"%d" % number))
        assert client.answer().body == b"%d" % number
        if number == 1:
            door.held.took(2)
    client.send(b"3")
    door.held.took(3)


def test_after_connection_close_the_server_answers_and_closes(door: Running) -> None:
    for path in ("/echo", "/told"):
        client = door.client()
        client.send(post(path, b"{}", "Connection: close") + post(path, b"never"))
        assert client.answer().headers["connection"] == "close"
        assert client.at_end()


def test_http_1_0_is_answered_and_closed(door: Running) -> None:
    for path in ("/echo", "/told"):
        client = door.client()
        client.send(post(path, b"{}", "Connection: keep-alive", version="1.0"))
        answer = client.answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert client.at_end()


def test_http_1_0_needs_no_host(door: Running) -> None:
    assert door.ask(b"POST /echo HTTP/1.0\r\nContent-Length: 2\r\n\r\n{}").body == b"{}"


def three(inbound: Inbound, reply: Reply) -> None:
    """Streams three events."""
    reply.start(200, b"content-type: text/event-stream\r\n")
    for number in range(3):
        reply.push(b"data: %d\n\n" % number)
    reply.end(b"data: [DONE]\n\n")


EVENTS = b"data: 0\n\ndata: 1\n\ndata: 2\n\ndata: [DONE]\n\n"


def test_a_stream_is_chunked_and_the_connection_stays() -> None:
    with serving({("POST", "/three"): three}) as door:
        client = door.client()
        client.send(post("/three") + post("/three"))
        for _ in range(2):
            answer = client.answer()
            assert answer.headers["transfer-encoding"] == "chunked"
            assert answer.body == EVENTS


def test_a_stream_to_http_1_0_ends_with_the_connection() -> None:
    with serving({("POST", "/three"): three}) as door:
        client = door.client()
        client.send(post("/three", version="1.0"))
        answer = client.answer()
        assert "transfer-encoding" not in answer.headers
        assert answer.headers["connection"] == "close"
        assert answer.body == EVENTS


def test_the_head_of_a_stream_waits_for_the_first_piece_or_for_flush(door: Running) -> None:
    client = door.client()
    client.send(post("/held"))
    door.held.took()
    reply = door.held.replies[0]
    door.call(lambda: reply.start(200, JSON))
    assert door.call(lambda: door.line().sent) == 0
    door.call(reply.flush)
    assert client.head().status == 200
    door.call(lambda: reply.push(b"a"))
    assert client.exactly(6) == b"1\r\na\r\n"
    door.call(reply.end)
    assert client.exactly(5) == b"0\r\n\r\n"


def test_an_abandoned_stream_cannot_pass_for_whole(door: Running) -> None:
    client = door.client()
    client.send(post("/held"))
    door.held.took()
    reply = door.held.replies[0]
    door.call(lambda: reply.start(200, JSON), lambda: reply.push(b"half"), reply.abandon)
    assert client.head().status == 200
    assert client.rest() == b"4\r\nhalf\r\n"  # what was said arrives; the last chunk is missing
    door.all_gone()
    assert door.held.gone == []


def test_an_abandoned_stream_to_http_1_0_is_reset(door: Running) -> None:
    client = door.client()
    client.send(post("/held", version="1.0"))
    door.held.took()
    reply = door.held.replies[0]
    door.call(lambda: reply.start(200, JSON), lambda: reply.push(b"half"))
    client.upto(b"half")
    door.call(reply.abandon)
    try:
        ended_cleanly = client.sock.recv(10) == b""
    except ConnectionResetError:
        ended_cleanly = False
    assert not ended_cleanly


def test_an_abandoned_request_gets_no_answer(door: Running) -> None:
    client = door.client()
    client.send(post("/held"))
    door.held.took()
    door.call(door.held.replies[0].abandon)
    assert client.rest() == b""


def test_what_a_reply_is_told_after_its_end_changes_nothing(door: Running) -> None:
    client = door.client()
    client.send(post("/held") + post("/held"))
    door.held.took()
    first = door.held.replies[0]
    door.call(lambda: first.whole(200, JSON, b"1"))
    door.held.took(2)
    door.call(
        lambda: first.whole(200, JSON, b"x"),
        lambda: first.start(200, JSON),
        lambda: first.push(b"x"),
        first.end,
        first.abandon,
    )
    door.call(lambda: door.held.replies[1].whole(200, JSON, b"2"))
    assert [client.answer().body, client.answer().body] == [b"1", b"2"]
    assert not first.gone


def test_an_endpoint_that_raises_costs_its_client_a_500_and_no_one_else_anything() -> None:
    def broken(inbound: Inbound, reply: Reply) -> None:
        raise ZeroDivisionError("a bug")

    with serving({("POST", "/broken"): broken}) as door:
        answer = door.ask(post("/broken"))
        assert (answer.status, json.loads(answer.body)["error"]["code"]) == (500, "internal_error")
        assert door.ask(post("/echo", b"{}")).status == 200


def test_an_endpoint_that_raises_in_mid_stream_does_not_end_it_cleanly() -> None:
    def broken(inbound: Inbound, reply: Reply) -> None:
        reply.start(200, JSON)
        reply.push(b"half")
        raise ZeroDivisionError("a bug")

    with serving({("POST", "/broken"): broken}) as door:
        client = door.client()
        client.send(post("/broken"))
        assert client.head().status == 200
        assert client.rest() == b"4\r\nhalf\r\n"


def test_an_offer_to_change_the_protocol_is_passed_over(door: Running) -> None:
    """Java's HttpClient offers h2c with its requests; the body must not be lost by that."""
    offer = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk")
    client = door.client()
    client.send(post("/echo", b'{"kept": 1}', *offer) + post("/echo", b"[2]"))
    assert [client.answer().body, client.answer().body] == [b'{"kept": 1}', b"[2]"]
    chunked = (
        b"POST /echo HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    client.send(chunked)
    client.send(b"2\r\n{}\r\n0\r\n\r\n")
    assert client.answer().body == b"{}"
    client.send(b"GET /told HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    assert client.answer().status == 200


def test_expect_100_continue_is_invited_and_then_answered(door: Running) -> None:
    client = door.client()
    request = post("/echo", b"12345", "Expect: 100-continue")
    client.send(request[:-5])
    assert client.upto(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.send(b"12345")
    assert client.answer().body == b"12345"


def test_a_body_that_came_along_needs_no_invitation(door: Running) -> None:
    assert door.ask(post("/echo", b"12345", "Expect: 100-continue")).status == 200


def test_nobody_is_invited_to_send_what_will_be_refused(door: Running) -> None:
    client = door.client()
    client.send(post("/echo", b"", "Expect: 100-continue").replace(b"Length: 0", b"Length: 99999999"))
    assert client.answer().status == 413
    assert door.ask(post("/echo", b"", "Expect: a-miracle")).status == 417


def test_chunked_bodies_come_whole_and_trailers_do_not_count_as_headers(door: Running) -> None:
    client = door.client()
    head = b"POST /held HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    client.send(head + b"1\r\na\r\n2;ext=1\r\nbc\r\n0\r\nHost: evil\r\nX-Late: 1\r\n\r\n")
    door.held.took()
    assert door.held.requests[0].body == b"abc"
    names = [name for name, _ in door.held.requests[0].headers]
    assert names == [b"host", b"transfer-encoding"]


def test_a_finished_connection_leaves_nothing_behind(door: Running) -> None:
    client = door.client()
    client.send(post("/echo"))
    client.answer()
    client.close()
    door.all_gone()
    until(lambda: not door.server.server_state.tasks, "no task left")
