"""`admin:`: an API that is never open, with keys that no caller has."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from proxy.config.values import Admin

if TYPE_CHECKING:
    from tests.config.conftest import Loader

GOOD = "backends: {b: {type: ollama}}\nroutes: {r: {targets: [b/m]}}\n"
KEY = "adm-0123456789abcdef"
HEX = sha256(KEY.encode()).hexdigest()
DIGEST = sha256(KEY.encode()).digest()
OTHER = sha256(b"adm-another-0123456789").digest()


def test_without_it_there_is_none(loader: Loader) -> None:
    assert loader.good(GOOD).admin is None


@pytest.mark.parametrize(
    ("said", "admin"),
    [
        (f"{{key: {KEY}}}", Admin((DIGEST,))),
        (f"{{key_sha256: {HEX.upper()}}}", Admin((DIGEST,))),
        (f"{{keys: [{KEY}, adm-another-0123456789], path: /ops/wayline}}", Admin((DIGEST, OTHER), "/ops/wayline")),
    ],
)
def test_only_the_digest_of_its_keys_is_kept(loader: Loader, said: str, admin: Admin) -> None:
    config = loader.good(f"{GOOD}admin: {said}")
    assert config.admin == admin
    assert KEY not in repr(config)


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ("admin: {}", "expected exactly one of `key`, `key_sha256` and `keys`"),
        (f"admin: {{key: {KEY}, key_sha256: {HEX}}}", "expected exactly one of"),
        ("admin: {key: too-short}", "at least 16 printable characters"),
        ("admin: {keys: []}", "keys"),
        (f"admin: {{key: {KEY}, path: admin}}", "a path like /admin"),
        (f"admin: {{key: {KEY}, path: /admin/}}", "a path like /admin"),
        (f"admin: {{key: {KEY}, path: /a/../b}}", "a path like /admin"),
        (f"admin: {{key: {KEY}, path: /v1/admin}}", "something else stands there"),
        (f"admin: {{key: {KEY}}}\nkeys: [{{name: me, key: {KEY}}}]", "a caller has this key"),
        (f"admin: {{keys: [{KEY}]}}\nkeys: [{{name: me, key_sha256: {HEX}}}]", "a caller has this key"),
    ],
)
def test_a_mistake_is_told_without_the_key(loader: Loader, said: str, problem: str) -> None:
    told = str(loader.bad(GOOD + said))
    assert problem in told
    assert KEY not in told
    assert "too-short" not in told
