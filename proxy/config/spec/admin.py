"""What `admin:` may say."""

from __future__ import annotations

from proxy.config.spec.scalars import Text
from proxy.config.spec.shapes import Key, ListOf, Table
from proxy.config.values import Admin

_KEY = Text("a key of at least 16 printable characters, without spaces", r"^[!-~]{16,}$", secret=True)

ADMIN = Table(
    "admin",
    (
        Key("key", _KEY, 'The key, as "${VAR}" or "${file:/run/secrets/x}". Either this, `key_sha256` or `keys`.'),
        Key(
            "key_sha256",
            Text("64 hexadecimal digits", r"^[0-9A-Fa-f]{64}$", secret=True),
            "The key's SHA-256 in hexadecimal.",
        ),
        Key("keys", ListOf("keys", _KEY, least=1, distinct=True), "Several keys, each of them good."),
        Key(
            "path",
            Text("a path like /admin", r"^(/[A-Za-z0-9_][A-Za-z0-9._~-]*){1,4}$"),
            "Where it stands.",
            Admin(()).path,
        ),
    ),
)
