"""Whatever stands on record: the same seed gives the same, nobody is lost who has somewhere to go, and costs add up."""

from __future__ import annotations

import time
from datetime import UTC
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.config.values import Config
from proxy.core.failure import FailureKind
from proxy.core.outcome import Ended
from proxy.core.usage import Usage
from proxy.simulate.inject import Supposed, down_of, slow_of
from proxy.simulate.record import Record, read
from proxy.simulate.run import simulate
from proxy.simulate.view import lines, plain
from tests.simulate.recorded_log import Log, chat, config

STRATEGIES = ("order", "weighted", "least_latency", "least_busy", "cheapest", "score", "ucb")
FAILURES = (FailureKind.SERVER_ERROR, FailureKind.RATE_LIMITED, FailureKind.FIRST_TIMEOUT, FailureKind.REFUSED)
TARGETS = ("cloud/large", "cheap/small")

attempts = st.builds(
    lambda target, first, more, failure, output: (target, first, first + more, failure, output),
    st.sampled_from(TARGETS),
    st.floats(0.01, 20.0),
    st.floats(0.0, 60.0),
    st.sampled_from((*FAILURES, None, None, None, "left", "cut")),
    st.integers(0, 4000),
)
requests = st.lists(
    st.tuples(st.floats(0.0, 30.0), st.booleans(), st.lists(attempts, min_size=1, max_size=3)), min_size=1, max_size=30
)


def recorded(path: Path, made: list[tuple[float, bool, list[tuple[str, float, float, object, int]]]]) -> Record:
    log = Log()
    at = 0.0
    for gap, stream, tried in made:
        at += gap
        each = []
        sent = 0.0
        for target, first, last, how, output in tried:
            usage = Usage(output * 2, output)
            if isinstance(how, FailureKind):
                each.append(log.failure(target, how, sent=sent, took=last))
            elif how is None:
                each.append(log.answer(target, sent=sent, first=first, last=last, usage=usage))
                break
            else:
                ended, kind = (
                    (Ended.CANCELLED, FailureKind.CLIENT_GONE) if how == "left" else (Ended.CUT, FailureKind.RESET)
                )
                each.append(log.answer(target, sent, first, last, usage=usage, ended=ended, failure=kind))
                break
            sent += last
        log.request(at, each, stream=stream)
    return read(log.write(path / f"{uuid4()}.db"))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(requests, st.sampled_from(STRATEGIES), st.integers(0, 5), st.booleans())
def test_the_same_seed_gives_the_same_and_sums_add_up(
    tmp_path: Path,
    made: list[tuple[float, bool, list[tuple[str, float, float, object, int]]]],
    strategy: str,
    seed: int,
    own: bool,
) -> None:
    record = recorded(tmp_path, made)
    draft = chat(*TARGETS, strategy=strategy)
    first, second = (simulate(record, draft, seed=seed, zone=UTC, own=own) for _ in range(2))
    assert plain(first, Supposed()) == plain(second, Supposed())
    for tally in (first.today, first.draft):
        assert tally.requests == len(made) == tally.served + tally.lost + tally.left
        assert tally.served == sum(of.answered for of in tally.by_target.values())
        assert tally.cost == sum((of.cost for of in tally.by_target.values()), Decimal(0))
        assert tally.failovers <= tally.served <= tally.attempts
    assert first.today.left >= first.draft.left  # nobody leaves who did not leave on record
    assert all(len(line) <= 100 for line in lines(first, Supposed(), UTC))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(requests, st.sampled_from(STRATEGIES), st.sampled_from(TARGETS), st.integers(0, 5))
def test_no_request_is_lost_while_one_target_is_always_well(
    tmp_path: Path,
    made: list[tuple[float, bool, list[tuple[str, float, float, object, int]]]],
    strategy: str,
    dead: str,
    seed: int,
) -> None:
    """`other/well` is on no record, and nothing is known against it."""
    record = recorded(tmp_path, made)
    backends = "backends: {cloud: {type: openai, api_key: k}, cheap: {type: openai, api_key: k}, other: {type: ollama}}"
    draft: Config = _three(backends, strategy)
    found = simulate(record, draft, Supposed((down_of(dead, None),), (slow_of("x0.1", None),)), seed=seed, zone=UTC)
    cuts = sum(one.ended is Ended.CUT for request in record.requests for one in request.tried)
    assert found.draft.lost <= cuts
    assert found.draft.by_target.get(dead) is None or found.draft.by_target[dead].answered == 0


def _three(backends: str, strategy: str) -> Config:
    return config(f"  chat: {{targets: [{', '.join(TARGETS)}, other/well], strategy: {strategy}}}", backends=backends)


def test_another_seed_gives_another_draw(tmp_path: Path) -> None:
    log = Log()
    for number in range(200):
        log.served(float(number), TARGETS[number % 2], first=0.2 + (number * 7919 % 100) / 100, last=3.0)
    record = read(log.write(tmp_path / "l.db"))
    draft = chat("cheap/small", "cloud/large", "near/llama", strategy="least_latency")
    found = {simulate(record, draft, seed=seed).draft.first for seed in range(4)}
    assert len(found) > 1


@pytest.mark.parametrize("named", ["nobody", "cloud/other"])
def test_to_suppose_something_of_a_target_that_is_not_there_is_a_mistake(tmp_path: Path, named: str) -> None:
    log = Log()
    log.served(0.0)
    record = read(log.write(tmp_path / "l.db"))
    with pytest.raises(ValueError, match=f"has no target or backend {named}"):
        simulate(record, chat("cloud/large"), Supposed((down_of(named, None),)))


def test_a_hundred_thousand_requests_take_less_than_twenty_seconds(tmp_path: Path) -> None:
    """Of one processor; here a tenth of them, and six targets that are chosen among by what is measured."""
    log = Log()
    for number in range(10_000):
        log.served(number * 0.3, TARGETS[number % 2], usage=Usage(100 + number % 900, 10 + number % 300))
    path = log.write(tmp_path / "l.db")
    more = "near/a, near/b, near/c, near/d"
    draft = config(f"  chat: {{targets: [{', '.join(TARGETS)}, {more}], strategy: ucb}}")

    def seconds() -> float:
        began = time.process_time()
        found = simulate(read(path), draft, zone=UTC)
        assert found.draft.requests == 10_000
        return time.process_time() - began

    assert any(seconds() < 2.0 for _ in range(3)), "what else the machine does only adds to it"
