"""Errors of Anthropic's (platform.claude.com, "Errors" and "Rate limits")."""

from __future__ import annotations

from proxy.backends.openai_errors import ErrorReader
from proxy.core.call import Headers
from proxy.core.failure import Failure

_LIMIT = b"anthropic-ratelimit-"
_WHAT = (b"-reset", b"-remaining", b"-limit")


class AnthropicErrors(ErrorReader):
    """The shape is OpenAI's (`error: {type, message}`), the names of the headers with the limits are not."""

    __slots__ = ()

    def failure(self, status: int, headers: Headers, body: bytes) -> Failure:
        return super().failure(status, [(_usual(name), value) for name, value in headers], body)


def _usual(name: bytes) -> bytes:
    """`anthropic-ratelimit-requests-reset` by its usual name, `x-ratelimit-reset-requests`."""
    if name.startswith(_LIMIT):
        for what in _WHAT:
            if name.endswith(what):
                return b"x-ratelimit" + what + b"-" + name[len(_LIMIT) : -len(what)]
    return name
