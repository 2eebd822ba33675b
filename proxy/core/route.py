"""Routes and targets: what may be tried for a virtual model, and under which limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

from proxy.core.ability import UNKNOWN, Ability
from proxy.core.choice.policy import Policy
from proxy.core.limiting.values import NONE, Adaptive, Limits, Queue, Rate
from proxy.core.outcome import How
from proxy.core.price import Price
from proxy.core.secret import Secret
from proxy.core.vitals.policy import Probe

if TYPE_CHECKING:  # most configurations have neither, and then neither is loaded
    from proxy.core.quality.policy import Quality
    from proxy.core.screen.policy import Screen


class Timeouts(NamedTuple):
    """Seconds. `first` is to the first content, `idle` between events with content, `total` the whole request."""

    connect: float = 5.0
    first: float = 60.0
    idle: float = 60.0
    total: float = 600.0


class Retry(NamedTuple):
    """More tries at the *same* target, and the longest Retry-After (seconds) waited out there."""

    same_target: int | None = None
    """`None`: none while another target is left, one at the last."""
    patience: float = 0.0


class OnCut(Enum):
    """What happens when a stream dies after content was sent."""

    CONTINUE = "continue"
    """Another try goes on where it broke off, where that can be done honestly; else as `error`."""
    ERROR = "error"
    """The client is told in the stream, at once."""
    HOLD = "hold"
    """Cannot happen: nothing is sent until the answer is complete."""


class Unsupported(Enum):
    """What happens to a request that a target cannot express in full."""

    NEXT = "next"
    """A target of the route that can is asked before it; where none can, what it cannot express is left out."""
    DROP = "drop"
    """It is left out, and named in `x-wayline-dropped`."""
    REFUSE = "refuse"
    """The target is not asked."""


class Hedge(NamedTuple):
    """A second target is started when no content came for some time; the first to give content wins."""

    after: float | None = None
    """Seconds; `None`: the target's own 95th percentile of the time to the first content."""
    max: int = 1
    """Further attempts a request at most."""
    budget: float = 0.05
    """Share of the requests that may be hedged."""


BY_DEFAULT = (How.EXACT, How.PREFILL, How.REPLAY)


@dataclass(frozen=True, slots=True)
class Target:
    """One model at one backend, with everything that was decided for it when the configuration was loaded."""

    name: str
    """`backend/model`: unique, and the only name that metrics, ledger and headers use."""
    backend: str
    model: str
    timeouts: Timeouts = Timeouts()
    retry: Retry = Retry()
    price: Price | None = None
    headers: Mapping[str, str | Secret] = field(default_factory=dict)
    """More request headers for this target."""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """Request parameters used where the client gave none."""
    overrides: Mapping[str, Any] = field(default_factory=dict)
    """Request parameters that replace the client's."""
    drop: frozenset[str] = frozenset()
    """Request parameters that this target does not take: left out, and named in `x-wayline-dropped`."""
    concurrency: int | None = None
    """Requests in flight at this target at most; beyond it the next target is tried."""
    adaptive: Adaptive | None = None
    """How that number is found, where it is not given."""
    rates: tuple[Rate, ...] = ()
    """What it is sent at most."""
    ability: Ability = UNKNOWN
    """What its model can do, as far as it is known."""
    prefill: bool | None = None
    """It continues an assistant message that comes last; `None`: as is known of its backend's type."""
    local: bool = False
    """It runs on this machine."""
    probe: Probe | None = None
    """How it is asked whether it is up; `None`: it is not."""


@dataclass(frozen=True, slots=True)
class Route:
    """A virtual model."""

    name: str
    targets: tuple[Target, ...]
    max_attempts: int = 3
    reply_model_is_route: bool = False
    """The answer's `model` is the route's name instead of the one that served (`reply_model: route`)."""
    reply_cost: bool = False
    """The answer's `usage` says what it cost, where that is known."""
    same_vectors: bool = False
    """The operator's word that all targets embed into the same space."""
    filtered_goes_elsewhere: bool = False
    """A content filter's refusal is tried at the next target (`on_filter: next`)."""
    on_cut: OnCut = OnCut.CONTINUE
    hold_tools: bool = False
    """Tool calls and structured output are held back until they are complete (`hold: tools`)."""
    continue_by: tuple[How, ...] = BY_DEFAULT
    """The ways of going on after a cut, in the order of trying."""
    max_continuations: int = 2
    exact_within: float = 5.0
    """Seconds that making an answer again from the start may take."""
    keep_alive: float = 15.0
    """A stream's client gets a comment when it had nothing for so many seconds."""
    hedge: Hedge | None = None
    unsupported: Unsupported = Unsupported.NEXT
    """What happens to a request that a target cannot express in full."""
    min_rate: float | None = None
    """Tokens a second below which, over 10 s, a stream counts as stalled; `None`: it never does."""
    policy: Policy | None = None
    """How to choose among the targets; `None`: in their order."""
    missing: tuple[tuple[str, str], ...] = ()
    """Targets that are written in the configuration and are not in use, and why: before a colon what a caller may know
    (`not configured: OPENAI_API_KEY is not set`)."""
    limits: Limits = NONE
    """What may be asked of it."""
    queue: Queue | None = None
    """Where its requests wait; `None`: nowhere."""
    quality: Quality | None = None
    """How its answers are evaluated; `None`: they are not."""
    screen: Screen | None = None
    """What is looked for in requests and answers; `None`: nothing."""
