"""Browsers may call from the origins that the configuration names, and from none by default."""

from __future__ import annotations

import pytest

from proxy.config.values import Cors
from tests.wire.running import Answer, Running, post, serving

GOOD, EVIL = "https://app.example", "https://evil.example"


def preflight(door: Running, path: str, origin: str) -> Answer:
    return door.ask(
        f"OPTIONS {path} HTTP/1.1\r\nHost: a\r\nOrigin: {origin}\r\nAccess-Control-Request-Method: POST\r\n"
        "Access-Control-Request-Headers: authorization,content-type,x-stainless-lang\r\n\r\n".encode()
    )


def test_without_configuration_no_header_invites_a_browser(door: Running) -> None:
    for answer in (preflight(door, "/echo", GOOD), door.ask(post("/echo", b"{}", f"Origin: {GOOD}"))):
        assert not [name for name in answer.headers if name.startswith("access-control")]
        assert "vary" not in answer.headers
    assert preflight(door, "/echo", GOOD).status == 405


@pytest.mark.parametrize("path", ["/echo", "/told", "/nothing"])
def test_a_preflight_from_a_known_origin_is_answered_for_every_path(path: str) -> None:
    with serving(cors=Cors((GOOD,), 60)) as door:
        answer = preflight(door, path, GOOD)
        assert answer.status == 200
        assert answer.headers["access-control-allow-origin"] == GOOD
        assert answer.headers["access-control-allow-headers"] == "authorization,content-type,x-stainless-lang"
        assert answer.headers["access-control-max-age"] == "60"
        assert answer.headers["vary"] == "Origin, Access-Control-Request-Headers"
        assert "access-control-allow-credentials" not in answer.headers
        if path == "/echo":
            assert answer.headers["access-control-allow-methods"] == "POST"


def test_a_preflight_from_an_unknown_origin_allows_nothing() -> None:
    with serving(cors=Cors((GOOD,))) as door:
        answer = preflight(door, "/echo", EVIL)
        assert not [name for name in answer.headers if name.startswith("access-control")]
        assert answer.headers["vary"].startswith("Origin")


def test_every_answer_to_a_known_origin_may_be_read_errors_included() -> None:
    with serving(cors=Cors((GOOD,))) as door:
        from_there = f"Origin: {GOOD}"
        asked = [
            post("/echo", b"{}", from_there),
            post("/told", b"{}", from_there),
            post("/echo", b"{}", from_there, "Content-Encoding: gzip"),
            f"GET /echo HTTP/1.1\r\nHost: a\r\n{from_there}\r\n\r\n".encode(),
            f"GET /nothing HTTP/1.1\r\nHost: a\r\n{from_there}\r\n\r\n".encode(),
        ]
        for raw, status in zip(asked, (200, 200, 415, 405, 404), strict=True):
            answer = door.ask(raw)
            assert (answer.status, answer.headers["access-control-allow-origin"]) == (status, GOOD)
            assert "x-wayline-request-id" in answer.headers["access-control-expose-headers"]
            assert answer.headers["vary"] == "Origin"


def test_other_origins_get_the_answer_without_leave_to_read_it() -> None:
    with serving(cors=Cors((GOOD,))) as door:
        for more in ((f"Origin: {EVIL}",), ()):
            answer = door.ask(post("/echo", b"{}", *more))
            assert answer.status == 200
            assert "access-control-allow-origin" not in answer.headers
            assert answer.headers["vary"] == "Origin"


def test_a_star_stands_for_any_origin() -> None:
    with serving(cors=Cors(("*",))) as door:
        assert preflight(door, "/echo", EVIL).headers["access-control-allow-origin"] == "*"
        answer = door.ask(post("/echo", b"{}", f"Origin: {EVIL}"))
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "vary" not in answer.headers


def test_options_without_a_preflights_headers_is_no_preflight() -> None:
    with serving(cors=Cors((GOOD,))) as door:
        assert door.ask(b"OPTIONS /echo HTTP/1.1\r\nHost: a\r\n\r\n").status == 405
