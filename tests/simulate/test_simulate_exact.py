"""A simulation is the record through the same choices: by hand, down to the cent."""

from __future__ import annotations

from datetime import UTC
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import pytest

from proxy.config.values import Config
from proxy.core.failure import FailureKind
from proxy.core.outcome import Ended
from proxy.core.usage import Usage
from proxy.simulate.inject import Supposed, down_of, priced_of, slow_of
from proxy.simulate.record import read
from proxy.simulate.run import Simulated, simulate
from tests.simulate.recorded_log import BACKENDS, Log, chat, config

ONE = Decimal("0.0035")
"""1,000 tokens in at $2.50 a million, and 100 out at $10."""
CHEAP = Decimal("0.00014")


def through(log: Log, path: Path, draft: Config, *supposed: str, seed: int = 1, own: bool = True) -> Simulated:
    """`supposed`: `down NAME …`, `slow …`, `price …`."""
    words = [one.partition(" ")[::2] for one in supposed]
    given = Supposed(
        tuple(down_of(rest, UTC) for word, rest in words if word == "down"),
        tuple(slow_of(rest, UTC) for word, rest in words if word == "slow"),
        tuple(priced_of(rest) for word, rest in words if word == "price"),
    )
    return simulate(read(log.write(path / f"{uuid4()}.db")), draft, given, seed=seed, zone=UTC, own=own)


def test_the_same_configuration_meets_the_same_again(tmp_path: Path) -> None:
    log = Log()
    log.served(0.0)
    log.request(10.0, [log.failure("cloud/large"), log.answer("cheap/small", sent=0.1, first=1.0, last=4.0)])
    log.request(20.0, [log.failure("cloud/large"), log.failure("cheap/small", sent=0.1)])
    log.request(30.0, [log.answer("cloud/large", ended=Ended.CANCELLED, failure=FailureKind.CLIENT_GONE)])
    found = through(log, tmp_path, chat("cloud/large", "cheap/small"))
    for tally in (found.today, found.draft):
        assert (tally.requests, tally.served, tally.lost, tally.left, tally.failovers) == (4, 2, 1, 1, 1)
        assert (tally.share("cloud/large"), tally.share("cheap/small")) == (0.5, 0.5)
        assert tally.first == pytest.approx((0.5, 1.1)) and tally.total == pytest.approx((2.0, 4.1))
        assert tally.by_target["cheap/small"].cost == CHEAP
        assert tally.by_target["cheap/small"].first == pytest.approx((1.0, 1.0))
    assert found.today.cost == 2 * ONE + CHEAP
    assert (found.today.attempts, found.draft.attempts) == (6, 7)  # the last target is asked once more, by default


def test_answers_of_a_millisecond_lose_no_token_to_rounding(tmp_path: Path) -> None:
    log = Log()
    for n in range(200):
        log.served(0.137 * n, first=0.0011 + n * 1.3e-6, last=0.0011 + n * 1.3e-6 + 1e-7)
    found = through(log, tmp_path, chat("cloud/large"))
    assert found.draft.cost == found.today.cost == 200 * ONE
    assert len(found.draft.firsts) == len(found.today.firsts) == 200


def test_another_order_costs_what_the_other_target_takes(tmp_path: Path) -> None:
    log = Log()
    for second in range(4):
        log.served(100.0 * second)
    log.served(1000.0, "cheap/small", first=1.5, last=5.0)
    found = through(log, tmp_path, chat("cheap/small", "cloud/large"))
    assert found.draft.share("cheap/small") == 1.0
    assert found.draft.cost == 5 * CHEAP and found.today.cost == 4 * ONE + CHEAP
    assert found.draft.first == pytest.approx((1.5, 1.5)) and found.draft.total == pytest.approx((5.0, 5.0))
    assert found.notes == ()


def test_weights_are_exact(tmp_path: Path) -> None:
    log = Log()
    for second in range(40):
        log.served(10.0 * second)
    draft = config(
        "  chat: {targets: [{target: cloud/large, weight: 3}, {target: cheap/small, weight: 1}], strategy: weighted}"
    )
    found = through(log, tmp_path, draft)
    assert {name: of.answered for name, of in found.draft.by_target.items()} == {"cloud/large": 30, "cheap/small": 10}
    assert found.draft.cost == 30 * ONE + 10 * CHEAP


def test_what_is_supposed_to_be_down_refuses_then_and_the_circuit_spares_the_rest(tmp_path: Path) -> None:
    log = Log()
    for second in range(60):
        log.served(60.0 * second)
    found = through(log, tmp_path, chat("cloud/large", "cheap/small"), "down cloud 12:10-12:20")
    assert found.draft.share("cheap/small") == pytest.approx(10 / 60)
    assert found.draft.lost == 0
    assert found.draft.by_target["cloud/large"].failed <= 10
    assert found.notes == ("cheap/small is not on record: it was given the times of the others of route chat.",)


def test_a_dead_target_costs_five_tries_and_then_a_probe_now_and_then(tmp_path: Path) -> None:
    log = Log()
    for second in range(300):
        log.served(float(second))
    found = through(log, tmp_path, chat("cloud/large", "cheap/small"), "down cloud/large")
    assert found.draft.share("cheap/small") == 1.0
    assert 10 <= found.draft.by_target["cloud/large"].failed <= 30


def test_what_is_down_everywhere_is_lost(tmp_path: Path) -> None:
    log = Log()
    log.served(0.0)
    log.served(3600.0)
    found = through(log, tmp_path, chat("cloud/large"), "down cloud 13:00-14:00")
    assert (found.draft.served, found.draft.lost, found.draft.cost) == (1, 1, ONE)


def test_slow_is_slow_and_too_slow_is_a_failure(tmp_path: Path) -> None:
    log = Log()
    log.served(0.0)
    draft = config("  chat: {targets: [{target: cloud/large, timeouts: {first: 3}}, cheap/small]}")
    assert through(log, tmp_path, draft, "slow x2").draft.total == pytest.approx((4.0, 4.0))
    late = through(log, tmp_path, draft, "slow cloud x7").draft
    assert (late.share("cheap/small"), late.failovers) == (1.0, 1)
    assert late.total == pytest.approx((5.0, 5.0))  # three seconds at the one, two at the other


def test_a_price_may_be_supposed(tmp_path: Path) -> None:
    log = Log()
    log.served(0.0)
    found = through(log, tmp_path, chat("cloud/large"), "price cloud 1/2")
    assert (found.today.cost, found.draft.cost) == (ONE, Decimal("0.0012"))


def test_where_the_draft_knows_no_price_tokens_cost_what_they_cost_on_record(tmp_path: Path) -> None:
    log = Log()
    log.served(0.0, "other/m", cost=Decimal("0.011"))
    log.served(9.0, "cloud/large", usage=Usage(100, 10))
    backends = 'backends: {other: {type: openai, base_url: "https://other.test/v1", api_key: k}}'
    found = through(log, tmp_path, config("  chat: {targets: [other/m]}", backends=backends))
    assert found.draft.cost == Decimal("0.0121")
    assert found.notes[-1] == "No price is known of other/m: costs as on record, by the token."


def test_requests_of_a_route_that_is_gone_are_counted_and_in_no_figure(tmp_path: Path) -> None:
    log = Log()
    log.served(0.0)
    log.request(1.0, [log.answer("cloud/large")], route="old")
    found = through(log, tmp_path, chat("cloud/large"))
    assert found.gone == {"old": 1}
    assert (found.today.requests, found.draft.requests, found.today.cost) == (1, 1, ONE)


def test_a_target_that_was_named_directly_needs_no_route(tmp_path: Path) -> None:
    log = Log()
    log.request(1.0, [log.answer("cloud/large")], route="cloud/large")
    direct = config("  r: {targets: [cheap/small]}", more="direct: true")
    assert through(log, tmp_path, direct).draft.share("cloud/large") == 1.0
    assert through(log, tmp_path, chat("cloud/large")).gone == {"cloud/large": 1}


def test_rules_see_key_agent_tags_tokens_and_the_hour_of_the_record(tmp_path: Path) -> None:
    log = Log()
    log.request(0.0, [log.answer("cloud/large")], key="team-a")
    log.request(1.0, [log.answer("cloud/large")], agent="bot")
    log.request(2.0, [log.answer("cloud/large")], tags=("night", "x"))
    log.request(3.0, [log.answer("cloud/large", usage=Usage(9000, 10))])
    log.served(3600.0)
    log.served(10.0)
    draft = config("""  chat:
    targets: [cloud/large, cheap/small]
    rules:
      - {when: {key: team-a}, use: cheap/small}
      - {when: {agent: bot}, use: cheap/small}
      - {when: {tag: night}, use: cheap/small}
      - {when: {tokens: ">8000"}, use: cheap/small}
      - {when: {hour: "13-14"}, use: cheap/small}
      - {when: {header: {x-team: "*"}}, use: cheap/small}""")
    found = through(log, tmp_path, draft)
    assert found.draft.by_target["cheap/small"].answered == 5
    assert found.notes[-1] == "Route chat goes by headers, which no ledger tells: as if not said."


def test_what_is_too_long_for_a_target_is_not_sent_there(tmp_path: Path) -> None:
    log = Log()
    log.served(0.0)
    log.request(3.0, [log.answer("cloud/large", usage=Usage(9000, 10))])
    draft = config("  chat: {targets: [{target: cheap/small, capabilities: {context: 8192}}, cloud/large]}")
    assert through(log, tmp_path, draft).draft.by_target["cheap/small"].answered == 1


def test_a_cut_stream_is_gone_on_with_where_another_target_can(tmp_path: Path) -> None:
    log = Log()
    cut = log.answer("cloud/large", ended=Ended.CUT, failure=FailureKind.RESET, usage=Usage(1000, 40))
    log.request(0.0, [cut])
    log.served(100.0)
    lost = through(log, tmp_path, chat("cloud/large", on_cut="error"))
    assert (lost.today.lost, lost.draft.lost) == (1, 1)
    mended = through(log, tmp_path, chat("cloud/large", "near/llama"))
    assert (mended.draft.lost, mended.draft.share("near/llama")) == (0, 0.5)


def test_a_hedge_wins_where_the_first_target_is_slow(tmp_path: Path) -> None:
    log = Log()
    for second in range(10):
        log.served(100.0 * second, first=30.0, last=40.0)
        log.served(100.0 * second + 50, "cheap/small", first=0.2, last=1.0)
    found = through(log, tmp_path, chat("cloud/large", "cheap/small", hedge="{after: 1s, budget: 100%}"))
    cheap, cloud = found.draft.by_target["cheap/small"], found.draft.by_target["cloud/large"]
    assert (cheap.answered, cloud.attempts, cloud.failed) == (20, 20, 0)
    assert found.draft.first == pytest.approx((1.2, 1.2))
    assert cloud.cost == 20 * Decimal("0.0025")  # its input was paid for


def test_a_place_that_is_taken_sends_a_request_on(tmp_path: Path) -> None:
    log = Log()
    log.served(0.0)
    log.served(1.0)
    log.served(2.5)
    draft = config("  chat: {targets: [{target: cloud/large, concurrency: 1}, cheap/small]}")
    found = through(log, tmp_path, draft)
    assert {name: of.answered for name, of in found.draft.by_target.items()} == {"cloud/large": 2, "cheap/small": 1}


def test_another_key_of_the_backend_is_asked_before_another_target(tmp_path: Path) -> None:
    log = Log()
    refusal = log.failure("cloud/large", FailureKind.RATE_LIMITED)
    log.request(0.0, [refusal, log.answer("cloud/large", sent=0.1)])
    log.request(1.0, [log.answer("cloud/large")])
    keys = BACKENDS.replace("api_key: k, price: {input: 2.5", "api_keys: [k, l], price: {input: 2.5")
    several = through(log, tmp_path, config("  chat: {targets: [cloud/large, cheap/small]}", backends=keys))
    assert several.draft.by_target["cloud/large"].answered == 2
    one = through(log, tmp_path, chat("cloud/large", "cheap/small"))
    assert one.draft.by_target["cheap/small"].answered == 2  # it cools for 5 s


def test_what_takes_longer_than_the_draft_allows_is_cut_and_paid_as_far_as_it_came(tmp_path: Path) -> None:
    log = Log()
    log.served(0.0, first=1.0, last=11.0)
    draft = config("  chat: {targets: [{target: cloud/large, timeouts: {total: 6}}], on_cut: error}")
    found = through(log, tmp_path, draft)
    assert (found.draft.lost, found.draft.by_target["cloud/large"].failed) == (1, 1)
    assert found.draft.cost == Decimal("0.003")  # its input, and half of its answer


def test_what_is_handed_on_as_it_is_goes_in_the_route_s_order_and_vectors_stay_with_one_model(tmp_path: Path) -> None:
    log = Log()
    log.request(0.0, [log.answer("cloud/large")], endpoint="rerank", stream=False)
    log.request(9.0, [log.answer("cloud/large")], endpoint="embed", stream=False)
    log.served(20.0, "cheap/small")
    found = through(log, tmp_path, chat("cloud/large", "cheap/small", strategy="cheapest"), "down cloud 12:00-12:01")
    assert {name: of.answered for name, of in found.draft.by_target.items() if of.answered} == {"cheap/small": 2}
    assert found.draft.lost == 1  # no other model makes the same vectors
