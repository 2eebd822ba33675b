"""Looks now and then at how everything stands, and notes what somebody should be told of (`Alerts`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from proxy.core.failure import FailureKind
from proxy.core.health import Health
from proxy.core.vitals.anomalies import LEVELS, held, measures
from proxy.core.vitals.policy import Alerting
from proxy.core.vitals.share import Share, shared
from proxy.engine.alerts import Alerts
from proxy.engine.healths import Healths
from proxy.engine.vitals import ROUTES, Vitals

WATCHED = frozenset({"down", "rate_limit", "degraded", "failover", "certificate", *LEVELS})
"""The kinds of alerts that are noted here, all of them at each look."""
QUIET = 300.0
"""Seconds without a limit in sight after which a limit is no longer near: those of a minute come and go."""
NEAR = 0.9
"""Share of a limit of our own from which on it is near."""
BETTER = 10.0
"""Points of score above the threshold at which a target is no longer degraded."""
LESS = 0.5
"""Of the threshold: a share of failovers below it is no longer too much."""
DAY = 86_400.0
_LIMITS = frozenset({FailureKind.RATE_LIMITED, FailureKind.QUOTA})
_WORDS = {
    "latency": "takes {:.1f} times as long as usual",
    "errors": "fails {:.0%} more of what it is asked than usual",
    "traffic": "is asked {:.1f} times as much as usual",
}


class Watch:
    """One for each process. `now` is Unix time, `tick` the engine's clock, both in seconds."""

    def __init__(self, engine: Healths, vitals: Vitals, alerts: Alerts, levels: Alerting) -> None:
        self.levels = levels
        self._engine = engine
        self._vitals = vitals
        self._alerts = alerts
        self._near: dict[str, float] = {}
        """Targets whose limit was in sight, and when last, on the engine's clock."""
        self._shares: dict[str, Share] = {}

    def circuits(self, tick: float) -> None:
        """Targets that are down, and those at a limit of their upstream's. Costs nothing while all are well."""
        trouble = self._engine.trouble
        for target, health in trouble.items():
            if health.opened:
                cause = _cause(health)
                message = f"{target} is down: {cause}; its circuit is open"
                self._alerts.note("down", target, True, message, cause=cause)
            if health.cool_until > tick and (health.foretold or health.cause in _LIMITS):
                self._near[target] = tick
                self._alerts.note("rate_limit", target, True, _limit(target, health), cause=_cause(health))
        for subject in self._raised("down"):
            if subject not in trouble or not trouble[subject].opened:
                self._alerts.note("down", subject, False, f"the circuit of {subject} is closed")
        for subject in self._raised("rate_limit"):
            if tick - self._near.setdefault(subject, tick) >= QUIET:
                del self._near[subject]
                self._alerts.note("rate_limit", subject, False, f"no limit of {subject} was in sight for 5 minutes")

    def limits(self, used: Iterable[tuple[str, float]], tick: float) -> None:
        """Limits of our own. `used`: of whom, and the share of that one of them of which most is used."""
        for subject, share in used:
            if share >= NEAR:
                self._near[subject] = tick
                message = f"{share:.0%} of a limit of {subject} is used"
                self._alerts.note("rate_limit", subject, True, message, share=round(share, 3))

    def target(self, target: str, now: float) -> None:
        """One target by its windows: its score, and what is not as usual."""
        points = self._vitals.look(target, now)
        score, begins = points.value, self.levels.score
        low = held(("degraded", target) in self._alerts.standing, score, begins, min(begins + BETTER, 99.0))
        told = f"{target} has a score of {score:.0f} of 100"
        self._alerts.note("degraded", target, low, told, score=round(score, 1), **_rounded(points._asdict()))
        found = self._vitals.anomalies.get(target, frozenset())
        if not found and not any((kind, target) in self._alerts.standing for kind in LEVELS):
            return
        values = measures(self._vitals.facts(target, now))
        for kind in LEVELS:
            value, on = values[kind], kind in found
            if on is ((kind, target) in self._alerts.standing):
                continue
            words = f"{target} {_WORDS[kind].format(value)}" if on and value is not None else f"{target} is as usual"
            self._alerts.note(kind, target, on, words, **({} if value is None else {"measure": round(value, 3)}))

    def failovers(self, tick: float) -> None:
        """Routes too many of whose requests needed more than one attempt."""
        for route, counted in self._vitals.take_failovers().items():
            if route in self._shares or len(self._shares) < ROUTES:
                self._shares[route] = shared(self._shares.get(route, Share(tick)), tick, *counted)
        for route in list(self._shares):
            share = self._shares[route] = shared(self._shares[route], tick, 0, 0)
            value, standing = share.value, ("failover", route) in self._alerts.standing
            if value is not None:
                on = value > 0 and held(standing, value, self.levels.failover, self.levels.failover * LESS)
                words = f"{value:.0%} of the requests of route {route} needed more than one attempt"
                self._alerts.note("failover", route, on, words, share=round(value, 3))
            elif share.all + share.all_before == 0:
                del self._shares[route]
        for route in self._raised("failover"):
            if route not in self._shares:
                self._alerts.note("failover", route, False, f"route {route} is not asked any more")

    def certificates(self, ends: Mapping[str, float], now: float) -> None:
        """`ends`: by backend, when the certificate is over that it showed last."""
        for backend, end in ends.items():
            left = end - now
            standing = ("certificate", backend) in self._alerts.standing
            on = held(standing, left, self.levels.certificate, self.levels.certificate + DAY)
            words = f"the certificate of backend {backend} is over in {left / DAY:.1f} days"
            if left <= 0:
                words = f"the certificate of backend {backend} is over"
            told = words if on else f"backend {backend} has a newer certificate"
            self._alerts.note("certificate", backend, on, told, ends=int(end))

    def forget(self, subjects: Iterable[str]) -> None:
        """These left the configuration."""
        gone = frozenset(subjects)
        self._alerts.forget(gone)
        for name in gone:
            self._near.pop(name, None)
            self._shares.pop(name, None)

    def _raised(self, kind: str) -> list[str]:
        return [subject for known, subject in self._alerts.standing if known == kind]


def _cause(health: Health) -> str:
    return "" if health.cause is None else health.cause.value


def _limit(target: str, health: Health) -> str:
    if health.foretold:
        return f"{target} says that nothing is left of its limit"
    return f"{target} refuses more: {_cause(health)}"


def _rounded(points: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 1) for name, value in points.items()}
