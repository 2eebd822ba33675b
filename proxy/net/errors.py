"""The one map from I/O errors to `Failure`. No message holds a host name, an address, a URL or a key."""

from __future__ import annotations

import errno
import socket
import ssl

from proxy.core.failure import Failure, FailureKind

MALFORMED = Failure(FailureKind.MALFORMED, "the upstream's answer is not valid HTTP/1.1")
HEAD_TOO_LARGE = Failure(FailureKind.OVERSIZE, "the upstream's response head is too large")
FRAMING_TOO_LARGE = Failure(FailureKind.OVERSIZE, "the upstream sends chunk framing without end")
BOMB = Failure(FailureKind.OVERSIZE, "the upstream's compressed answer expands beyond all bounds")
ENCODING = Failure(FailureKind.MALFORMED, "the upstream's answer has a content encoding that was not asked for")
COMPRESSION = Failure(FailureKind.MALFORMED, "the upstream's compressed answer is broken")
TRUNCATED = Failure(FailureKind.TRUNCATED, "the upstream closed the connection in the middle of its answer")
EMPTY_REPLY = Failure(FailureKind.EMPTY_REPLY, "the upstream closed the connection without an answer")
RESET = Failure(FailureKind.RESET, "the connection to the upstream broke")
POOL_FULL = Failure(FailureKind.BUSY, "too many connections to this upstream are open")
DEFECT = Failure(FailureKind.INTERNAL, "the proxy failed to make a connection")
CLOSED = Failure(FailureKind.DRAINING, "the proxy is shutting down")

_NO_RESOURCES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL})

# X509_V_ERR_* of OpenSSL. Its own texts may name the host ("certificate is not valid for 'x'"), so they are not used.
_CERTIFICATE = {
    9: "is not valid yet",
    10: "has expired",
    18: "is self-signed",
    19: "is signed by an unknown authority",
    20: "is signed by an unknown authority",
    21: "is signed by an unknown authority",
    62: "is for another host",
    64: "is for another address",
}


class DialFailed(Exception):
    """No connection could be made, for a reason that no exception of the standard library states."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class HandshakeFailed(DialFailed):
    """TLS was refused by either side."""

    def __init__(self, error: OSError) -> None:
        super().__init__(Failure(FailureKind.TLS, _handshake(error)))


def _handshake(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the upstream's certificate {_CERTIFICATE.get(error.verify_code, 'was not accepted')}"
    if isinstance(error, ssl.SSLError):
        reason = getattr(error, "reason", None)  # OpenSSL's name for it; an error made in Python has none
        return f"the TLS handshake failed ({(reason or 'unknown reason').replace('_', ' ').lower()})"
    return "the upstream closed the connection during the TLS handshake"


def dial_failure(error: DialFailed | OSError) -> Failure:
    """What it means that a connection could not be made: nothing was sent, so nothing can have been billed."""
    if isinstance(error, DialFailed):
        return error.failure
    if isinstance(error, TimeoutError):
        return Failure(FailureKind.CONNECT_TIMEOUT, "no connection to the upstream within the connect timeout")
    if isinstance(error, socket.gaierror):
        return Failure(FailureKind.DNS, "the upstream's name could not be resolved")
    if isinstance(error, ssl.SSLError):
        return Failure(FailureKind.TLS, _handshake(error))
    if error.errno in _NO_RESOURCES:
        return Failure(FailureKind.BUSY, "this machine has no socket left for another connection")
    if isinstance(error, ConnectionRefusedError):
        return Failure(FailureKind.REFUSED, "the upstream refused the connection")
    if isinstance(error, FileNotFoundError | PermissionError):
        return Failure(FailureKind.REFUSED, "the upstream's socket is not there or not ours to open")
    if isinstance(error, ConnectionError):
        return Failure(FailureKind.REFUSED, "the upstream closed the connection while it was being opened")
    return Failure(FailureKind.REFUSED, "the upstream cannot be reached")


def ended_cleanly(error: Exception | None) -> bool:
    """The peer sent EOF. One inside TLS without close_notify counts too: many servers end so (RFC 9112 section 9.8)."""
    return error is None or isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError)


def lost(error: Exception | None, *, heard: bool) -> Failure:
    """What it means that a connection ended under a call. `heard`: some byte of the response had come."""
    if not ended_cleanly(error):
        return RESET
    return TRUNCATED if heard else EMPTY_REPLY
