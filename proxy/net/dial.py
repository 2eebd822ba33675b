"""Making a connection: name, TCP, the proxy's tunnel, TLS. The slow path; the caller bounds its time."""

from __future__ import annotations

import asyncio
import functools
import socket
import ssl

from proxy.core.call import Origin
from proxy.core.failure import Failure, FailureKind
from proxy.net.errors import DialFailed, HandshakeFailed
from proxy.net.proxies import Proxy
from proxy.net.race import discard, race
from proxy.net.resolve import Resolver

TUNNEL_HEAD = 16 * 1024
"""Bytes of a proxy's answer to CONNECT."""
CLOSING = 2.0
"""Seconds to wait for the peer's close_notify when a TLS connection is no longer needed."""


class Dialer:
    """Makes connections."""

    def __init__(self, resolver: Resolver, tls: ssl.SSLContext | None) -> None:
        self._resolver = resolver
        self._given = tls
        self.certificates: dict[Origin, float] = {}
        """When the certificate that was seen there last is over, in Unix seconds."""

    @functools.cached_property
    def _tls(self) -> ssl.SSLContext:
        """Made at the first need: reading the system's roots takes some 20 ms."""
        context = self._given or ssl.create_default_context()
        context.set_alpn_protocols(["http/1.1"])
        return context

    async def open(self, origin: Origin, proxy: Proxy | None, protocol: asyncio.Protocol) -> None:
        """Connect `protocol`. Raises `DialFailed` or `OSError`; then nothing stays open."""
        loop = asyncio.get_running_loop()
        if origin.uds:
            await loop.create_unix_connection(lambda: protocol, origin.uds)
            return
        if proxy is None:
            sock = await self._reach(origin.host, origin.port)
        else:
            sock = await self._through(proxy, origin)
        if origin.scheme != "https":
            await loop.create_connection(lambda: protocol, sock=sock)
            return
        try:
            transport, _ = await loop.create_connection(
                lambda: protocol,
                sock=sock,
                ssl=self._tls,
                server_hostname=origin.host,
                ssl_shutdown_timeout=CLOSING,
            )
        except (ssl.SSLError, ConnectionError) as error:
            raise HandshakeFailed(error) from error
        certificate = transport.get_extra_info("peercert")
        if certificate:
            self.certificates[origin] = ssl.cert_time_to_seconds(certificate["notAfter"])

    async def _reach(self, host: str, port: int) -> socket.socket:
        addresses = await self._resolver.resolve(host, port)
        try:
            return await race(addresses)
        except BaseException:  # also when time is up: another address may be there by the next call
            self._resolver.forget(host, port)
            raise

    async def _through(self, proxy: Proxy, origin: Origin) -> socket.socket:
        if proxy.scheme != "http":
            raise DialFailed(Failure(FailureKind.REFUSED, "the configured proxy is of a kind that is not supported"))
        sock = await self._reach(proxy.host, proxy.port)
        if origin.scheme != "https":
            return sock
        try:
            await _tunnel(sock, proxy, origin)
        except BaseException:  # also when cancelled: the socket is nobody else's
            discard(sock)
            raise
        return sock


async def _tunnel(sock: socket.socket, proxy: Proxy, origin: Origin) -> None:
    """Ask for a tunnel to the origin (RFC 9110 section 9.3.6)."""
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(sock, connect_request(proxy, origin))
    head = b""
    while b"\r\n\r\n" not in head:
        if len(head) > TUNNEL_HEAD:
            raise DialFailed(Failure(FailureKind.REFUSED, "the proxy's answer is too large"))
        data = await loop.sock_recv(sock, 4096)
        if not data:
            raise DialFailed(Failure(FailureKind.REFUSED, "the proxy closed the connection"))
        head += data
    line, _, _ = head.partition(b"\r\n")
    version, _, rest = line.partition(b" ")
    status = rest[:3]
    if not version.startswith(b"HTTP/1.") or not status.isdigit():
        raise DialFailed(Failure(FailureKind.REFUSED, "the proxy's answer is not HTTP"))
    if not status.startswith(b"2"):
        raise DialFailed(Failure(FailureKind.REFUSED, f"the proxy refused the tunnel (status {int(status)})"))
    if not head.endswith(b"\r\n\r\n") or head.count(b"\r\n\r\n") > 1:
        raise DialFailed(Failure(FailureKind.REFUSED, "the proxy sent more than its answer"))


def authority(origin: Origin) -> str:
    """`host:port`, an IPv6 address in brackets."""
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    return f"{host}:{origin.port}"


def connect_request(proxy: Proxy, origin: Origin) -> bytes:
    """The CONNECT request's bytes."""
    where = authority(origin)
    return f"CONNECT {where} HTTP/1.1\r\nHost: {where}\r\n".encode() + _authorization(proxy) + b"\r\n"


def forwarded(head: bytes, proxy: Proxy, origin: Origin) -> bytes:
    """The head as a proxy takes it for plain http: the whole URL in the request line (RFC 9112 section 3.2.2).

    Not CONNECT here too, since proxies commonly allow that to port 443 only (squid's `SSL_ports`).
    """
    line, _, fields = head.partition(b"\r\n")
    method, _, target = line.partition(b" ")
    return b"%s http://%s%s\r\n%s%s" % (method, authority(origin).encode(), target, _authorization(proxy), fields)


def _authorization(proxy: Proxy) -> bytes:
    if proxy.credentials is None:
        return b""
    return f"Proxy-Authorization: {proxy.credentials.reveal()}\r\n".encode()
