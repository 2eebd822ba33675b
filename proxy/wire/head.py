"""What is wrong with a request's head, beyond what the parser itself refuses. Pure.

llhttp (by httptools) already refuses bare LF, obs-fold, a space before the colon, Content-Length beside
Transfer-Encoding, two or odd Content-Lengths, and a transfer coding that does not end in `chunked`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from proxy.core.call import Headers
from proxy.wire.errors import Refusal, refusal
from proxy.wire.turn import Turn

SLASH = 0x2F
_HOST = re.compile(rb"[A-Za-z0-9._~!$&'()*+,;=%:\[\]-]+").fullmatch
_SINGLE = (b"host", b"transfer-encoding", b"content-length", b"content-type")

BAD_REQUEST = refusal(400, "The request is not valid HTTP/1.1.", "bad_http")
NO_HOST = refusal(400, "An HTTP/1.1 request must have exactly one Host header, and not an empty one.", "bad_host")
REPEATED = refusal(400, "A header that may stand only once was sent twice.", "repeated_header")
BAD_TARGET = refusal(400, "The request target must be a path, or an http URL.", "bad_target")
BAD_CODING = refusal(501, "Of transfer codings only 'chunked' is understood.", "unknown_transfer_coding")
BAD_VERSION = refusal(505, "Only HTTP/1.1 and HTTP/1.0 are spoken here.", "bad_http_version")
BAD_EXPECTATION = refusal(417, "Of expectations only '100-continue' is understood.", "bad_expectation")
NO_TUNNELS = refusal(405, "CONNECT is not served here.", "method_not_allowed", more=b"allow: GET, POST\r\n")
NOT_JSON = refusal(
    415,
    "The content type must be application/json. (With curl: -H 'Content-Type: application/json')",
    "unsupported_media_type",
)
NO_KNOWN_BODY = refusal(
    415, "The content type must be application/json or multipart/form-data.", "unsupported_media_type"
)
FOREIGN_FORM = refusal(403, "A form from a page of this origin is not taken.", "origin_not_allowed")
CODED_BODY = refusal(415, "A compressed request body is not understood.", "unsupported_content_coding")
LONG_HEAD = refusal(431, "The request's headers are too large.", "headers_too_large")
SLOW_HEAD = refusal(408, "The request's headers did not arrive in time.", "request_timeout")
SLOW_BODY = refusal(408, "The request's body did not arrive in time.", "request_timeout")
FAILED = refusal(500, "The gateway failed.", "internal_error", type_="server_error")
FULL = refusal(
    503, "Too many connections.", "too_many_connections", type_="overloaded_error", more=b"retry-after: 1\r\n"
)
LEAVING = refusal(
    503, "The gateway is shutting down.", "draining", type_="overloaded_error", more=b"retry-after: 1\r\n"
)


def too_large(limit: int) -> Refusal:
    """413 for a body above `limit` bytes."""
    return refusal(413, f"The body is larger than {limit} bytes.", "body_too_large")


def method_not_allowed(allow: bytes) -> Refusal:
    """405 for a path that takes only the methods in `allow`."""
    message = f"This path takes {allow.decode()} only."
    return refusal(405, message, "method_not_allowed", more=b"allow: %b\r\n" % allow)


def flaw(turn: Turn) -> Refusal | None:
    """Why this head is refused whatever it asks for; `None` when it is in order."""
    version, fields = turn.version, turn.fields
    if version != "1.1" and version != "1.0":
        return BAD_VERSION
    if len(fields) != len(turn.headers) and (repeated := _repeated(turn.headers)) is not None:
        return repeated
    host = fields.get(b"host")
    if (host is None and version == "1.1") or (host is not None and _HOST(host) is None):
        return NO_HOST
    if b"transfer-encoding" in fields or b"expect" in fields:
        odd = _odd_framing(version, fields)
        if odd is not None:
            return odd
    return None if turn.target[0] == SLASH else _odd_target(turn.method, turn.target)


def _odd_framing(version: str, fields: Mapping[bytes, bytes]) -> Refusal | None:
    coding = fields.get(b"transfer-encoding")
    if coding is not None:
        if version == "1.0":  # RFC 9112 section 6.1: a fault in framing
            return BAD_REQUEST
        if coding.strip().lower() != b"chunked":
            return BAD_CODING
    expected = fields.get(b"expect")
    if expected is not None and expected.lower() != b"100-continue":
        return BAD_EXPECTATION
    return None


def _repeated(headers: Headers) -> Refusal | None:
    names = [name for name, _ in headers]
    for name in _SINGLE:
        if names.count(name) > 1:
            return NO_HOST if name == b"host" else REPEATED
    return None


def _odd_target(method: bytes, target: bytes) -> Refusal | None:
    if method == b"CONNECT":
        return NO_TUNNELS
    if target[:7].lower() in (b"http://", b"https:/") or (target == b"*" and method == b"OPTIONS"):
        return None
    return BAD_TARGET


def path_of(target: bytes) -> bytes:
    """The path alone, raw. An absolute target (RFC 9112 section 3.2.2) is reduced to its path."""
    if target[0] != SLASH and target != b"*":
        rest = target.partition(b"://")[2]
        target = b"/" + rest.partition(b"/")[2]
    return target.partition(b"?")[0].partition(b"#")[0]


def content_flaw(fields: Mapping[bytes, bytes]) -> Refusal | None:
    """Why the body of a request to a hot path would not be read.

    Without a content type it is taken for JSON, but not from a browser: a page can send a body without a type, or as
    text/plain, to any address without asking first (a "simple" request), and would so reach a gateway on loopback.
    """
    kind = fields.get(b"content-type")
    if kind is None:
        if b"origin" in fields:
            return NOT_JSON
    elif kind != b"application/json" and kind.partition(b";")[0].strip().lower() != b"application/json":
        return NOT_JSON
    coding = fields.get(b"content-encoding")
    if coding is not None and coding.lower() != b"identity":
        return CODED_BODY
    return None


def is_form(kind: bytes) -> bool:
    """Is this content type that of a form?"""
    return kind.partition(b";")[0].strip().lower() == b"multipart/form-data"


def form_flaw(fields: Mapping[bytes, bytes], more: bytes) -> Refusal | None:
    """The same where a form is taken too. `more`: the header lines that say whose pages may read the reply.

    A page can send a form to any address without asking first, too: only those of an allowed origin may.
    """
    if not is_form(fields.get(b"content-type", b"")):
        wrong = content_flaw(fields)
        return NO_KNOWN_BODY if wrong is NOT_JSON else wrong
    if b"origin" in fields and b"access-control-allow-origin" not in more:
        return FOREIGN_FORM
    coding = fields.get(b"content-encoding")
    return None if coding is None or coding.lower() == b"identity" else CODED_BODY
