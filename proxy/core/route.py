"""Routes and targets: what may be tried for a virtual model, and under which limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from proxy.core.price import Price
from proxy.core.secret import Secret


class Timeouts(NamedTuple):
    """Seconds. `first` is to the first content, `idle` between events with content, `total` the whole request."""

    connect: float = 5.0
    first: float = 60.0
    idle: float = 60.0
    total: float = 600.0


class Retry(NamedTuple):
    """More tries at the *same* target, and the longest Retry-After (seconds) waited out there."""

    same_target: int = 0
    patience: float = 0.0


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


@dataclass(frozen=True, slots=True)
class Route:
    """A virtual model."""

    name: str
    targets: tuple[Target, ...]
    max_attempts: int = 3
    reply_model_is_route: bool = False
    """The answer's `model` is the route's name instead of the one that served (`reply_model: route`)."""
    same_vectors: bool = False
    """The operator's word that all targets embed into the same space."""
    filtered_goes_elsewhere: bool = False
    """A content filter's refusal is tried at the next target (`on_filter: next`)."""
