"""The proxy variables are read as curl reads them."""

from __future__ import annotations

import pytest

from proxy.core.call import Origin
from proxy.net.proxies import DIRECT, Proxy, proxies_from

API = Origin("https", "api.example.com", 443)
PLAIN = Origin("http", "llm.internal", 8000)


def test_without_variables_nothing_is_proxied() -> None:
    assert proxies_from({}) == DIRECT
    assert DIRECT.of(API) is None


def test_each_scheme_has_its_variable_and_all_proxy_stands_in_for_both() -> None:
    both = proxies_from({"HTTPS_PROXY": "http://a:3128", "http_proxy": "b:8080"})
    assert both.of(API) == Proxy("http", "a", 3128)
    assert both.of(PLAIN) == Proxy("http", "b", 8080)
    fallback = proxies_from({"ALL_PROXY": "http://c", "https_proxy": "http://a:1"})
    assert fallback.of(PLAIN) == Proxy("http", "c", 80)
    assert fallback.of(API) == Proxy("http", "a", 1)


def test_the_lower_case_name_goes_first() -> None:
    assert proxies_from({"HTTPS_PROXY": "http://a:1", "https_proxy": "http://b:2"}).of(API) == Proxy("http", "b", 2)


def test_credentials_are_unquoted_and_in_no_repr() -> None:
    proxies = proxies_from({"https_proxy": "http://us%40er:p%3Ass@a:1"})
    proxy = proxies.of(API)
    assert proxy is not None
    assert proxy.credentials is not None
    assert proxy.credentials.reveal() == "Basic dXNAZXI6cDpzcw=="
    assert "dXNA" not in repr(proxies)
    assert "p:ss" not in repr(proxies)


@pytest.mark.parametrize("value", ["http://", "http://user:secret@:80", "http://secret:99999999", "http://[secret"])
def test_what_is_not_a_url_is_named_without_its_value(value: str) -> None:
    with pytest.raises(ValueError, match="https_proxy") as raised:
        proxies_from({"HTTPS_PROXY": value})
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    "origin",
    [
        Origin("http", "localhost", 80),
        Origin("http", "x.localhost", 80),
        Origin("http", "127.0.0.3", 80),
        Origin("https", "::1", 443),
        Origin("http", "worker", 80, "/run/worker.sock"),
    ],
)
def test_this_machine_is_never_reached_through_a_proxy(origin: Origin) -> None:
    assert proxies_from({"all_proxy": "http://a:1"}).of(origin) is None


@pytest.mark.parametrize(
    ("entries", "host", "direct"),
    [
        ("*", "api.example.com", True),
        ("example.com", "api.example.com", True),
        (".example.com", "api.example.com", True),
        ("*.example.com", "api.example.com", True),
        ("Example.Com", "API.example.com.", True),
        ("ample.com", "api.example.com", False),
        ("api.example.com:443", "api.example.com", True),
        ("api.example.com:8443", "api.example.com", False),
        (" , other.org , example.com", "api.example.com", True),
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("10.1.2.3", "10.1.2.3", True),
        ("10.1.2.3:443", "10.1.2.3", True),
        ("fd00::/8", "fd00::5", True),
        ("[fd00::5]:443", "fd00::5", True),
        ("[fd00::5]:80", "fd00::5", False),
        ("10.0.0.0/8", "api.example.com", False),
        ("", "api.example.com", False),
    ],
)
def test_no_proxy_names_who_is_reached_directly(entries: str, host: str, direct: bool) -> None:
    proxies = proxies_from({"https_proxy": "http://a:1", "no_proxy": entries})
    assert (proxies.of(Origin("https", host, 443)) is None) is direct
