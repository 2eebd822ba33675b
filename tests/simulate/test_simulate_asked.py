"""What callers asked for holds in a simulation too, and those count who were refused before anything was sent."""

from __future__ import annotations

from datetime import UTC
from pathlib import Path
from uuid import uuid4

import pytest

from proxy.config.values import Config
from proxy.core.choice.wish import wish_of
from proxy.core.failure import FailureKind
from proxy.core.outcome import Ended
from proxy.core.usage import Usage
from proxy.ledger.schema import LedgerError
from proxy.simulate import record
from proxy.simulate.record import read
from proxy.simulate.run import Simulated, simulate
from tests.simulate.recorded_log import NOON, Log, chat, config


def through(log: Log, path: Path, draft: Config) -> Simulated:
    return simulate(read(log.write(path / f"{uuid4()}.db")), draft, zone=UTC)


@pytest.mark.parametrize(
    "asked",
    [
        {"only": ["cheap"]},
        {"exclude": ["cloud"]},
        {"max_cost": 0.001},
        {"strategy": "cheapest"},
        {"task": "code_generation", "strategy": "fallback_by_task"},
    ],
)
def test_a_wish_is_kept(tmp_path: Path, asked: dict[str, object]) -> None:
    log = Log()
    log.served(0.0)
    log.served(10.0)
    log.tell(10.0, wish=wish_of(asked))
    draft = chat("cloud/large", "cheap/small", tasks="{code_generation: [cheap/small]}")
    found = through(log, tmp_path, draft)
    assert {name: of.answered for name, of in found.draft.by_target.items()} == {"cloud/large": 1, "cheap/small": 1}
    assert not any("its task" in note for note in found.notes)


def test_a_priority_moves_rules_and_the_queue(tmp_path: Path) -> None:
    log = Log()
    for _ in range(2):
        log.served(0.0)
    log.served(0.0)
    log.tell(0.0, wish=wish_of({"priority": "low"}))
    route = "{target: cloud/large, concurrency: 1}"
    queue = "{size: 9, wait: 30s, priorities: {low: {size: 5, wait: 3s}}}"
    found = through(log, tmp_path, config(f"  chat: {{targets: [{route}], queue: {queue}}}"))
    assert (found.draft.served, found.draft.lost) == (2, 1)


def test_who_was_refused_by_limits_is_part_of_the_traffic(tmp_path: Path) -> None:
    log = Log()
    log.served(0.0, usage=Usage(700, 70))
    log.tell(1.0, attempts=0, status=429, failure=FailureKind.RATE_LIMITED)
    log.tell(2.0, attempts=0, status=503, failure=FailureKind.BUSY)
    log.tell(3.0, attempts=0, status=400, failure=FailureKind.CONTEXT_LENGTH)  # nobody knows how long it was
    found = through(log, tmp_path, chat("cloud/large"))
    assert (found.today.requests, found.today.lost, found.today.refused) == (3, 2, 2)
    assert (found.draft.served, found.draft.lost) == (3, 0)
    assert found.draft.cost == 3 * found.today.cost  # of usual length
    assert found.notes[-1] == "Requests without a count of tokens on record: 2; taken for usual ones of their route."


def test_who_left_while_waiting_leaves_again_unless_answered_sooner(tmp_path: Path) -> None:
    log = Log()
    log.served(0.0)
    log.tell(100.0, attempts=0, ended=Ended.CANCELLED, status=499, duration=5.0, failure=FailureKind.CLIENT_GONE)
    log.tell(200.0, attempts=0, ended=Ended.CANCELLED, status=499, duration=1.0, failure=FailureKind.CLIENT_GONE)
    found = through(log, tmp_path, chat("cloud/large"))
    assert (found.today.left, found.draft.left, found.draft.served) == (2, 1, 2)


def test_what_an_older_or_newer_version_wrote_is_no_trouble(tmp_path: Path) -> None:
    log = Log()
    log.served(0.0)
    many = wish_of({"only": [f"n{number}" for number in range(50)]})
    log.tell(0.0, wish=many)  # cut short on record: better not kept at all
    assert through(log, tmp_path, chat("cloud/large")).draft.served == 1


def test_a_record_that_is_too_long_is_to_be_taken_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log()
    for second in range(5):
        log.served(float(second))
    path = log.write(tmp_path / "l.db")
    monkeypatch.setattr(record, "MOST", 3)
    with pytest.raises(
        LedgerError, match=r"has 5 attempts in this time, and 3 can be simulated .* --since and --until"
    ):
        read(path)
    assert read(path, NOON + 2).attempts == 3
