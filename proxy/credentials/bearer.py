"""A bearer token (RFC 6750 section 2.1) on each call."""

from __future__ import annotations

import re
from collections.abc import Awaitable

from proxy.core.call import HttpCall
from proxy.core.failure import Failure
from proxy.credentials.kept import Kept

_TOKEN = re.compile(r"[!-~]{1,16384}")


def is_token(text: str) -> bool:
    """Can it stand in a header?"""
    return _TOKEN.fullmatch(text) is not None


class Bearer:
    """Adds `Authorization: Bearer …` to a call's head; see `proxy.core.credential.Credential`."""

    __slots__ = ("_tokens",)

    def __init__(self, tokens: Kept[str]) -> None:
        self._tokens = tokens

    def __repr__(self) -> str:
        return "Bearer()"

    def sign(self, call: HttpCall) -> HttpCall | Awaitable[HttpCall | Failure]:
        token = self._tokens.get()
        return self._later(call) if token is None else _with(call, token)

    async def _later(self, call: HttpCall) -> HttpCall | Failure:
        token = await self._tokens.wait()
        return token if isinstance(token, Failure) else _with(call, token)


def _with(call: HttpCall, token: str) -> HttpCall:
    head = call.head + b"Authorization: Bearer " + token.encode("ascii") + b"\r\n"
    return HttpCall(head, call.body, repeatable=call.repeatable)
