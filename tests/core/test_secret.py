"""A secret is in nothing that prints, copies or sends it."""

from __future__ import annotations

import pickle

import pytest

from proxy.core.call import HttpCall
from proxy.core.secret import Secret

KEY = "sk-verysecret"


def test_no_printed_form_tells_it() -> None:
    secret = Secret(KEY)
    shown = f"{secret} {secret!r} {secret!s} {[secret]} { ({'k': secret}) }"
    assert KEY not in shown
    assert "***" in shown
    assert secret.reveal() == KEY


def test_it_is_compared_and_counted_as_what_it_hides() -> None:
    assert Secret(KEY) == Secret(KEY)
    assert Secret(KEY) != Secret("other")
    assert Secret(KEY) != KEY
    assert len({Secret(KEY), Secret(KEY)}) == 1
    assert not Secret("")


def test_it_is_not_pickled() -> None:
    with pytest.raises(TypeError):
        pickle.dumps(Secret(KEY))


def test_a_call_shows_where_it_goes_but_not_its_head() -> None:
    call = HttpCall(f"POST /v1/x HTTP/1.1\r\nAuthorization: Bearer {KEY}\r\n".encode(), b"prompt")
    assert repr(call) == "HttpCall('POST /v1/x HTTP/1.1', 6 bytes)"
