"""The admin API's part of a configuration: what must hold, and its values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any

from proxy.config.check import Found
from proxy.config.problem import Problem
from proxy.config.values import Admin

WAYS = ("key", "key_sha256", "keys")
TAKEN = frozenset(
    {"v1", "healthz", "readyz", "metrics", "models", "chat", "completions", "embeddings", "messages", "responses"}
)
"""First parts of paths at which something else stands."""


def admin_problems(top: Found) -> Iterator[Problem]:
    """Of `admin:` by itself, and beside the keys of callers."""
    admin = top.get("admin")
    if admin is None:
        return
    given = [name for name in WAYS if name in admin.value]
    if len(given) != 1:
        yield Problem(admin.mark, "admin", "expected exactly one of `key`, `key_sha256` and `keys`")
    path = admin.get("path")
    if path and path.value.split("/")[1].lower() in TAKEN:
        yield Problem(path.mark, "admin.path", "something else stands there: expected another path")
    callers = {digest for key in _each(top.get("keys")) for digest in _digests(key)}
    if callers.intersection(_digests(admin)):
        yield Problem(admin.mark, "admin", "a caller has this key: expected one that no caller has")


def admin_of(plain: Mapping[str, Any]) -> Admin:
    """The values of an `admin:` without problems."""
    named = [plain[name] for name in ("key",) if name in plain] + list(plain.get("keys", ()))
    digests = [sha256(key.encode()).digest() for key in named]
    digests += [bytes.fromhex(plain[name]) for name in ("key_sha256",) if name in plain]
    return Admin(tuple(digests), plain.get("path", Admin(()).path))


def _each(keys: Found | None) -> Iterator[Found]:
    yield from (key for key in (keys.value if keys else ()) if key is not None)


def _digests(of: Found) -> Iterator[bytes]:
    """Of an `admin:` or of a caller's key."""
    hashed, key, several = of.get("key_sha256"), of.get("key"), of.get("keys")
    if hashed is not None:
        yield bytes.fromhex(hashed.value)
    for one in (key, *_each(several)):
        if one is not None:
            yield sha256(one.value.encode()).digest()
