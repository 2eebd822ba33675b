"""Every I/O error has one meaning, and no message gives away where a backend is."""

from __future__ import annotations

import errno
import socket
import ssl

import pytest

from proxy.core.failure import FailureKind
from proxy.net import errors
from proxy.net.errors import HandshakeFailed, dial_failure, lost


def certificate_error(code: int) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed: not valid for 'secret.example.com'")
    error.verify_code = code
    error.verify_message = "Hostname mismatch, certificate is not valid for 'secret.example.com'."
    return error


CASES: list[tuple[errors.DialFailed | OSError, FailureKind]] = [
    (socket.gaierror(socket.EAI_NONAME, "secret.example.com"), FailureKind.DNS),
    (ConnectionRefusedError(errno.ECONNREFUSED, "('10.1.2.3', 443)"), FailureKind.REFUSED),
    (OSError(errno.EHOSTUNREACH, "10.1.2.3"), FailureKind.REFUSED),
    (OSError(errno.ENETUNREACH, "10.1.2.3"), FailureKind.REFUSED),
    (ConnectionResetError(), FailureKind.REFUSED),
    (FileNotFoundError(errno.ENOENT, "no", "/run/secret.example.com"), FailureKind.REFUSED),
    (PermissionError(errno.EACCES, "no", "/run/secret.example.com"), FailureKind.REFUSED),
    (TimeoutError(), FailureKind.CONNECT_TIMEOUT),
    (TimeoutError(errno.ETIMEDOUT, "10.1.2.3"), FailureKind.CONNECT_TIMEOUT),
    (OSError(errno.EMFILE, "too many"), FailureKind.BUSY),
    (OSError(errno.EADDRNOTAVAIL, "10.1.2.3"), FailureKind.BUSY),
    (certificate_error(62), FailureKind.TLS),
    (HandshakeFailed(certificate_error(10)), FailureKind.TLS),
    (HandshakeFailed(certificate_error(999)), FailureKind.TLS),
    (HandshakeFailed(ssl.SSLError(1, "[SSL] 10.1.2.3")), FailureKind.TLS),
    (HandshakeFailed(ConnectionResetError("10.1.2.3")), FailureKind.TLS),
]


@pytest.mark.parametrize(("error", "kind"), CASES)
def test_what_kept_a_connection_from_being_made(error: errors.DialFailed | OSError, kind: FailureKind) -> None:
    failure = dial_failure(error)
    assert failure.kind is kind
    for hidden in ("example", "10.", "443", "/run"):
        assert hidden not in failure.message


def test_a_certificate_that_is_refused_says_why() -> None:
    assert dial_failure(HandshakeFailed(certificate_error(10))).message == "the upstream's certificate has expired"
    assert (
        dial_failure(HandshakeFailed(certificate_error(62))).message == "the upstream's certificate is for another host"
    )


@pytest.mark.parametrize(
    ("error", "heard", "kind"),
    [
        (None, False, FailureKind.EMPTY_REPLY),
        (None, True, FailureKind.TRUNCATED),
        (ssl.SSLEOFError(), True, FailureKind.TRUNCATED),
        (ssl.SSLZeroReturnError(), False, FailureKind.EMPTY_REPLY),
        (ConnectionResetError(), False, FailureKind.RESET),
        (BrokenPipeError(), True, FailureKind.RESET),
        (ssl.SSLError(1, "bad record mac"), True, FailureKind.RESET),
        (TimeoutError(errno.ETIMEDOUT, ""), True, FailureKind.RESET),
    ],
)
def test_how_a_connection_ended_under_a_call(error: Exception | None, heard: bool, kind: FailureKind) -> None:
    assert lost(error, heard=heard).kind is kind
