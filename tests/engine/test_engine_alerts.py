"""Somebody is told that something is wrong: once, and once that it is over."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace

import pytest

from proxy.core.failure import FailureKind
from proxy.core.health import Health
from proxy.core.outcome import Ended
from proxy.core.vitals.policy import Alerting
from proxy.engine.alerts import MOST, Alert, Alerts
from proxy.engine.events import Events
from proxy.engine.healths import Healths
from proxy.engine.vitals import Vitals
from proxy.engine.watch import QUIET, Watch
from tests.core.vitals.ended import MONDAY, ended, failed
from tests.engine.finishes import finish

K = FailureKind
DAY = 86_400.0


class Scene:
    """A watch over an engine's health, with what it told."""

    def __init__(self) -> None:
        self.told: list[Alert] = []
        self.health = Healths()
        self.vitals = Vitals(Events())
        self.alerts = Alerts((self.told.append,), lambda: MONDAY)
        self.watch = Watch(self.health, self.vitals, self.alerts, Alerting())

    def said(self) -> list[tuple[str, str, bool]]:
        """What was told since this was asked last."""
        told = [(alert.kind, alert.subject, alert.raised) for alert in self.told]
        self.told.clear()
        return told

    def trouble(self, states: Mapping[str, Health], tick: float) -> None:
        self.health.trouble = dict(states)
        self.watch.circuits(tick)


def test_only_a_change_is_told() -> None:
    told: list[Alert] = []
    times = iter((1.0, 5.0, 9.0))
    alerts = Alerts((told.append,), lambda: next(times))
    for on in (False, True, True, True, False, False, True):
        alerts.note("quality", "a/m", on, "it is bad" if on else "", score=1)
    assert [(one.raised, one.at, one.since) for one in told] == [(True, 1.0, 1.0), (False, 5.0, 1.0), (True, 9.0, 9.0)]
    assert told[1].message == "it is bad"
    assert alerts.raised == {"quality": 2}
    assert list(alerts.told) == list(alerts.standing) == [("quality", "a/m")]


def test_so_many_stand_at_once_and_no_more(caplog: pytest.LogCaptureFixture) -> None:
    alerts = Alerts()
    with caplog.at_level(logging.ERROR):
        for number in range(MOST + 50):
            alerts.note("budget", str(number), True, "x" * 10_000)
    assert len(alerts.standing) == len(alerts.told) == MOST
    assert len(caplog.records) == 1
    assert len(alerts.standing["budget", "0"].message) == 500
    alerts.note("budget", "0", False)
    alerts.note("budget", "new", True)
    assert ("budget", "new") in alerts.standing
    assert len(alerts.told) == MOST


def test_a_target_is_down_from_its_circuits_opening_to_its_closing() -> None:
    scene = Scene()
    state = Health(opened=1, opened_at=0.0, open_until=10.0, cause=K.REFUSED)
    scene.trouble({"a/m": state}, 1.0)
    scene.trouble({"a/m": state._replace(probing=True)}, 11.0)
    scene.trouble({"a/m": state._replace(opened=2)}, 12.0)
    assert scene.told[0].message == "a/m is down: refused; its circuit is open"
    assert scene.said() == [("down", "a/m", True)]
    scene.trouble({}, 20.0)
    assert scene.said() == [("down", "a/m", False)]


def test_a_limit_that_comes_and_goes_is_near_until_it_was_not_seen_for_a_while() -> None:
    scene = Scene()
    for tick in range(0, 600, 60):
        near = Health(cool_until=tick + 20.0, foretold=True, cause=K.RATE_LIMITED)
        scene.trouble({"a/m": near}, float(tick))
        scene.trouble({}, tick + 30.0)
    assert scene.said() == [("rate_limit", "a/m", True)]
    scene.trouble({}, 540 + QUIET - 1)
    assert scene.said() == []
    scene.trouble({}, 540 + QUIET)
    assert scene.said() == [("rate_limit", "a/m", False)]


def test_a_limit_of_our_own_is_near_from_nine_tenths_on() -> None:
    scene = Scene()
    scene.watch.limits([("key 'alice'", 0.89), ("a/m", 0.0)], 1.0)
    assert scene.said() == []
    scene.watch.limits([("key 'alice'", 0.9), ("a/m", 0.0)], 6.0)
    scene.watch.limits([("key 'alice'", 1.0), ("a/m", 0.0)], 11.0)
    assert scene.told[0].message == "90% of a limit of key 'alice' is used"
    assert scene.said() == [("rate_limit", "key 'alice'", True)]
    scene.trouble({}, 11.0 + QUIET - 1)
    assert scene.said() == []
    scene.trouble({}, 11.0 + QUIET)
    assert scene.said() == [("rate_limit", "key 'alice'", False)]


def test_a_refused_key_is_no_limit() -> None:
    scene = Scene()
    scene.trouble({"a/m": Health(cool_until=300.0, cause=K.KEY_REFUSED)}, 1.0)
    assert scene.said() == []


def test_a_target_is_degraded_by_its_score_and_well_again_only_clearly_above_it() -> None:
    scene = Scene()
    windows = scene.vitals
    for _ in range(25):
        windows.observe_outcome(failed(MONDAY))
        windows.observe_outcome(ended(MONDAY))
    scene.watch.target("a/m", MONDAY)
    assert scene.said() == [("degraded", "a/m", True)]
    for score, expected in ((64, []), (69, []), (71, [("degraded", "a/m", False)]), (61, [])):
        # 100 - 160 * failed share
        bad, good = 100 - score, 60 + score
        scene.vitals.forget(["a/m"])
        for ended_, count in ((ended, good), (failed, bad)):
            for _ in range(count):
                windows.observe_outcome(ended_(MONDAY))
        scene.watch.target("a/m", MONDAY)
        assert scene.said() == expected, score


def test_what_is_not_as_usual_is_told_with_how_much() -> None:
    scene = Scene()
    for after in range(0, 7200, 60):
        scene.vitals.observe_outcome(ended(MONDAY + after, first=0.5))
    now = MONDAY + 3 * 3600
    for _ in range(30):
        scene.vitals.observe_outcome(ended(now, first=1.2))
    scene.watch.target("a/m", now)
    scene.watch.target("a/m", now)
    (alert,) = scene.told
    assert alert[:3] == ("latency", "a/m", True)
    assert alert.message.startswith("a/m takes 2.")
    assert scene.vitals.look("a/m", now).anomalies == 10
    scene.told.clear()
    scene.watch.target("a/m", now + 2 * 3600)
    assert scene.said() == [("latency", "a/m", False)]


def _requests(scene: Scene, plain: int, failed_over: int) -> None:
    for attempts, count in ((1, plain), (2, failed_over)):
        for _ in range(count):
            scene.vitals.observe_finish(finish(attempts))


def test_a_route_that_fails_over_too_much_is_told_and_one_with_few_requests_is_not() -> None:
    scene = Scene()
    _requests(scene, 9, 10)
    scene.watch.failovers(0.0)
    assert scene.said() == []
    _requests(scene, 31, 0)
    scene.watch.failovers(15.0)
    assert scene.told[0].message == "20% of the requests of route chat needed more than one attempt"
    assert scene.said() == [("failover", "chat", True)]
    _requests(scene, 40, 0)
    scene.watch.failovers(30.0)  # 11 %
    assert scene.said() == []
    _requests(scene, 40, 0)
    scene.watch.failovers(45.0)
    assert scene.said() == [("failover", "chat", False)]
    scene.watch.failovers(5000.0)
    scene.watch.failovers(10_000.0)
    assert scene.said() == []


def test_at_a_bound_of_zero_any_failover_is_told_and_none_is_not() -> None:
    scene = Scene()
    scene.watch.levels = replace(scene.watch.levels, failover=0.0)
    _requests(scene, 40, 0)
    scene.watch.failovers(0.0)
    assert scene.said() == []
    _requests(scene, 1, 1)
    scene.watch.failovers(15.0)
    assert scene.said() == [("failover", "chat", True)]
    _requests(scene, 40, 0)
    scene.watch.failovers(400.0)
    _requests(scene, 40, 0)
    scene.watch.failovers(800.0)
    assert scene.said() == [("failover", "chat", False)]


def test_a_certificate_is_told_of_in_time_and_again_when_there_is_a_new_one() -> None:
    scene = Scene()
    scene.watch.certificates({"a": MONDAY + 15 * DAY, "b": MONDAY + 400 * DAY}, MONDAY)
    assert scene.said() == []
    scene.watch.certificates({"a": MONDAY + 15 * DAY, "b": MONDAY + 400 * DAY}, MONDAY + DAY + 1)
    assert scene.told[0].message == "the certificate of backend a is over in 14.0 days"
    assert scene.said() == [("certificate", "a", True)]
    scene.watch.certificates({"a": MONDAY + 100 * DAY}, MONDAY + DAY)
    assert scene.said() == [("certificate", "a", False)]


def test_what_left_the_configuration_is_cleared() -> None:
    scene = Scene()
    scene.trouble({"a/m": Health(opened=1, open_until=10.0, cause=K.REFUSED)}, 1.0)
    scene.health.trouble = {}
    scene.watch.forget(["a/m"])
    assert scene.said() == [("down", "a/m", True), ("down", "a/m", False)]


def test_refusals_and_cuts_alone_do_not_make_a_target_degraded() -> None:
    scene = Scene()
    for _ in range(50):
        scene.vitals.observe_outcome(failed(MONDAY, K.RATE_LIMITED))
        scene.vitals.observe_outcome(ended(MONDAY, Ended.CUT, K.RESET))
    scene.watch.target("a/m", MONDAY)
    assert scene.said() == []
    assert scene.vitals.score("a/m") == 90
