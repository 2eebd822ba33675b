"""Who may call, and what a request is named."""

from __future__ import annotations

import json
from hashlib import sha256

import pytest

from proxy.config.values import CallerKey
from proxy.core.call import Headers
from proxy.core.key import ANYONE, EXPIRED, REPLACED, REVOKED, Key, Known
from proxy.wire import auth
from proxy.wire.auth import Authenticator, not_allowed
from proxy.wire.errors import Refusal
from proxy.wire.request_id import request_id

KEYS = Authenticator((CallerKey("alice", sha256(b"sk-a").digest()), CallerKey("bob", sha256(b"sk-b").digest())))


def check(*headers: tuple[bytes, bytes]) -> str | Refusal:
    found = KEYS.check(dict(headers))
    return found if isinstance(found, Refusal) else found.name


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
    refused = KEYS.check(dict(headers))
    assert isinstance(refused, Refusal)
    assert refused.status == 401
    assert b"www-authenticate: Bearer\r\n" in refused.headers_for("r")
    error = json.loads(refused.body)["error"]
    assert error["type"] == "invalid_request_error"
    assert error["code"] in ("invalid_api_key", "missing_api_key")
    assert b"sk-" not in refused.body


def test_without_configured_keys_everyone_passes_without_a_name() -> None:
    anyone = Authenticator(())
    assert anyone.check({}) == ANYONE
    assert anyone.check({b"authorization": b"Bearer whatever"}) == ANYONE


class Shelf:
    """Keys that come and go."""

    def __init__(self, **known: Known) -> None:
        self.by_digest = {sha256(secret.encode()).digest(): one for secret, one in known.items()}
        self.some = bool(known)
        self.looked = 0

    def find(self, digest: bytes) -> Known | None:
        self.looked += 1
        return self.by_digest.get(digest)


def presenting(secret: str) -> Headers:
    return [(b"authorization", b"Bearer " + secret.encode())]


def test_keys_of_the_file_and_of_the_table_are_good_together() -> None:
    shelf = Shelf(wl=Known(Key("carol", frozenset({"chat"}))))
    both = Authenticator((CallerKey("alice", sha256(b"sk-a").digest()),), shelf)
    names = []
    for secret in ("sk-a", "wl"):
        found = both.check(dict(presenting(secret)))
        assert isinstance(found, Key)
        names.append((found.name, found.may("chat"), found.may("other")))
    assert names == [("alice", True, True), ("carol", True, False)]
    assert shelf.looked == 1, "a key of the file needs no look into the table"


@pytest.mark.parametrize(
    ("why", "words"),
    [(EXPIRED, "has expired"), (REVOKED, "was revoked"), (REPLACED, "was changed for another")],
)
def test_only_whoever_has_the_key_is_told_what_became_of_it(why: str, words: str) -> None:
    table = Authenticator((), Shelf(old=Known(Key("carol"), 1_000_000_000.0, why)))
    refused = table.check(dict(presenting("old")))
    assert isinstance(refused, Refusal) and refused.status == 401
    error = json.loads(refused.body)["error"]
    assert (error["code"], error["message"]) == (f"api_key_{why}", f"This API key {words} (2001-09-09 01:46 UTC).")
    other = table.check(dict(presenting("other")))
    assert isinstance(other, Refusal) and json.loads(other.body)["error"]["code"] == "invalid_api_key"


def test_a_key_that_ends_later_is_good_until_then() -> None:
    later = Authenticator((), Shelf(wl=Known(Key("carol"), 32_503_680_000.0, EXPIRED)))
    assert later.check(dict(presenting("wl"))) == Key("carol")


def test_once_there_was_a_key_nobody_passes_without_one_though_it_has_ended() -> None:
    ended = Authenticator((), Shelf(wl=Known(Key("carol"), 1.0, REVOKED)))
    refused = ended.check({})
    assert isinstance(refused, Refusal) and refused.status == 401
    assert Authenticator((), Shelf()).check({}) == ANYONE


def test_ten_thousand_keys_cost_one_look() -> None:
    shelf = Shelf(**{f"wl{place}": Known(Key(f"k{place}")) for place in range(10_000)})
    assert Authenticator((), shelf).check(dict(presenting("wl9999"))) == Key("k9999")
    assert shelf.looked == 1


def test_a_key_that_was_good_before_is_looked_up_again_and_refused_when_it_is_not_any_more() -> None:
    shelf = Shelf(wl=Known(Key("carol")))
    table = Authenticator((), shelf)
    assert table.check(dict(presenting("wl"))) == table.check(dict(presenting("wl"))) == Key("carol")
    assert shelf.looked == 2
    shelf.by_digest.clear()
    refused = table.check(dict(presenting("wl")))
    assert isinstance(refused, Refusal) and json.loads(refused.body)["error"]["code"] == "invalid_api_key"


def test_a_header_that_came_with_a_good_key_in_another_is_no_key() -> None:
    table = Authenticator((), Shelf(wl=Known(Key("carol"))))
    for value in (b"Basic d2w6", b"Bearer ", b"wl"):
        assert table.check({b"authorization": value, b"x-api-key": b"wl"}) == Key("carol")
        assert isinstance(table.check({b"authorization": value}), Refusal)
    assert isinstance(table.check({b"authorization": b"Bearer other", b"x-api-key": b"wl"}), Refusal)


def test_what_is_kept_of_headers_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "MOST_SEEN", 3)
    table = Authenticator((), Shelf(**{f"wl{place}": Known(Key(f"k{place}")) for place in range(20)}))
    for _ in range(2):
        for place in range(20):
            assert table.check(dict(presenting(f"wl{place}"))) == Key(f"k{place}")
            assert len(table._digests) <= 3


def test_a_route_that_is_none_of_the_keys_is_a_403_that_names_its_own() -> None:
    refused = not_allowed(Key("carol", frozenset({"chat", "small"})), "big")
    error = json.loads(refused.body)["error"]
    assert (refused.status, error["code"], error["param"]) == (403, "model_not_allowed", "model")
    assert error["message"] == "This API key may not use the model 'big'. It may use: chat, small."


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
