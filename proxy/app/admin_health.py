"""What the admin API tells of how targets have been doing: score, windows, anomalies, quality, and the alerts."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

from proxy.app.admin_look import Look, TargetState
from proxy.core.vitals.windows import FIRST, SPEED, TOTAL, WINDOWS, Figures, Windows
from proxy.engine.vitals import WELL
from proxy.ops.admin_api import Action, Ask, Refused

if TYPE_CHECKING:
    from proxy.app.process import Process

EMPTY = Windows()


class Quantiles(TypedDict):
    """null: no value. Read from sketches: at most 7 % off."""

    p50: float | None
    p95: float | None
    p99: float | None


class WindowFigures(TypedDict):
    """What attempts of one window did."""

    attempts: int
    served: int
    failed: Annotated[int, "Before any content."]
    cut: Annotated[int, "After some of it."]
    refused: Annotated[int, "By a rate limit or a quota."]
    first_content_s: Quantiles
    total_s: Quantiles
    tokens_per_second: Quantiles


class Points(TypedDict):
    """What is taken from 100."""

    errors: Annotated[float, "Up to 40."]
    latency: Annotated[float, "Against its own usual one, up to 30."]
    anomalies: Annotated[float, "Up to 20."]
    troubles: Annotated[float, "Cut streams and refusals, up to 10."]


class QualityState(TypedDict):
    """Of its answers, where a route evaluates them."""

    value: Annotated[float, "0 to 1."]
    answers: int
    low: Annotated[bool, "Below the route's min_quality."]


class TargetHealth(TypedDict):
    """One target, in full."""

    target: TargetState
    score: Annotated[float, "0 to 100."]
    points: Points
    anomalies: list[str]
    quality: QualityState | None
    windows: Annotated[dict[str, WindowFigures], "1h, 6h, 24h, 7d, 30d."]


class AlertState(TypedDict):
    """One that stands."""

    alert: Annotated[str, "Its kind: docs/health.md."]
    subject: str
    since: Annotated[float, "Unix time in seconds."]
    message: str
    about: Any


class AlertStates(TypedDict):
    """Those that stand, the latest first."""

    alerts: list[AlertState]


class Health:
    """Over one process."""

    def __init__(self, process: Process, look: Look) -> None:
        self._process = process
        self._look = look

    def actions(self) -> list[Action]:
        """For the table."""
        words = "One target, with its windows and what its score is made of."
        about = {"target": "backend/model, slash and all."}
        return [
            Action("GET", "/targets/{target}", "target", words, self.target, TargetHealth, about=about),
            Action("GET", "/alerts", "alerts", "The alerts that stand.", self.alerts, AlertStates),
        ]

    def target(self, ask: Ask) -> TargetHealth:
        name, now = ask.path["target"], time.time()
        found = self._look.lanes().get(name)
        if found is None:
            raise Refused(404, f"No route has the target {name[:200]!r}.", "target_not_found", param="target")
        vitals = self._process.watching.vitals
        score = vitals.look(name, now) if name in vitals.known else WELL
        windows = vitals.known.get(name, EMPTY)
        quality = self._process.engine.assessor.standings.get(name)
        return {
            "target": self._look.target(*found, time.monotonic()),
            "score": round(score.value, 1),
            "points": {
                "errors": round(score.errors, 1),
                "latency": round(score.latency, 1),
                "anomalies": round(score.anomalies, 1),
                "troubles": round(score.troubles, 1),
            },
            "anomalies": sorted(vitals.anomalies.get(name, ())),
            "quality": None
            if quality is None
            else {"value": round(quality.value, 4), "answers": quality.answers, "low": quality.low},
            "windows": {window: _figures(windows.window(window, now)) for window in WINDOWS},
        }

    def alerts(self, ask: Ask) -> AlertStates:
        standing = sorted(self._process.watching.alerts.standing.values(), key=lambda one: -one.since)
        return {
            "alerts": [
                {
                    "alert": one.kind,
                    "subject": one.subject,
                    "since": one.since,
                    "message": one.message,
                    "about": dict(one.about),
                }
                for one in standing
            ]
        }


def _figures(found: Figures) -> WindowFigures:
    return {
        "attempts": found.attempts,
        "served": found.served,
        "failed": found.failed,
        "cut": found.cut,
        "refused": found.refused,
        "first_content_s": _quantiles(found, FIRST),
        "total_s": _quantiles(found, TOTAL),
        "tokens_per_second": _quantiles(found, SPEED),
    }


def _quantiles(found: Figures, sketch: int) -> Quantiles:
    p50, p95, p99 = (_short(found.quantile(sketch, share)) for share in (0.5, 0.95, 0.99))
    return {"p50": p50, "p95": p95, "p99": p99}


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")
