"""What makes a call acceptable to a backend beyond a fixed key. (A protocol only: the implementations do the I/O.)"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol

from proxy.core.call import HttpCall
from proxy.core.failure import Failure


class Credential(Protocol):
    """A token that is renewed, or a signature over the call."""

    def sign(self, call: HttpCall) -> HttpCall | Awaitable[HttpCall | Failure]:
        """The call with what it needs added to its head, at once where that can be done; else something to wait for
        (a token is being fetched). Waiting can be cancelled freely. A `Failure` is of kind KEY_REFUSED."""
        ...
