"""The draft's limits hold in a simulation as they do for live traffic."""

from __future__ import annotations

from datetime import UTC
from pathlib import Path
from uuid import uuid4

import pytest

from proxy.config.values import Config
from proxy.core.usage import Usage
from proxy.simulate.record import read
from proxy.simulate.run import simulate
from proxy.simulate.tally import Tally
from tests.simulate.recorded_log import BACKENDS, Log, config


def drafted(log: Log, path: Path, draft: Config) -> Tally:
    return simulate(read(log.write(path / f"{uuid4()}.db")), draft, zone=UTC).draft


def burst(count: int = 20, every: float = 1.0, **words: object) -> Log:
    log = Log()
    for number in range(count):
        log.request(number * every, [log.answer("cloud/large")], **words)
    return log


def test_a_route_lets_in_what_it_may_and_refuses_the_rest(tmp_path: Path) -> None:
    draft = config("  chat: {targets: [cloud/large], limits: {rpm: 6}}")
    tally = drafted(burst(120), tmp_path, draft)
    assert (tally.served, tally.refused, tally.lost) == (12, 108, 108)


def test_a_key_s_limit_is_that_key_s(tmp_path: Path) -> None:
    log = burst(20, key="team-a")
    log.request(30.0, [log.answer("cloud/large")], key="team-b")
    keys = (
        "keys: [{name: team-a, key: 0123456789abcdef0123, limits: {rpm: 5}}, {name: team-b, key: fedcba98765432100000}]"
    )
    draft = config("  chat: {targets: [cloud/large]}", more=keys)
    assert drafted(log, tmp_path, draft).served == 6


def test_what_a_target_has_no_room_for_goes_to_the_next(tmp_path: Path) -> None:
    backends = BACKENDS.replace("cloud: {", "cloud: {limits: {rpm: 5}, ")
    draft = config("  chat: {targets: [cloud/large, cheap/small]}", backends=backends)
    tally = drafted(burst(20), tmp_path, draft)
    assert {name: of.answered for name, of in tally.by_target.items()} == {"cloud/large": 5, "cheap/small": 15}
    assert (tally.lost, tally.failovers) == (0, 0)  # passed over, not failed over


def test_tokens_count_as_they_were_used(tmp_path: Path) -> None:
    log = Log()
    for number in range(10):
        log.served(number * 3.0, usage=Usage(1000, 100))
    draft = config("  chat: {targets: [cloud/large], limits: {tpm: 5000}}")
    tally = drafted(log, tmp_path, draft)
    assert tally.served == 4  # the fifth may take 1,000 and the usual answer, and only 600 are left


def test_who_waits_gets_its_turn_when_a_place_is_free(tmp_path: Path) -> None:
    log = burst(10, every=0.0)
    route = "{target: cloud/large, concurrency: 1}"
    waits = config(f"  chat: {{targets: [{route}], queue: {{size: 20, wait: 30s}}}}")
    tally = drafted(log, tmp_path, waits)
    assert (tally.served, tally.lost) == (10, 0)
    assert tally.total.p95 == pytest.approx(20.0)  # two seconds each, one after the other


def test_who_waits_too_long_is_lost_and_nobody_waits_where_there_is_no_queue(tmp_path: Path) -> None:
    log = burst(10, every=0.0)
    route = "{target: cloud/large, concurrency: 1}"
    short = drafted(log, tmp_path, config(f"  chat: {{targets: [{route}], queue: {{size: 20, wait: 5s}}}}"))
    assert (short.served, short.refused) == (3, 7)
    small = drafted(Log(log.rows), tmp_path, config(f"  chat: {{targets: [{route}], queue: {{size: 2, wait: 30s}}}}"))
    assert small.served == 3
    none = drafted(Log(log.rows), tmp_path, config(f"  chat: {{targets: [{route}]}}"))
    assert none.served == 1


def test_a_queue_waits_for_a_window_too(tmp_path: Path) -> None:
    draft = config("  chat: {targets: [cloud/large], limits: {rpm: 6}, queue: {size: 50, wait: 2m}}")
    tally = drafted(burst(12), tmp_path, draft)
    assert (tally.served, tally.lost) == (12, 0)
    assert tally.total.p95 is not None and 50 < tally.total.p95 < 65


def test_places_that_adapt_grow_and_shrink_with_what_is_on_record(tmp_path: Path) -> None:
    log = Log()
    for number in range(400):
        log.served(number * 0.25)
    draft = config(
        "  chat: {targets: [{target: cloud/large, concurrency: adaptive}, cheap/small]}",
    )
    tally = drafted(log, tmp_path, draft)
    assert tally.lost == 0 and tally.share("cloud/large") > 0.9


def test_rules_see_the_tags_of_the_draft_s_keys(tmp_path: Path) -> None:
    log = burst(5, key="team-a")
    log.request(30.0, [log.answer("cloud/large")], key="team-b")
    keys = (
        "keys: [{name: team-a, key: 0123456789abcdef0123, tags: [search]}, {name: team-b, key: fedcba98765432100000}]"
    )
    rules = "[{when: {tag: search}, use: cheap/small}]"
    draft = config(f"  chat: {{targets: [cloud/large, cheap/small], rules: {rules}}}", more=keys)
    tally = drafted(log, tmp_path, draft)
    assert {name: of.answered for name, of in tally.by_target.items()} == {"cloud/large": 1, "cheap/small": 5}


def test_a_rule_s_priority_says_how_long_is_waited(tmp_path: Path) -> None:
    log = burst(4, every=0.0)
    log.rows = [row._replace(key="night") for row in log.rows]
    route = "targets: [{target: cloud/large, concurrency: 1}]"
    queue = "queue: {size: 20, wait: 1s, priorities: {low: {wait: 30s}}}"
    for rules, served in (("[]", 1), ("[{when: {key: night}, set: {priority: low}}]", 4)):
        said = f", rules: {rules}" if rules != "[]" else ""
        assert drafted(Log(log.rows), tmp_path, config(f"  chat: {{{route}, {queue}{said}}}")).served == served
