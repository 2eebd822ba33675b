"""Checked values -> probes and alerts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from proxy.core.secret import Secret
from proxy.core.vitals.policy import LOCAL, Alerting, Probe, Webhook

Plain = Mapping[str, Any]


def probe_of(levels: Iterable[Plain], own: bool) -> Probe | None:
    """The levels go from the farthest (the backend) to the nearest (the target). `own`: a server of one's own that can
    be asked for nothing. `None`: it is not probed."""
    said = [level["probe"] for level in levels if "probe" in level]
    if not said:
        return LOCAL if own else None
    plain = said[-1]
    if isinstance(plain, bool):
        return None
    usual = LOCAL if own else Probe()
    return Probe(
        float(plain.get("every", usual.every)),
        plain.get("with", usual.by),
        plain.get("healthy_after", usual.healthy_after),
        plain.get("unhealthy_after", usual.unhealthy_after),
    )


def alerting_of(plain: Plain) -> Alerting:
    """What `alerts:` says."""
    usual = Alerting()
    hook = plain.get("webhook")
    webhook = None
    if hook is not None:
        webhook = Webhook(Secret(hook["url"]), Secret(hook["secret"]) if "secret" in hook else None)
    days = plain.get("certificate_days")
    return Alerting(
        webhook,
        plain.get("failover", usual.failover),
        float(plain.get("score", usual.score)),
        usual.certificate if days is None else days * 86_400.0,
    )
