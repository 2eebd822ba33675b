"""TLS for a scripted upstream: a certificate for localhost that nothing but a test trusts."""

from __future__ import annotations

import ssl
from pathlib import Path

CERTIFICATE = Path(__file__).parent / "fixtures" / "tls" / "localhost.pem"
"""Certificate and key in one file; also what a client gives as `cafile` (or SSL_CERT_FILE) to trust it."""


def server_tls() -> ssl.SSLContext:
    """For `Upstream(script, tls=...)`. A client with default contexts refuses it: that is the TLS fault."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATE)
    return context


def trusting_tls() -> ssl.SSLContext:
    """A client's context that trusts it."""
    return ssl.create_default_context(cafile=str(CERTIFICATE))
