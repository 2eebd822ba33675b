"""Limits as requests meet them: who is let in, which target is passed over, and what the caller is told."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from proxy.app.limiting import limits_anything, terms_of
from proxy.core.failure import FailureKind
from proxy.core.limiting.values import Limits, Rate
from tests.engine.limited import Limited
from tests.engine.stage import Stage, answer
from tests.upstream_answers import completion, dumps
from tests.upstream_steps import Tokens

QUEUE = {"size": 3, "wait": 30}


def _rpm(amount: int, **more: Any) -> Limits:
    return Limits((Rate("requests", amount, 60.0),), **more)


OnLoop = Callable[[Callable[[], None]], None]


def test_a_key_over_its_limit_is_told_which_how_much_and_until_when(on_loop: OnLoop) -> None:
    def story() -> None:
        stage = Limited(keys={"team": (_rpm(2), 1.0)})
        stage.come("team"), stage.come("team")
        refused = stage.come("team").client
        assert refused.failure is not None and refused.failure.kind is FailureKind.RATE_LIMITED
        assert refused.failure.message.startswith("Limit reached for key 'team': 2 requests a minute.")
        assert refused.retry_after is not None and 59 < refused.retry_after <= 60
        assert len(stage.flights) == 2
        stage.come("other")
        assert len(stage.flights) == 3

    on_loop(story)


def test_routes_and_all_have_limits_too(on_loop: OnLoop) -> None:
    def story() -> None:
        stage = Limited(limits={"rpm": 1})
        stage.come(), stage.come()
        assert len(stage.flights) == 1
        stage = Limited()
        stage.limiter.adopt(terms_of(stage.config)._replace(all=_rpm(1)))
        refused = (stage.come(), stage.come())[1].client
        assert len(stage.flights) == 1 and refused.failure is not None
        assert "this gateway" in refused.failure.message

    on_loop(story)


def test_at_once_means_at_once(on_loop: OnLoop) -> None:
    def story() -> None:
        stage = Limited(keys={"k": (Limits(concurrency=1), 1.0)})
        first = stage.come("k")
        assert stage.come("k").client.ends == ["refused"]
        stage.flights[0].whole()
        assert first.client.ends == ["whole"]
        stage.come("k")
        assert len(stage.flights) == 2

    on_loop(story)


def test_tokens_count_as_they_really_were(on_loop: OnLoop) -> None:
    def story() -> None:
        stage = Limited(keys={"k": (Limits((Rate("tokens", 1000, 60.0),)), 1.0)})
        stage.come("k", max_tokens=900)
        assert stage.come("k", max_tokens=900).client.ends == ["refused"]
        stage.flights[0].whole(dumps(completion("Hello", Tokens(7, 2))))
        assert stage.come("k", max_tokens=900).client.ends == []
        stage.flights[1].whole(dumps(completion("Hello", Tokens(500, 480))))
        assert stage.come("k", max_tokens=10).client.ends == ["refused"]

    on_loop(story)


def test_several_answers_take_several_times_as_much(on_loop: OnLoop) -> None:
    def story() -> None:
        stage = Limited(keys={"k": (Limits((Rate("tokens", 1000, 60.0),)), 1.0)})
        assert stage.come("k", max_tokens=300, n=2).client.ends == []
        assert stage.come("k", max_tokens=300, n=2).client.ends == ["refused"]
        assert stage.come("k", max_tokens=300, n=1).client.ends == []

    on_loop(story)


def test_one_that_can_never_fit_is_told_so_without_a_time(on_loop: OnLoop) -> None:
    def story() -> None:
        stage = Limited(keys={"k": (Limits((Rate("tokens", 1000, 60.0),)), 1.0)}, queue=QUEUE)
        refused = stage.come("k", max_tokens=2000).client
        assert refused.failure is not None and refused.retry_after is None
        assert refused.failure.code == "request_too_large" and "1,000 tokens a minute" in refused.failure.message

    on_loop(story)


def test_what_never_reached_a_target_does_not_count(on_loop: OnLoop) -> None:
    def story() -> None:
        stage = Limited("a", keys={"k": (_rpm(1), 1.0)}, backends={"a": {"concurrency": 1}})
        stage.come("other")
        assert stage.come("k").client.ends == ["refused"]
        stage.flights[0].whole()
        assert stage.come("k").client.ends == []

    on_loop(story)


def test_a_target_at_its_limit_is_passed_over_before_it_refuses(on_loop: OnLoop) -> None:
    def story() -> None:
        stage = Limited([{"target": "a/m", "limits": {"rpm": 2}}, "b"])
        for _ in range(4):
            stage.come()
        assert [flight.at for flight in stage.flights] == ["a", "a", "b", "b"]
        assert stage.engine.closed["a/m"].reason == "at its limit of 2 requests a minute"
        assert stage.busy() == 8  # each target's gate, and its backend's

    on_loop(story)


def test_how_near_each_limit_is_can_be_asked(on_loop: OnLoop) -> None:
    def story() -> None:
        stage = Limited([{"target": "a/m", "limits": {"rpm": 4}}, "b"], keys={"team": (_rpm(10), 1.0)})
        for _ in range(3):
            stage.come("team")
        near = dict(stage.limiter.near(time.monotonic()))
        assert near == {"key 'team'": pytest.approx(0.3), "a/m": pytest.approx(0.75)}

    on_loop(story)


def test_where_all_targets_are_at_their_limit_the_refusal_names_the_time(on_loop: OnLoop) -> None:
    def story() -> None:
        stage = Limited("ab", backends={n: {"limits": {"rpm": 1}} for n in "ab"})
        stage.come(), stage.come()
        refused = stage.come().client
        assert refused.failure is not None and refused.failure.verdict.status == 429
        assert refused.retry_after is not None and 59 < refused.retry_after <= 60
        assert [flight.at for flight in stage.flights] == ["a", "b"]

    on_loop(story)


def test_a_choice_leaves_out_what_stands_at_its_limit(on_loop: OnLoop) -> None:
    def story() -> None:
        stage = Limited([{"target": "a/m", "limits": {"rpm": 1}}, "b"], strategy="cheapest")
        stage.come(), stage.come()
        assert [flight.at for flight in stage.flights] == ["a", "b"]
        assert stage.limiter.meters(stage.roads.by_name["chat"].lanes["a/m"])

    on_loop(story)


def test_a_providers_own_headers_correct_ours(on_loop: OnLoop) -> None:
    def story() -> None:
        stage = Limited([{"target": "a/m", "limits": {"rpm": 100}}, "b"])
        stage.come()
        headers = [(b"content-type", b"application/json"), (b"x-ratelimit-remaining-requests", b"1")]
        stage.flights[0].whole(answer(), headers=[*headers, (b"x-ratelimit-reset-requests", b"40s")])
        for _ in range(3):
            stage.come()
        assert [flight.at for flight in stage.flights] == ["a", "a", "b", "b"]

    on_loop(story)


def test_limits_that_change_keep_what_is_counted(on_loop: OnLoop) -> None:
    def story() -> None:
        stage = Limited([{"target": "a/m", "limits": {"rpm": 2}}])
        stage.come()
        terms = terms_of(stage.config)
        stage.limiter.adopt(terms._replace(targets={"a/m": (Rate("requests", 2, 60.0), Rate("tokens", 10**6, 60.0))}))
        stage.come()
        assert stage.come().client.ends == ["refused"]
        stage.limiter.adopt(terms._replace(targets={}))
        assert stage.come().client.ends == []

    on_loop(story)


def test_adaptive_places_move_with_refusals(on_loop: OnLoop) -> None:
    def story() -> None:
        stage = Limited([{"target": "a/m", "concurrency": {"min": 1, "max": 50, "start": 10}}])
        gate = stage.roads.by_name["chat"].lanes["a/m"].gates[0]
        assert gate.limit == 10
        for _ in range(10):
            stage.come()
        assert stage.come().client.ends == ["refused"]
        stage.flights[0].whole(b"{}", status=503)
        assert gate.limit == 7

    on_loop(story)


def test_what_limits_nothing_needs_no_limiter() -> None:
    assert not limits_anything(Stage().config)
    assert limits_anything(Stage(queue={}).config) and limits_anything(Stage(limits={"tpd": 5}).config)
    assert limits_anything(Stage([{"target": "a/m", "concurrency": "adaptive"}]).config)
    assert limits_anything(Stage(backends={"a": {"limits": {"rpm": 5}}}).config)
