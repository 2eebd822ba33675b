"""Calls through a forward proxy."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from proxy.core.call import Origin
from proxy.core.failure import FailureKind
from proxy.net.proxies import proxies_from
from proxy.net.resolve import Address
from proxy.net.settings import NetSettings
from tests.net.raw import OK, Peer, Upstream, answering, ask, engine, start, until

Run = Callable[[Coroutine[Any, Any, None]], None]
PEM = Path(__file__).parents[1] / "fixtures" / "tls" / "localhost.pem"
API = Origin("https", "api.example.com", 443)


class ForwardProxy:
    """A small forward proxy: tunnels every CONNECT to one upstream, whatever it names."""

    def __init__(self, answer: bytes = b"HTTP/1.1 200 Connection established\r\nVia: me\r\n\r\n") -> None:
        self._answer = answer
        self.target_port = 0
        self.asked: list[bytes] = []

    async def __call__(self, peer: Peer) -> None:
        self.asked.append(await peer.reader.readuntil(b"\r\n\r\n"))
        await peer.say(self._answer)
        if not self._answer.startswith(b"HTTP/1.1 200") or not self.target_port:
            return
        reader, writer = await asyncio.open_connection("127.0.0.1", self.target_port)
        try:
            await asyncio.gather(pump(peer.reader, writer), pump(reader, peer.writer))
        finally:
            writer.close()


async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while data := await source.read(65536):
        sink.write(data)
        await sink.drain()
    sink.close()


def through(port: int, userinfo: str = "") -> NetSettings:
    """Everything goes through the proxy at this port; localhost's certificate is taken for every host."""
    context = ssl.create_default_context(cafile=str(PEM))
    context.check_hostname = False
    return NetSettings(
        tls=context,
        proxies=proxies_from({"ALL_PROXY": f"http://{userinfo}127.0.0.1:{port}"}),
        lookup=never_asked,
    )


def never_asked(host: str, port: int) -> list[Address]:
    raise AssertionError("a name behind a proxy is the proxy's to look up")


def server_side() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(PEM)
    return context


def test_https_goes_through_a_tunnel_that_is_kept_like_a_connection(run: Run) -> None:
    async def main() -> None:
        tunnel = ForwardProxy()
        async with Upstream(answering(OK), tls=server_side()) as upstream, Upstream(tunnel) as proxy:
            tunnel.target_port = upstream.port
            async with engine(through(proxy.port, "us%3Aer:pass@")) as net:
                for _ in range(2):
                    assert (await ask(net, API)).body == b"hi"
        assert tunnel.asked == [
            b"CONNECT api.example.com:443 HTTP/1.1\r\nHost: api.example.com:443\r\n"
            b"Proxy-Authorization: Basic dXM6ZXI6cGFzcw==\r\n\r\n"
        ]

    run(main())


def test_the_tunnels_end_must_show_the_right_certificate(run: Run) -> None:
    async def main() -> None:
        tunnel = ForwardProxy()
        async with Upstream(answering(OK), tls=server_side()) as upstream, Upstream(tunnel) as proxy:
            tunnel.target_port = upstream.port
            settings = NetSettings(
                tls=ssl.create_default_context(cafile=str(PEM)),
                proxies=proxies_from({"https_proxy": f"http://127.0.0.1:{proxy.port}"}),
            )
            async with engine(settings) as net:
                assert (await ask(net, API)).kind is FailureKind.TLS

    run(main())


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "refused the tunnel (status 407)"),
        (b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 ", "more than its answer"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\n", "closed the connection"),
        (b"HTTP/1.1 200 OK\r\nA: " + b"b" * 20_000, "too large"),
    ],
)
def test_a_proxy_that_gives_no_tunnel_is_a_refusal_that_says_so(run: Run, answer: bytes, words: str) -> None:
    async def main() -> None:
        async with Upstream(ForwardProxy(answer)) as proxy, engine(through(proxy.port, "user:pass@")) as net:
            heard = await ask(net, API)
            assert (heard.calls, heard.kind) == (["failure"], FailureKind.REFUSED)
            assert heard.failure is not None
            assert words in heard.failure.message
            assert "pass" not in heard.failure.message
            assert net.stats()[:3] == (0, 0, 0)

    run(main())


def test_the_connect_time_covers_the_tunnel(run: Run) -> None:
    async def script(peer: Peer) -> None:
        await peer.closed()

    async def main() -> None:
        async with Upstream(script) as proxy, engine(through(proxy.port)) as net:
            assert (await ask(net, API, connect=0.05)).kind is FailureKind.CONNECT_TIMEOUT
            aborted, flight = start(net, API)
            await until(lambda: proxy.accepted == 2)
            flight.abort()
            await until(lambda: net.stats().connecting == 0)
            assert aborted.calls == []

    run(main())


def test_plain_http_is_asked_of_the_proxy_by_the_whole_url(run: Run) -> None:
    seen: list[bytes] = []

    async def script(peer: Peer) -> None:
        for _ in range(2):
            seen.append(await peer.request())
            await peer.say(OK)
        await peer.closed()

    async def main() -> None:
        async with Upstream(script) as proxy, engine(through(proxy.port, "user:pass@")) as net:
            assert (await ask(net, Origin("http", "llm.internal", 8000))).body == b"hi"
            assert (await ask(net, Origin("http", "llm.internal", 8000))).body == b"hi"
            assert proxy.accepted == 1
        assert seen[0] == seen[1]
        assert seen[0] == (
            b"POST http://llm.internal:8000/v1/x HTTP/1.1\r\nProxy-Authorization: Basic dXNlcjpwYXNz\r\n"
            b'Host: upstream\r\ncontent-length: 7\r\n\r\n{"a":1}'
        )

    run(main())


def test_a_proxy_of_another_kind_is_not_gone_around(run: Run) -> None:
    async def main() -> None:
        settings = NetSettings(proxies=proxies_from({"all_proxy": "socks5://127.0.0.1:1080"}), lookup=never_asked)
        async with engine(settings) as net:
            heard = await ask(net, API)
            assert heard.kind is FailureKind.REFUSED
            assert heard.failure is not None
            assert "not supported" in heard.failure.message

    run(main())
