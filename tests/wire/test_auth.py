"""Who may call, and what a request is named."""

from __future__ import annotations

import json
from hashlib import sha256

import pytest

from proxy.config.values import CallerKey
from proxy.core.call import Headers
from proxy.wire.auth import Authenticator
from proxy.wire.errors import Refusal
from proxy.wire.request_id import request_id

KEYS = Authenticator((CallerKey("alice", sha256(b"sk-a").digest()), CallerKey("bob", sha256(b"sk-b").digest())))


def check(*headers: tuple[bytes, bytes]) -> str | Refusal:
    return KEYS.check(list(headers))


@pytest.mark.parametrize(
    "header",
    [
        (b"authorization", b"Bearer sk-a"),
        (b"authorization", b"bearer  sk-a "),
        (b"x-api-key", b"sk-a"),
        (b"api-key", b"sk-a"),
    ],
)
def test_a_key_is_taken_in_every_form_that_clients_send(header: tuple[bytes, bytes]) -> None:
    assert check((b"host", b"a"), header) == "alice"


def test_each_key_has_its_name() -> None:
    assert check((b"authorization", b"Bearer sk-b")) == "bob"


def test_authorization_goes_before_other_headers() -> None:
    assert check((b"x-api-key", b"sk-b"), (b"authorization", b"Bearer sk-a")) == "alice"
    refused = check((b"x-api-key", b"sk-a"), (b"authorization", b"Bearer wrong"))
    assert isinstance(refused, Refusal)


WRONG: list[list[tuple[bytes, bytes]]] = [
    [],
    [(b"authorization", b"Bearer")],
    [(b"authorization", b"Bearer ")],
    [(b"authorization", b"Basic sk-a")],
    [(b"authorization", b"sk-a")],
    [(b"authorization", b"Bearer sk-A")],
    [(b"authorization", b"Bearer sk-a\xff")],
    [(b"api-key", b"")],
]


@pytest.mark.parametrize("headers", WRONG)
def test_without_a_right_key_it_is_a_401_with_a_challenge_that_does_not_repeat_the_key(headers: Headers) -> None:
    refused = KEYS.check(headers)
    assert isinstance(refused, Refusal)
    assert refused.status == 401
    assert b"www-authenticate: Bearer\r\n" in refused.headers_for("r")
    error = json.loads(refused.body)["error"]
    assert error["type"] == "invalid_request_error"
    assert error["code"] in ("invalid_api_key", "missing_api_key")
    assert b"sk-" not in refused.body


def test_without_configured_keys_everyone_passes_without_a_name() -> None:
    anyone = Authenticator(())
    assert anyone.check([]) == ""
    assert anyone.check([(b"authorization", b"Bearer whatever")]) == ""


@pytest.mark.parametrize("given", [b"a", b"req-1", b"0:1.2_3-4", b"x" * 128])
def test_a_sane_request_id_is_taken_over(given: bytes) -> None:
    assert request_id({b"x-request-id": given}) == given.decode()


@pytest.mark.parametrize("given", [b"", b"x" * 129, b"a b", b"a\tb", b"\xc3\xa9", b'"', b"<script>", b"a/b"])
def test_any_other_request_id_is_replaced(given: bytes) -> None:
    made = request_id({b"x-request-id": given})
    assert made.startswith("req_")
    assert request_id({b"x-request-id": made.encode()}) == made


def test_no_two_requests_get_the_same_id() -> None:
    assert len({request_id({}) for _ in range(1000)}) == 1000
