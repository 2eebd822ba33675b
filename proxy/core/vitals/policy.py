"""What the configuration says of probes and alerts. Durations in seconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from proxy.core.secret import Secret


class Probe(NamedTuple):
    """How a target is asked whether it is up, while nobody else asks it anything."""

    every: float = 300.0
    by: str = "models"
    """`models`: its backend is asked for its models, or where it has a path that says whether it is up, there;
    `tiny_completion`: the model is asked for one token, which may cost money."""
    healthy_after: int = 2
    """Good probes in a row that bring it back."""
    unhealthy_after: int = 3
    """Failed ones in a row that take it out."""


LOCAL = Probe(every=30.0)
"""For servers of one's own, which are probed without being told: it costs nothing."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where alerts are sent."""

    url: Secret
    """Whoever knows it may write there."""
    secret: Secret | None = None
    """Signs what is sent; `None`: it is not signed."""


@dataclass(frozen=True, slots=True)
class Alerting:
    """When an alert is raised. Each ends at a lower level than it begins at."""

    webhook: Webhook | None = None
    failover: float = 0.2
    """The share of a route's requests, over 5 to 10 minutes, that needed more than one attempt."""
    score: float = 60.0
    """A target's score below which it is degraded."""
    certificate: float = 14 * 86_400.0
    """Before the end of a backend's certificate."""
