"""What a client that lies is told: each in OpenAI's error shape, and then the connection is closed."""

from __future__ import annotations

import json

import pytest

from tests.wire.running import Answer, Client, Running, post, serving

LINE = b"POST /echo HTTP/1.1\r\n"
HEAD = LINE + b"Host: a\r\nContent-Type: application/json\r\n"


def code_of(answer: Answer) -> str:
    """The error's code, once the shape is right."""
    error = json.loads(answer.body)["error"]
    assert sorted(error) == ["code", "message", "param", "type"]
    assert error["message"]
    assert answer.headers["content-type"] == "application/json"
    code = error["code"]
    assert isinstance(code, str)
    return code


def refused(client: Client, raw: bytes, status: int) -> str:
    client.send(raw)
    answer = client.answer()
    assert answer.status == status
    assert answer.headers["connection"] == "close"
    assert client.at_end()
    return code_of(answer)


NOT_HTTP = {
    "a TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "an unknown method": b"FOO /echo HTTP/1.1\r\nHost: a\r\n\r\n",
    "a method in lower case": b"post /echo HTTP/1.1\r\nHost: a\r\n\r\n",
    "no version that exists": b"POST /echo HTTP/1.2\r\nHost: a\r\n\r\n",
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a bare LF after the request line": b"POST /echo HTTP/1.1\nHost: a\r\n\r\n",
    "a bare LF after a header": LINE + b"Host: a\nX: y\r\n\r\n",
    "a bare CR in a header": LINE + b"Host: a\rX: y\r\n\r\n",
    "a NUL in a header": LINE + b"Host: a\r\nX: a\0b\r\n\r\n",
    "a folded header": HEAD + b"X: a\r\n b\r\n\r\n",
    "a space before the colon": HEAD + b"Content-Length : 2\r\n\r\n{}",
    "raw UTF-8 in the path": b"GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n",
    "Content-Length, then Transfer-Encoding": HEAD
    + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "Transfer-Encoding, then Content-Length": HEAD
    + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "two Content-Lengths": HEAD + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    "two different Content-Lengths": HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "a list of Content-Lengths": HEAD + b"Content-Length: 2, 2\r\n\r\n{}",
    "a signed Content-Length": HEAD + b"Content-Length: +2\r\n\r\n{}",
    "an empty Content-Length": HEAD + b"Content-Length:\r\n\r\n{}",
    "a Content-Length beyond 64 bits": HEAD + b"Content-Length: 99999999999999999999\r\n\r\n{}",
    "a coding after chunked": HEAD + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "two Transfer-Encodings": HEAD + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "chunked in HTTP/1.0": b"POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a chunk size that is no number": HEAD + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n",
    "a chunk size beyond 64 bits": HEAD + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nabc\r\n",
    "a chunk longer than it says": HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n",
}


@pytest.mark.parametrize("raw", NOT_HTTP.values(), ids=NOT_HTTP.keys())
def test_what_is_not_proper_http_is_a_400_and_never_reaches_an_endpoint(door: Running, raw: bytes) -> None:
    assert refused(door.client(), raw.replace(b"/echo", b"/held"), 400) == "bad_http"
    assert door.held.requests == []


def test_identity_before_chunked_is_refused_as_two_codings(door: Running) -> None:
    two = b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    assert refused(door.client(), HEAD + two, 400) == "repeated_header"


def test_other_transfer_codings_are_a_501(door: Running) -> None:
    raw = HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"
    assert refused(door.client(), raw, 501) == "unknown_transfer_coding"


@pytest.mark.parametrize("version", ["0.9", "2.0"])
def test_other_versions_are_a_505(door: Running, version: str) -> None:
    assert refused(door.client(), post("/echo", version=version), 505) == "bad_http_version"


@pytest.mark.parametrize(
    "hosts",
    [b"", b"Host: a\r\nHost: a\r\n", b"Host: a\r\nHOST: b\r\n", b"Host:\r\n", b"Host: \r\n", b"Host: a/b?c\r\n"],
)
@pytest.mark.parametrize("path", [b"/echo", b"/told"])
def test_there_must_be_exactly_one_host(door: Running, hosts: bytes, path: bytes) -> None:
    assert refused(door.client(), b"GET " + path + b" HTTP/1.1\r\n" + hosts + b"\r\n", 400) == "bad_host"


@pytest.mark.parametrize("host", ["localhost:8080", "[::1]:8080", "my-host.example", "127.0.0.1"])
def test_hosts_as_they_are_pass(door: Running, host: str) -> None:
    assert door.ask(f"GET /told HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()).status == 200


def test_two_hosts_are_refused_in_http_1_0_too(door: Running) -> None:
    assert refused(door.client(), b"GET /told HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400) == "bad_host"


def test_connect_is_refused_and_nothing_after_it_is_read_as_a_request(door: Running) -> None:
    raw = b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n" + post("/held")
    assert refused(door.client(), raw, 405) == "method_not_allowed"
    assert door.held.requests == []


def test_a_target_that_is_no_path_is_refused(door: Running) -> None:
    assert refused(door.client(), b"GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400) == "bad_target"
    assert refused(door.client(), b"GET ftp://a/told HTTP/1.1\r\nHost: a\r\n\r\n", 400) == "bad_target"


def test_the_wrong_method_is_a_405_that_names_the_right_one(door: Running) -> None:
    answer = door.ask(b"GET /echo HTTP/1.1\r\nHost: a\r\n\r\n")
    assert (answer.status, answer.headers["allow"], code_of(answer)) == (405, "POST", "method_not_allowed")


FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    "kind", [FORM, "text/plain", "text/plain;charset=UTF-8", "multipart/form-data", "application/jsonx"]
)
def test_a_body_that_says_it_is_no_json_is_a_415_with_a_hint(door: Running, kind: str) -> None:
    answer = door.ask(post("/echo").replace(b"application/json", kind.encode()))
    assert (answer.status, code_of(answer)) == (415, "unsupported_media_type")
    assert b"-H 'Content-Type: application/json'" in answer.body


@pytest.mark.parametrize(
    "kind", ["application/json;charset=utf-8", "Application/JSON ; charset=UTF-8", "application/json"]
)
def test_json_passes_however_it_is_written(door: Running, kind: str) -> None:
    assert door.ask(post("/echo").replace(b"application/json", kind.encode())).status == 200


def test_a_body_without_a_type_passes_for_json_but_not_from_a_browser(door: Running) -> None:
    """A page can send one to any address unasked, and so reach a gateway on loopback; it cannot hide its origin."""
    bare = post("/echo").replace(b"Content-Type: application/json\r\n", b"")
    assert door.ask(bare).status == 200
    assert door.ask(bare.replace(b"Host: a", b"Host: a\r\nOrigin: https://evil.example")).status == 415


def test_a_compressed_body_is_a_415(door: Running) -> None:
    assert code_of(door.ask(post("/echo", b"{}", "Content-Encoding: gzip"))) == "unsupported_content_coding"
    assert door.ask(post("/echo", b"{}", "Content-Encoding: identity")).status == 200


def test_a_head_above_the_bound_is_a_431_whether_it_ends_or_not(door: Running) -> None:
    long = b"X-Long: " + b"a" * 40_000 + b"\r\n"
    assert refused(door.client(), HEAD + long + b"\r\n", 431) == "headers_too_large"
    assert refused(door.client(), HEAD + long, 431) == "headers_too_large"
    many = b"".join(b"X-%d: 1\r\n" % number for number in range(4000))
    assert refused(door.client(), HEAD + many + b"Content-Length: 0\r\n\r\n", 431) == "headers_too_large"


def test_a_head_just_below_the_bound_passes(door: Running) -> None:
    assert door.ask(post("/echo", b"{}", "X-Long: " + "a" * 32_000)).status == 200


def test_a_long_head_after_another_request_in_the_same_bytes_is_a_431_too(door: Running) -> None:
    client = door.client()
    client.send(post("/echo", b"[1]") + post("/echo", b"{}", "X-Long: " + "a" * 40_000))
    assert client.answer().body == b"[1]"
    assert client.answer().status == 431


def test_a_long_body_before_a_request_does_not_count_as_its_head(door: Running) -> None:
    client = door.client()
    body = b"x" * 60_000
    second = post("/echo", b"{}")
    client.send(post("/echo", body) + second[:30])
    assert client.answer().body == body
    client.send(second[30:])
    assert client.answer().body == b"{}"


def test_an_url_of_a_mebibyte_is_a_431(door: Running) -> None:
    client = door.client()
    client.send(b"GET /" + b"a" * 100_000)
    assert client.answer().status == 431


def test_a_body_above_the_bound_is_refused_at_its_announcement(door: Running) -> None:
    client = door.client()
    client.send(post("/held", b"").replace(b"Length: 0", b"Length: 20971521"))
    answer = client.answer()
    assert (answer.status, code_of(answer)) == (413, "body_too_large")
    assert door.ask(b"POST /told HTTP/1.1\r\nHost: a\r\nContent-Length: 20971521\r\n\r\n").status == 413


CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


def test_a_chunked_body_above_the_bound_is_refused_when_it_gets_there() -> None:
    with serving(max_body=10_000) as door:
        client = door.client()
        client.send(CHUNKED + b"1000\r\n" + b"a" * 4096 + b"\r\n")
        client.send(b"ffffff\r\n" + b"a" * 4096)
        client.send(b"a" * 4096)
        assert client.answer().status == 413
        assert door.ask(CHUNKED + b"2710\r\n" + b"a" * 10_000 + b"\r\n0\r\n\r\n").status == 200


def test_a_client_that_goes_on_sending_still_gets_its_refusal() -> None:
    with serving(max_body=1000) as door:
        client = door.client()
        client.send(post("/echo", b"").replace(b"Length: 0", b"Length: 1000000"))
        for _ in range(10):
            client.send(b"x" * 100_000)
        assert client.answer().status == 413


def test_bodies_of_one_byte_chunks_are_read(door: Running) -> None:
    client = door.client()
    client.send(CHUNKED + b"1\r\na\r\n" * 50_000 + b"0\r\n\r\n")
    assert client.answer().body == b"a" * 50_000


@pytest.mark.parametrize("endless", [b"1;" + b"x" * 9000, b"0\r\nX: " + b"x" * 9000])
def test_chunk_extensions_and_trailers_cannot_go_on_for_ever(door: Running, endless: bytes) -> None:
    client = door.client()
    client.send(CHUNKED + endless)
    for _ in range(12):
        client.send(b"x" * 9000)
    assert client.answer().status == 400


def test_a_bad_request_behind_a_good_one_does_not_spoil_its_answer(door: Running) -> None:
    client = door.client()
    client.send(post("/held") + b"garbage\r\n\r\n")
    door.held.took()
    door.call(lambda: door.held.replies[0].whole(200, b"", b"good"))
    assert client.answer().body == b"good"
    assert client.answer().status == 400
    assert client.at_end()


def test_pipelined_requests_are_bounded_and_those_taken_are_answered(door: Running) -> None:
    client = door.client()
    client.send(post("/held") + post("/echo", b"[1]") * 500)
    door.held.took()
    door.call(lambda: door.held.replies[0].whole(200, b"", b"first"))
    assert client.answer().body == b"first"
    replies = client.rest().count(b"[1]")
    assert 0 < replies <= 64


def test_bytes_behind_a_request_under_way_are_bounded(door: Running) -> None:
    client = door.client()
    client.send(post("/held"))
    door.held.took()
    for _ in range(20):
        client.send(post("/echo", b"x" * 10_000))
    assert door.call(lambda: sum(len(piece) for piece in door.line().held)) <= 64 * 1024
    door.call(lambda: door.held.replies[0].whole(200, b"", b"first"))
    assert client.answer().body == b"first"
