"""Base URLs taken apart, and the registry that binds backends to them."""

from __future__ import annotations

import pytest

from proxy.backends.head import address
from proxy.backends.registry import bind, origin
from proxy.config.values import Backend
from proxy.core.call import Origin
from proxy.core.chat import ChatRequest
from proxy.core.route import Target
from proxy.testing.conformance import prepared


def line(backend: Backend) -> str:
    body = {"model": "m", "messages": []}
    call = prepared(bind(backend, Target("b/m", "b", "m")).chat(ChatRequest(b"", body, "m", False, False))).call
    first, host = call.head.decode().split("\r\n")[:2]
    return f"{first.split()[1]} at {host.removeprefix('Host: ')}"


@pytest.mark.parametrize(
    ("url", "origin", "authority", "target"),
    [
        ("https://api.openai.com/v1", Origin("https", "api.openai.com", 443), "api.openai.com", "/v1/x"),
        ("https://api.openai.com:443/v1/", Origin("https", "api.openai.com", 443), "api.openai.com", "/v1/x"),
        ("http://h:80", Origin("http", "h", 80), "h", "/x"),
        ("http://H:8080/a/b", Origin("http", "h", 8080), "h:8080", "/a/b/x"),
        ("http://[::1]:8080/v1", Origin("http", "::1", 8080), "[::1]:8080", "/v1/x"),
        ("https://h/d?api-version=2024-06-01", Origin("https", "h", 443), "h", "/d/x?api-version=2024-06-01"),
        ("https://bücher.example/v1", Origin("https", "xn--bcher-kva.example", 443), "xn--bcher-kva.example", "/v1/x"),
    ],
)
def test_a_base_url_says_where_and_what_to_ask_for(url: str, origin: Origin, authority: str, target: str) -> None:
    found = address(url)
    assert (found.origin, found.authority, found.target("/x")) == (origin, authority, target)


@pytest.mark.parametrize(
    "url",
    ["", "api.openai.com", "ftp://h", "http://", "http://u:p@h", "http://u@h/", "http://h/#x", "http://h/a b",
     "http://h:99999", "http://h:x", "http://h/ä", "http://h\r\nX: y/"],
)  # fmt: skip
def test_a_base_url_that_cannot_be_used_is_refused(url: str) -> None:
    with pytest.raises(ValueError):  # urllib's own words are among them
        address(url)


def test_each_type_knows_where_it_usually_is() -> None:
    assert origin(Backend("b", "openai")) == Origin("https", "api.openai.com", 443)
    assert origin(Backend("b", "ollama")) == Origin("http", "127.0.0.1", 11434)
    assert line(Backend("b", "openai")) == "/v1/chat/completions at api.openai.com"
    assert line(Backend("b", "llamacpp")) == "/v1/chat/completions at local"


def test_other_hosts_are_taken_as_given() -> None:
    """Perplexity and DeepSeek have no `/v1`."""
    assert line(Backend("b", "openai", "https://api.perplexity.ai")) == "/chat/completions at api.perplexity.ai"


def test_an_unknown_type_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"'nosuch' is not a backend type; there are .*openai"):
        bind(Backend("b", "nosuch"), Target("b/m", "b", "m"))
