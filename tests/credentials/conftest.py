"""Calls to sign, and a clock that a test moves."""

from __future__ import annotations

from collections.abc import Awaitable

import pytest

from proxy.core.call import HttpCall
from proxy.core.credential import Credential
from proxy.core.failure import Failure


class Clock:
    """Unix time as the test says."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def call() -> HttpCall:
    return HttpCall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: example.com\r\n", b"{}")


async def signed(credential: Credential, call: HttpCall) -> HttpCall | Failure:
    """As the engine does it."""
    found = credential.sign(call)
    return await found if isinstance(found, Awaitable) else found


@pytest.fixture
def sign() -> object:
    return signed
