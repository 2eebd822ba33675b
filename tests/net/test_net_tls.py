"""TLS: what is checked, what is refused, and that it ends as plain connections do."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from proxy.core.call import HttpCall, Origin
from proxy.core.failure import FailureKind
from proxy.net.resolve import Address
from proxy.net.settings import NetSettings
from tests.net.raw import OK, POST, H, Peer, Upstream, answering, ask, engine, once, start, until

Run = Callable[[Coroutine[Any, Any, None]], None]
PEM = Path(__file__).parents[1] / "fixtures" / "tls" / "localhost.pem"
"""Self-signed, for localhost and 127.0.0.1, with its private key."""


def server_side() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(PEM)
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


def trusting() -> NetSettings:
    """Trusts the tests' certificate, and takes every name for this machine."""
    return NetSettings(
        tls=ssl.create_default_context(cafile=str(PEM)),
        lookup=lambda host, port: [Address(2, ("127.0.0.1", port))],
    )


def test_a_call_over_tls_speaks_http_1_1_names_its_host_and_keeps_the_connection(run: Run) -> None:
    seen: list[tuple[str | None, str | None]] = []
    names: list[str | None] = []

    async def script(peer: Peer) -> None:
        tls = peer.writer.get_extra_info("ssl_object")
        seen.append((tls.selected_alpn_protocol(), names[-1]))
        await answering(OK)(peer)

    async def main() -> None:
        context = server_side()
        context.sni_callback = lambda tls, name, _: names.append(name)
        async with Upstream(script, tls=context) as upstream, engine(trusting()) as net:
            for _ in range(3):
                assert (await ask(net, upstream.origin)).body == b"hi"
            assert upstream.accepted == 1
            assert seen == [("http/1.1", "localhost")]

    run(main())


def test_a_certificate_that_nobody_vouches_for_is_refused(run: Run) -> None:
    async def main() -> None:
        async with Upstream(answering(OK), tls=server_side()) as upstream, engine() as net:
            heard = await ask(net, upstream.origin)
            assert (heard.calls, heard.kind) == (["failure"], FailureKind.TLS)
            assert heard.failure is not None
            assert heard.failure.message == "the upstream's certificate is self-signed"
            assert net.stats()[:3] == (0, 0, 0)

    run(main())


def test_a_certificate_for_another_host_is_refused_without_naming_it(run: Run) -> None:
    async def main() -> None:
        async with Upstream(answering(OK), tls=server_side()) as upstream, engine(trusting()) as net:
            heard = await ask(net, Origin("https", "secret.example.com", upstream.port))
            assert heard.kind is FailureKind.TLS
            assert heard.failure is not None
            assert heard.failure.message == "the upstream's certificate is for another host"

    run(main())


@pytest.mark.parametrize("words", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
def test_a_peer_that_speaks_no_tls_is_a_tls_failure(run: Run, words: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.reader.read(100)
        await peer.say(words)

    async def main() -> None:
        async with Upstream(script) as upstream, engine(trusting()) as net:
            heard = await ask(net, Origin("https", "localhost", upstream.port))
            assert (heard.calls, heard.kind) == (["failure"], FailureKind.TLS)

    run(main())


async def silent(peer: Peer) -> None:
    await peer.closed()


def test_the_connect_time_covers_the_handshake(run: Run) -> None:
    async def main() -> None:
        async with Upstream(silent) as upstream, engine(trusting()) as net:
            origin = Origin("https", "localhost", upstream.port)
            heard = await ask(net, origin, connect=0.1)
            assert heard.kind is FailureKind.CONNECT_TIMEOUT
            aborted, flight = start(net, origin)
            await until(lambda: upstream.accepted == 2)
            flight.abort()
            await until(lambda: net.stats()[:3] == (0, 0, 0))
            assert aborted.calls == []

    run(main())


@pytest.mark.parametrize("polite", [True, False], ids=["close_notify", "no close_notify"])
@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (H + b"\r\nhi", None),
        (H + b"Content-Length: 9\r\n\r\nhi", FailureKind.TRUNCATED),
        (b"", FailureKind.EMPTY_REPLY),
    ],
)
def test_an_end_inside_tls_means_the_same_with_and_without_close_notify(
    run: Run, answer: bytes, kind: FailureKind | None, polite: bool
) -> None:
    async def rude(peer: Peer) -> None:
        await peer.request()
        await peer.say(answer)
        peer.writer.transport.abort()  # TCP's FIN alone

    async def main() -> None:
        async with Upstream(once(answer) if polite else rude, tls=server_side()) as upstream, engine(trusting()) as net:
            heard = await ask(net, upstream.origin)
            assert heard.kind is kind
            assert heard.body == (b"hi" if answer else b"")
            await until(lambda: net.stats().open == 0)

    run(main())


def test_abort_over_tls_is_seen_by_the_upstream_at_once(run: Run) -> None:
    async def main() -> None:
        gone = asyncio.Event()

        async def script(peer: Peer) -> None:
            await peer.request()
            await peer.say(H + b"Content-Length: 100\r\n\r\nhi")
            await peer.closed()
            gone.set()

        async with Upstream(script, tls=server_side()) as upstream, engine(trusting()) as net:
            heard, flight = start(net, upstream.origin)
            await heard.data_came.wait()
            flight.abort()
            await asyncio.wait_for(gone.wait(), 0.25)
            assert heard.calls == ["head", "data"]

    run(main())


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_abort_at_any_turn_of_connecting_leaves_nothing_open(run: Run, tls: bool) -> None:
    async def main() -> None:
        async with Upstream(silent, tls=server_side() if tls else None) as upstream, engine(trusting()) as net:
            origin = Origin("https" if tls else "http", "localhost", upstream.port)
            for turns in range(40):
                heard, flight = start(net, origin)
                for _ in range(turns):
                    await asyncio.sleep(0)
                flight.abort()
                await until(lambda: net.stats()[:3] == (0, 0, 0))
                assert heard.calls == []

    run(main())


def test_large_bodies_go_both_ways_over_tls(run: Run) -> None:
    body = b"x" * 3_000_000

    async def script(peer: Peer) -> None:
        got = await peer.request()
        await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + got[-len(body) :])
        await peer.closed()

    async def main() -> None:
        async with Upstream(script, tls=server_side()) as upstream, engine(trusting()) as net:
            assert (await ask(net, upstream.origin, HttpCall(POST.head, body))).body == body

    run(main())


def test_it_is_known_until_when_the_certificate_of_each_origin_is_good(run: Run) -> None:
    async def main() -> None:
        async with Upstream(answering(OK), tls=server_side()) as upstream, engine(trusting()) as net:
            assert net.certificates == {}
            await ask(net, upstream.origin)
            certificate = ssl._ssl._test_decode_cert(str(PEM))  # type: ignore[attr-defined]  # CPython's own, for tests
            assert net.certificates == {upstream.origin: ssl.cert_time_to_seconds(certificate["notAfter"])}

    run(main())
