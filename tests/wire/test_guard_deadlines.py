"""Time is bounded wherever a client could take it, and so is the memory that a slow one costs."""

from __future__ import annotations

import select
import time

from tests.wire.running import JSON, Client, post, serving, until


def dribble(client: Client, raw: bytes, pause: float) -> None:
    """Sends a byte at a time until the server says something."""
    for byte in raw:
        client.send(bytes([byte]))
        if select.select([client.sock], [], [], pause)[0]:
            return


def test_a_connection_that_says_nothing_is_closed_without_a_word() -> None:
    with serving(header_timeout=0.1) as door:
        assert door.client().at_end()
        door.all_gone()


def test_a_head_that_does_not_end_in_time_is_a_408() -> None:
    with serving(header_timeout=0.1) as door:
        client = door.client()
        client.send(b"POST /echo HTTP/1.1\r\nHost: a\r\n")
        answer = client.answer()
        assert (answer.status, answer.headers["connection"]) == (408, "close")
        assert client.at_end()


def test_a_byte_now_and_then_buys_no_time() -> None:
    with serving(header_timeout=0.3) as door:
        client = door.client()
        dribble(client, b"POST /echo HTTP/1.1\r\nX-Slow: " + b"a" * 4000, 0.01)
        assert client.answer().status == 408


def test_the_head_of_a_later_request_has_its_own_time() -> None:
    with serving(header_timeout=0.6, keep_alive=20.0) as door:
        client = door.client()
        for _ in range(2):
            time.sleep(0.35)  # longer, all told, than one head may take
            client.send(post("/echo"))
            assert client.answer().status == 200
        client.send(b"POST /ec")
        assert client.answer().status == 408


def test_a_body_that_does_not_end_in_time_is_a_408() -> None:
    with serving(body_timeout=0.1) as door:
        for path in ("/held", "/told"):
            client = door.client()
            client.send(post(path, b"12345")[:-1])
            assert client.answer().status == 408
            assert client.at_end()
        assert door.held.requests == []


def test_an_idle_connection_is_closed_after_the_keep_alive_time() -> None:
    with serving(keep_alive=0.1) as door:
        for path in ("/echo", "/told"):
            client = door.client()
            client.send(post(path))
            assert client.answer().status == 200
            assert client.at_end()


def test_the_time_that_an_answer_takes_is_not_the_clients() -> None:
    with serving(header_timeout=0.3, body_timeout=0.3, keep_alive=0.3, write_timeout=0.3) as door:
        client = door.client()
        client.send(post("/held") + post("/held", b"12345")[:-1])
        door.held.took()
        time.sleep(0.7)
        door.call(lambda: door.held.replies[0].whole(200, JSON, b"late"))
        assert client.answer().body == b"late"
        client.send(b"5")
        door.held.took(2)
        time.sleep(0.7)
        door.call(lambda: door.held.replies[1].whole(200, JSON, b"later"))
        assert client.answer().body == b"later"


PIECE = b"x" * 16_384


def test_a_client_that_takes_nothing_stops_the_stream_and_is_cut_off() -> None:
    with serving(write_timeout=0.2) as door:
        client = door.client(receive_buffer=4096)
        client.send(post("/held"))
        door.held.took()
        reply = door.held.replies[0]
        door.call(lambda: reply.start(200, JSON))
        pushed = 0
        while door.call(lambda: reply.push(PIECE)):
            pushed += len(PIECE)
            assert pushed < 64 << 20, "nothing told the endpoint to stop"
        assert door.call(lambda: door.line().transport.get_write_buffer_size()) < 128 * 1024
        until(lambda: door.held.gone == [0], "the client is taken for gone")
        door.all_gone()


def test_a_client_that_takes_nothing_of_a_small_rest_is_cut_off_too() -> None:
    """Below the transport's high water nobody is told to stop; the bytes would lie there for ever."""
    with serving(header_timeout=0.1, write_timeout=0.1, keep_alive=0.1) as door:
        client = door.client(receive_buffer=4096)
        client.send(post("/held"))
        door.held.took()
        reply = door.held.replies[0]
        door.call(lambda: reply.start(200, JSON))
        while not door.call(lambda: door.line().transport.get_write_buffer_size()):
            door.call(lambda: reply.push(PIECE))
        door.all_gone()
        assert door.held.gone == [0]


def test_a_client_that_does_not_take_the_end_of_a_whole_answer_is_cut_off() -> None:
    with serving(write_timeout=0.1, keep_alive=0.1) as door:
        for number, more in enumerate(((), ("Connection: close",))):
            client = door.client(receive_buffer=4096)
            client.send(post("/held", b"{}", *more))
            door.held.took(number + 1)
            door.call(lambda: door.held.replies[-1].whole(200, JSON, b"x" * (16 << 20)))
            door.all_gone()
        assert door.held.gone == []


def test_a_slow_reader_gets_everything_and_tells_when_it_has_caught_up() -> None:
    with serving(write_timeout=1.5, keep_alive=1.5) as door:
        client = door.client(receive_buffer=65536)
        client.send(post("/held"))
        door.held.took()
        reply = door.held.replies[0]
        door.call(lambda: reply.start(200, JSON))
        pushed = 0
        for _ in range(4):
            caught_up = len(door.held.ready)
            while door.call(lambda: reply.push(PIECE)):
                pushed += len(PIECE)
            pushed += len(PIECE)
            while len(door.held.ready) == caught_up:
                client.buffer += client.sock.recv(65536)
                time.sleep(0.005)
        assert len(door.held.ready) == 4
        door.call(reply.end)
        assert len(client.answer().body) == pushed
        assert door.held.gone == []


def test_a_slow_reader_of_a_long_whole_answer_is_not_taken_for_stalled() -> None:
    with serving(write_timeout=0.4, keep_alive=0.4, header_timeout=0.4) as door:
        client = door.client(receive_buffer=65536)
        client.send(post("/held"))
        door.held.took()
        size = 16 << 20
        door.call(lambda: door.held.replies[0].whole(200, JSON, b"x" * size))
        for _ in range(60):
            client.buffer += client.sock.recv(65536)
            time.sleep(0.02)
        assert len(client.answer().body) == size


def test_connections_beyond_the_limit_are_told_so_and_free_places_are_given_again() -> None:
    with serving(max_connections=2) as door:
        first, second = door.client(), door.client()
        until(lambda: door.connections() == 2, "both are connected")
        third = door.client()
        answer = third.answer()
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        assert third.at_end()
        third.close()
        first.close()
        until(lambda: door.connections() == 1, "a place is free")
        assert door.ask(post("/echo")).status == 200
        second.send(post("/echo"))
        assert second.answer().status == 200


def test_a_plain_request_on_a_kept_connection_arms_no_timer() -> None:
    with serving() as door:
        client = door.client()
        client.send(post("/echo"))
        client.answer()
        timer = door.call(lambda: door.line().timer)
        for _ in range(10):
            client.send(post("/echo"))
            client.answer()
        assert door.call(lambda: door.line().timer) is timer
