"""What a route says about cut, silent and slow streams, and a target about partial answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jsonschema
import pytest
import yaml

from proxy.config.schema import json_schema
from proxy.core.outcome import How
from proxy.core.route import Hedge, OnCut, Route

if TYPE_CHECKING:
    from tests.config.conftest import Loader

BACKENDS = "backends: {b: {type: openai, api_key: k}}\n"
ROUTE = {"backends": {"b": {"type": "ollama"}}}
EDITOR = jsonschema.Draft202012Validator(json_schema())


def route(loader: Loader, more: str) -> Route:
    return loader.good(BACKENDS + f"routes: {{r: {{targets: [b/m], {more}}}}}").routes["r"]


def test_without_a_word_a_cut_stream_goes_on_and_nothing_is_hedged_or_too_slow(loader: Loader) -> None:
    found = loader.good(BACKENDS + "routes: {r: {targets: [b/m]}}").routes["r"]
    assert (found.on_cut, found.hold_tools, found.max_continuations) == (OnCut.CONTINUE, False, 2)
    assert found.continue_by == (How.EXACT, How.PREFILL, How.REPLAY), "asking in words is for who names it"
    assert (found.exact_within, found.keep_alive, found.hedge, found.min_rate) == (5, 15, None, None)
    assert found.targets[0].prefill is None
    assert found.targets[0].retry.same_target is None


def test_everything_that_is_said_arrives(loader: Loader) -> None:
    found = route(
        loader,
        "on_cut: hold, hold: tools, continue: {by: [ask, replay, exact], exact_within: 5 s}, max_continuations: 0, "
        "keep_alive: 800ms, hedge: {after: 800ms, max: 2, budget: 0.5}, min_rate: 2.5",
    )
    assert (found.on_cut, found.hold_tools, found.max_continuations) == (OnCut.HOLD, True, 0)
    assert found.continue_by == (How.ASK, How.REPLAY, How.EXACT), "the order given is the order of trying"
    assert (found.exact_within, found.keep_alive, found.min_rate) == (5, 0.8, 2.5)
    assert found.hedge == Hedge(after=0.8, max=2, budget=0.5)


def test_each_policy_for_a_cut_has_its_word(loader: Loader) -> None:
    assert {route(loader, f"on_cut: {policy.value}").on_cut for policy in OnCut} == set(OnCut)


def test_what_is_not_said_inside_of_continue_and_hedge_has_its_default(loader: Loader) -> None:
    assert route(loader, "continue: {exact_within: 0}").continue_by == (How.EXACT, How.PREFILL, How.REPLAY)
    assert route(loader, "continue: {by: [ask]}").exact_within == 5
    assert route(loader, "hedge: {}").hedge == Hedge()
    assert route(loader, "hedge: {after: p95}").hedge == Hedge(after=None)


@pytest.mark.parametrize(
    ("written", "share"), [("5%", 0.05), ("2.5 %", 0.025), ("0%", 0), ("100%", 1), ("0.2", 0.2), ("1", 1), ("0", 0)]
)
def test_a_share_is_a_percentage_or_a_part_of_one(loader: Loader, written: str, share: float) -> None:
    hedge = route(loader, f"hedge: {{budget: {written}}}").hedge
    assert hedge is not None
    assert hedge.budget == share


def test_null_switches_the_lowest_rate_off_and_an_empty_variable_too(loader: Loader) -> None:
    assert route(loader, "min_rate: null").min_rate is None
    assert route(loader, 'min_rate: "${RATE:-}"').min_rate is None
    loader.environ = {"RATE": "3", "AFTER": "p95", "BUDGET": "7%"}
    found = route(loader, 'min_rate: "${RATE}", hedge: {after: "${AFTER}", budget: "${BUDGET}"}')
    assert (found.min_rate, found.hedge) == (3, Hedge(after=None, budget=0.07))


def test_of_prefill_the_targets_word_counts_before_the_backends(loader: Loader) -> None:
    assert loader.target().prefill is None
    assert loader.target(backend="prefill: true").prefill is True
    assert loader.target("prefill: true").prefill is True
    assert loader.target("prefill: false", backend="prefill: true").prefill is False
    assert loader.target("prefill: true", backend="prefill: false").prefill is True
    config = loader.good("backends: {b: {type: ollama, prefill: false}}\nroutes: {r: {targets: [b/m]}}")
    assert config.direct_targets["b"].prefill is False


def test_more_tries_at_the_same_target_can_be_none_for_certain(loader: Loader) -> None:
    assert loader.target("retry: {same_target: 0}").retry.same_target == 0
    assert loader.target("retry: {patience: 3}", route="retry: {same_target: 2}").retry == (2, 3)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("on_cut: stop", 'on_cut: found "stop", expected one of continue, error, hold'),
        ("on_cut: contine", 'did you mean "continue"?'),
        ("hold: all", 'hold: found "all", expected one of tools'),
        ("hold: true", "hold: found true, expected one of tools"),
        ("continue: exact", "continue: found a text, expected continue (a mapping of by or exact_within)"),
        ("continue: {by: exact}", "continue.by: found a text, expected a list"),
        ("continue: {by: []}", "continue.by: is empty, expected at least 1"),
        ("continue: {by: [fresh]}", 'by[0]: found "fresh", expected one of exact, prefill, replay, ask'),
        ("continue: {by: [ask, exact, ask]}", "continue.by[2]: the same as number 1"),
        ("continue: {exact_within: -1}", "exact_within: found -1, expected a duration of 0 or more"),
        ("continue: {within: 1}", 'unknown key "within", expected by or exact_within; did you mean "exact_within"?'),
        ("max_continuations: 11", "max_continuations: found 11, expected a whole number from 0 to 10"),
        ("keep_alive: 0", "keep_alive: found 0, expected a positive duration"),
        ("hedge: p95", "hedge: found a text, expected hedge (a mapping of after, max or budget)"),
        ("hedge: {after: p99}", 'hedge.after: found "p99", expected p95, or a positive duration'),
        ("hedge: {after: 0}", "hedge.after: found 0, expected p95, or a positive duration"),
        ("hedge: {max: 0}", "hedge.max: found 0, expected a whole number from 1 to 10"),
        ("hedge: {budget: 5}", "hedge.budget: found 5, expected a share: from 0 to 1, or like 5%"),
        ("hedge: {budget: 101%}", 'hedge.budget: found "101%", expected a share'),
        ("hedge: {budget: .nan}", "hedge.budget: found .nan, expected a share"),
        ("min_rate: 0", "min_rate: found 0, expected a positive number of tokens a second, or null"),
        ("min_rate: .inf", "min_rate: found .inf, expected a positive number"),
        ("min_rate: fast", 'min_rate: found "fast", expected a positive number'),
        ("prefill: true", 'unknown key "prefill"'),
    ],
)
def test_a_mistake_is_told_by_the_checker_and_seen_by_an_editor(loader: Loader, more: str, told: str) -> None:
    text = f"routes: {{r: {{targets: [b/m], {more}}}}}"
    lines = loader.bad(BACKENDS + text)
    assert any(told in line for line in lines), lines
    assert len(lines) == 1, lines
    if ".nan" not in more:  # JSON has no such number, so no schema speaks of it
        with pytest.raises(jsonschema.ValidationError):
            EDITOR.validate({**ROUTE, **_data(text)})


def _data(text: str) -> dict[str, object]:
    data: dict[str, object] = yaml.safe_load(text)
    return data


def test_a_target_may_not_hold_what_is_a_routes(loader: Loader) -> None:
    for key in ("on_cut: error", "hedge: {}", "min_rate: 2", "keep_alive: 5"):
        told = loader.bad(BACKENDS + f"routes: {{r: {{targets: [{{target: b/m, {key}}}]}}}}")
        assert any("unknown key" in line for line in told), told
