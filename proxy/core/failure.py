"""What went wrong, and what follows from it: the verdict table. Every decision about a failure is read from here."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import NamedTuple

from proxy.core.limiting.values import Rooms


class FailureKind(Enum):
    """What went wrong with an attempt. The value is the word in ledger, metrics and logs."""

    REFUSED = "refused"
    DNS = "dns"
    TLS = "tls"
    CONNECT_TIMEOUT = "connect_timeout"
    RESET = "reset"
    EMPTY_REPLY = "empty_reply"
    FIRST_TIMEOUT = "first_timeout"
    IDLE_TIMEOUT = "idle_timeout"
    STALLED = "stalled"
    TOTAL_TIMEOUT = "total_timeout"
    TRUNCATED = "truncated"
    DIVERGED = "diverged"
    MALFORMED = "malformed"
    WRONG_TYPE = "wrong_content_type"
    OVERSIZE = "oversize"
    EMPTY_ANSWER = "empty_answer"
    RATE_LIMITED = "rate_limited"
    QUOTA = "quota"
    KEY_REFUSED = "key_refused"
    NOT_FOUND = "model_not_found"
    REDIRECT = "redirect"
    OVERLOADED = "overloaded"
    LOADING = "loading"
    SERVER_ERROR = "server_error"
    CONTEXT_LENGTH = "context_length"
    UNSUPPORTED = "unsupported"
    BAD_REQUEST = "bad_request"
    FILTERED = "content_filter"
    TOOL_USE = "tool_use_failed"
    CLIENT_GONE = "client_gone"
    BUSY = "busy"
    DRAINING = "draining"
    NOT_AVAILABLE = "not_available"
    BUDGET = "budget"
    UNBOUNDED = "unbounded_cost"
    WORKER_CRASHED = "worker_crashed"
    INTERNAL = "internal"


class Blame(Enum):
    """Whose doing it was."""

    TARGET = "target"
    CONFIG = "config"
    CLIENT = "client"
    US = "us"
    NOBODY = "nobody"


class Elsewhere(Enum):
    """May another target be tried while no content has gone to the client?"""

    YES = "yes"
    NO = "no"
    BY_ROUTE = "by_route"
    """Only where the route says so (`on_filter: next`)."""


class Verdict(NamedTuple):
    """What follows from a failure. Durations in seconds."""

    elsewhere: Elsewhere
    blame: Blame
    counts: bool
    """It feeds the target's circuit."""
    cooldown: float
    """The target is left alone this long when the upstream named no time itself; 0: not at all."""
    again: bool
    """The same target may be tried again, within the route's `retry`."""
    maybe_billed: bool
    status: int
    """What the client gets when this was the last word."""
    type: str
    code: str
    rank: int
    """Of several failures the one with the highest rank is the most useful to the caller."""


def _target(
    status: int, code: str, rank: int, *, again: bool = False, billed: bool = False, cooldown: float = 0.0
) -> Verdict:
    return Verdict(Elsewhere.YES, Blame.TARGET, True, cooldown, again, billed, status, "upstream_error", code, rank)


def _config(status: int, type_: str, code: str, rank: int, cooldown: float) -> Verdict:
    return Verdict(Elsewhere.YES, Blame.CONFIG, False, cooldown, False, False, status, type_, code, rank)


def _request(
    elsewhere: Elsewhere, blame: Blame, code: str, rank: int, *, type_: str = "invalid_request_error"
) -> Verdict:
    return Verdict(elsewhere, blame, False, 0.0, False, False, 400, type_, code, rank)


def _ours(elsewhere: Elsewhere, code: str, rank: int) -> Verdict:
    return Verdict(elsewhere, Blame.US, False, 0.0, False, False, 503, "overloaded_error", code, rank)


K = FailureKind
VERDICTS: dict[FailureKind, Verdict] = {
    K.REFUSED: _target(502, "upstream_unreachable", 20),
    K.DNS: _target(502, "upstream_unreachable", 20),
    K.TLS: _target(502, "upstream_unreachable", 20),
    K.CONNECT_TIMEOUT: _target(504, "upstream_timeout", 21),
    K.RESET: _target(502, "upstream_reset", 30, again=True, billed=True),
    K.EMPTY_REPLY: _target(502, "upstream_reset", 30, again=True, billed=True),
    K.FIRST_TIMEOUT: _target(504, "upstream_timeout", 35, billed=True),
    K.IDLE_TIMEOUT: _target(504, "upstream_timeout", 35, billed=True),
    K.STALLED: _target(504, "upstream_timeout", 35, billed=True),
    K.TOTAL_TIMEOUT: Verdict(  # a long answer that comes steadily is nobody's fault; a slow one has its own kinds
        Elsewhere.YES, Blame.NOBODY, False, 0.0, False, True, 504, "upstream_error", "deadline_exceeded", 36
    ),
    K.TRUNCATED: _target(502, "upstream_truncated", 32, again=True, billed=True),
    K.MALFORMED: _target(502, "upstream_malformed", 32, again=True, billed=True),
    K.WRONG_TYPE: _target(502, "upstream_malformed", 31, billed=True),
    K.OVERSIZE: _target(502, "upstream_oversize", 31, billed=True),
    K.EMPTY_ANSWER: _target(502, "upstream_empty", 31, again=True, billed=True),
    K.RATE_LIMITED: Verdict(
        Elsewhere.YES,
        Blame.NOBODY,
        False,
        5.0,
        True,
        False,
        429,
        "rate_limit_error",
        "rate_limit_exceeded",
        60,
    ),
    K.QUOTA: _config(429, "insufficient_quota", "insufficient_quota", 55, 900.0),
    K.KEY_REFUSED: _config(502, "upstream_error", "upstream_auth", 10, 300.0),
    K.NOT_FOUND: _config(502, "upstream_error", "upstream_model_not_found", 11, 300.0),
    K.REDIRECT: _config(502, "upstream_error", "upstream_redirect", 10, 300.0),
    K.OVERLOADED: Verdict(
        Elsewhere.YES,
        Blame.TARGET,
        True,
        0.0,
        True,
        False,
        503,
        "overloaded_error",
        "upstream_overloaded",
        50,
    ),
    K.DIVERGED: Verdict(
        Elsewhere.YES, Blame.NOBODY, False, 0.0, False, True, 502, "upstream_error", "upstream_truncated", 12
    ),
    K.LOADING: Verdict(
        Elsewhere.YES, Blame.NOBODY, False, 0.0, True, False, 503, "overloaded_error", "model_loading", 45
    ),
    K.SERVER_ERROR: _target(502, "upstream_error", 33, again=True),
    K.CONTEXT_LENGTH: _request(Elsewhere.YES, Blame.NOBODY, "context_length_exceeded", 80),
    K.UNSUPPORTED: _request(Elsewhere.YES, Blame.NOBODY, "unsupported_parameter", 80),
    K.BAD_REQUEST: _request(Elsewhere.NO, Blame.CLIENT, "bad_request", 90),
    K.FILTERED: _request(Elsewhere.BY_ROUTE, Blame.NOBODY, "content_filter", 85),
    K.TOOL_USE: Verdict(
        Elsewhere.YES, Blame.NOBODY, False, 0.0, True, True, 400, "invalid_request_error", "tool_use_failed", 70
    ),
    K.CLIENT_GONE: Verdict(Elsewhere.NO, Blame.NOBODY, False, 0.0, False, False, 499, "cancelled", "client_gone", 100),
    K.BUSY: _ours(Elsewhere.YES, "queue_full", 40),
    K.DRAINING: _ours(Elsewhere.NO, "draining", 41),
    K.NOT_AVAILABLE: _config(503, "overloaded_error", "not_available", 9, 0.0),
    # Ranked below what upstreams do: an outage is never told as the caller's having spent too much.
    K.BUDGET: Verdict(
        Elsewhere.YES, Blame.CLIENT, False, 0.0, False, False, 429, "insufficient_quota", "budget_exceeded", 8
    ),
    K.UNBOUNDED: _request(Elsewhere.YES, Blame.CLIENT, "max_tokens_required", 7),
    K.WORKER_CRASHED: _target(502, "worker_crashed", 33, billed=False),
    K.INTERNAL: Verdict(Elsewhere.NO, Blame.US, False, 0.0, False, False, 500, "server_error", "internal_error", 95),
}
"""One row for each kind. The sources of the rows are in proxy/DESIGN.md."""


class Failure(NamedTuple):
    """One thing that went wrong. `message` is for the caller: no key, no backend address, no prompt."""

    kind: FailureKind
    message: str
    status: int | None = None
    """The upstream's HTTP status, where it gave one."""
    retry_after: float | None = None
    """Seconds that the upstream asked us to stay away; `None` when it named none."""
    code: str | None = None
    """The upstream's own error code, type and parameter, handed on where the caller is to blame."""
    type: str | None = None
    param: str | None = None
    ours: bool = False
    """The message is Wayline's own and meant for the caller, whatever the kind."""
    room: Rooms | None = None
    """What is left for the caller by the limits of its key."""

    @property
    def verdict(self) -> Verdict:
        """The table's row."""
        return VERDICTS[self.kind]


def most_useful(failures: Iterable[Failure]) -> Failure | None:
    """The failure to report when all targets failed: the one that helps the caller most. Of equals the first that names
    what to change in the request (`param`), else the first."""
    return max(failures, key=lambda failure: (failure.verdict.rank, failure.param is not None), default=None)


def wait_named(failures: Iterable[Failure]) -> float | None:
    """The smallest waiting time (seconds) that any of them asked for: the earliest time worth trying again."""
    waits = [f.retry_after for f in failures if f.retry_after is not None]
    return min(waits) if waits else None
