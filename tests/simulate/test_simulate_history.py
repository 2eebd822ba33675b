"""What is drawn of a target is what it did around that time."""

from __future__ import annotations

from pathlib import Path
from random import Random

from proxy.core.failure import FailureKind
from proxy.core.route import Target
from proxy.simulate.history import Histories
from proxy.simulate.record import Asking, read
from tests.simulate.recorded_log import NOON, Log

LARGE = Target("cloud/large", "cloud", "large")


def histories(log: Log, path: Path) -> tuple[Histories, tuple[Asking, ...]]:
    requests = read(log.write(path / "l.db")).requests
    return Histories(requests), requests


def share_failing(found: Histories, at: float, times: int = 2000) -> float:
    random = Random(1)
    own, _ = found.of(LARGE, "chat")
    return sum(own.failing(NOON + at, random) is not None for _ in range(times)) / times


def test_an_outage_is_one_at_its_time_and_at_no_other(tmp_path: Path) -> None:
    log = Log()
    for second in range(0, 3600, 10):
        if 1200 <= second < 1800:
            log.request(float(second), [log.failure("cloud/large")])
        else:
            log.served(float(second))
    found, _ = histories(log, tmp_path)
    assert share_failing(found, 1505.0) == 1.0
    assert share_failing(found, 605.0) == 0.0
    assert share_failing(found, 3605.0) == 0.0
    assert share_failing(found, 9000.0) == 0.0  # beyond what is on record: as it usually was
    assert 0.4 < share_failing(found, 1195.0) < 0.6  # between the last success and the first failure


def test_while_its_circuit_kept_others_away_it_was_failing_all_the_same(tmp_path: Path) -> None:
    log = Log()
    log.served(0.0)
    for second in (100.0, 101.0, 102.0, 103.0, 104.0, 135.0, 205.0):
        log.request(second, [log.failure("cloud/large")])
    log.served(300.0)
    found, _ = histories(log, tmp_path)
    assert share_failing(found, 170.0) == 1.0


def test_now_and_then_stays_now_and_then(tmp_path: Path) -> None:
    log = Log()
    for number in range(3000):
        if number % 10 == 3:
            log.request(float(number * 400), [log.failure("cloud/large", FailureKind.RESET)])
        else:
            log.served(float(number * 400))
    found, _ = histories(log, tmp_path)
    assert 0.08 < share_failing(found, 200.0 + 400 * 50) < 0.12  # 200 s from any attempt


def test_a_bad_request_says_nothing_of_its_target(tmp_path: Path) -> None:
    log = Log()
    log.request(0.0, [log.failure("cloud/large", FailureKind.BAD_REQUEST)])
    log.served(1000.0)
    assert share_failing(histories(log, tmp_path)[0], 1.0) == 0.0


def test_an_answer_is_like_those_of_its_time(tmp_path: Path) -> None:
    log = Log()
    for number in range(400):
        slow = 200 <= number < 300
        log.served(float(number * 10), first=5.0 if slow else 0.5, last=9.0)
    found, requests = histories(log, tmp_path)
    _, answers = found.of(LARGE, "chat")
    assert answers is not None
    random = Random(1)
    drawn = [answers.answer(requests[0], NOON + 2500.0, random) for _ in range(100)]
    assert {round(one.first or 0, 3) for one in drawn if one is not None} == {5.0}


def test_who_is_not_on_record_has_the_times_of_its_model_elsewhere_and_none_of_its_failures(tmp_path: Path) -> None:
    log = Log()
    log.served(0.0, "cheap/small", first=9.0, last=20.0)
    log.request(500.0, [log.failure("cloud/large")])
    log.served(1000.0, first=0.5)
    found, requests = histories(log, tmp_path)
    twin = Target("router/vendor/Large", "router", "vendor/Large")
    own, answers = found.of(twin, "chat")
    assert own.failing(NOON + 500.0, Random(1)) is None
    assert answers is not None
    drawn = answers.answer(requests[0], NOON, Random(1))
    assert drawn is not None and drawn.target == "cloud/large"
    assert found.strange == {twin.name: "the times of cloud/large (same model)"}
    found.of(Target("near/llama", "near", "llama"), "other")
    assert found.strange["near/llama"] == "the times of all others"
