"""How an attempt ended: the only thing that health, ledger, metrics and the log ever see."""

from __future__ import annotations

from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from proxy.core.failure import FailureKind
from proxy.core.price import Price
from proxy.core.usage import Usage

if TYPE_CHECKING:
    from proxy.core.choice.choose import Choice
    from proxy.core.plan import Plan


class Ended(Enum):
    """Exactly one for each attempt."""

    SERVED = "served"
    FAILED = "failed"
    """Before any of its content had gone to the client."""
    CUT = "cut"
    """After some of its content had gone to the client."""
    CANCELLED = "cancelled"
    """By the client, or by us in favour of another attempt."""


class How(Enum):
    """How an attempt comes by its answer."""

    FRESH = "fresh"
    EXACT = "exact"
    """After a cut: made again from the start by the engine that made it, so that it is what the uncut one was."""
    PREFILL = "prefill"
    """After a cut: the target continues the partial answer, given to it as the last message."""
    REPLAY = "replay"
    """After a cut: asked from the start; what comes back must begin with what was sent."""
    ASK = "ask"
    """After a cut: told in words to go on. The seam may show."""
    SPARE = "spare"
    """Asked for since an answer before was not good enough, and served no better one: the client got that other one."""


class Outcome(NamedTuple):
    """One attempt's end. Times are seconds since the request came in; `None` where it never got that far."""

    request_id: str
    attempt: int
    """1 for the first send of the request."""
    route: str
    target: str
    backend: str
    ended: Ended
    failure: FailureKind | None
    status: int | None
    """The upstream's HTTP status."""
    stream: bool
    started_at: float
    """Unix time at which the *request* came in, in seconds."""
    sent: float
    """When this attempt was sent."""
    first_byte: float | None
    first_content: float | None
    last: float
    """When it ended."""
    usage: Usage | None
    price: Price | None
    cost: Decimal | None
    """US dollars; `None` when unknown."""
    maybe_billed: bool
    """It failed in a way that leaves open whether the upstream charges for it."""
    key: str
    """Name of the caller's key; empty where none is needed."""
    model: str
    """The model that served, as the upstream named it; empty when it said none."""
    how: How = How.FRESH
    endpoint: str = "chat"
    """As in `Finish`."""
    agent: str = ""
    """Which agent of the caller's it was for, as the caller says (at most 64 characters); empty: it does not say."""
    tags: tuple[str, ...] = ()
    """What its cost counts under besides: the caller's words and those of its key, in order, each once."""
    planned: Choice | Plan | None = None
    """Why its request went where it went; `None`: all targets of its route were fit for it, in their order."""


class Finish(NamedTuple):
    """One request's end, for the log and for request-level metrics. It adds nothing that its outcomes do not tell."""

    request_id: str
    route: str
    target: str
    """The target that served, or the last one tried; empty when none was."""
    attempts: int
    status: int
    """What the client got (499: it left before the end)."""
    stream: bool
    endpoint: str
    """`chat`, `embed`, the name of another way in (`messages`, `count_tokens`, `responses`, `completions`) or of an
    endpoint that is handed on as it is (`rerank`, …; `proxy.core.relay`); `test`: an operator's."""
    started_at: float
    duration: float
    first_content: float | None
    ended: Ended
    failure: FailureKind | None
    cost: Decimal | None
    key: str
    agent: str = ""
    tags: tuple[str, ...] = ()
    """Both as in `Outcome`."""
    queued: float = 0.0
    """Seconds that it waited for its turn before anything was sent."""
    strategy: str = ""
    """What its targets were put in order by; empty: they were tried as written."""
    rule: int | None = None
    """The place of the rule of its route that held, from 1."""
