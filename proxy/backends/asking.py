"""The call that asks a backend whether it is up, for nothing: at the path that it has for that, else for its models."""

from __future__ import annotations

from typing import NamedTuple

from proxy.backends.listing import listing
from proxy.backends.registry import SPECS, origin
from proxy.config.values import Backend
from proxy.core.call import HttpCall, Origin
from proxy.core.failure import FailureKind


class Asking(NamedTuple):
    """Where, and what is asked."""

    at: Origin
    call: HttpCall
    health: bool
    """It is a path that says how the server is."""


def asking(backend: Backend) -> Asking | None:
    """`None` where there is nothing that could be asked for nothing. Raises `ValueError` as `bind` does."""
    call = listing(backend)
    if call is None:
        return None
    spec = SPECS.get(backend.type)
    path = "" if spec is None else spec.health
    if path:
        _, _, fields = call.head.partition(b"\r\n")
        call = HttpCall(b"GET %b HTTP/1.1\r\n%b" % (path.encode(), fields), repeatable=True)
    return Asking(origin(backend), call, bool(path))


def judged(status: int, *, health: bool) -> tuple[bool | None, FailureKind | None]:
    """What an answer's status says: it is up (`True`), or is not, and why; `None`: neither.

    Whatever is below 500 comes from a server that works: 403 and 404 tell of what its list of models is kept from, or
    that it has none. Only 401 says that no request will be answered.
    """
    if status == 401 and not health:
        return False, FailureKind.KEY_REFUSED
    if status == 429:
        return None, FailureKind.RATE_LIMITED
    if status < 500:
        return True, None
    if status == 503:
        return False, FailureKind.LOADING if health else FailureKind.OVERLOADED
    return False, FailureKind.SERVER_ERROR
