"""docs/ says what the code says."""

from __future__ import annotations

import json
import re

import orjson
import pytest

from bench.table import replaced, section
from proxy.core.failure import FailureKind
from proxy.core.key import EXPIRED, REPLACED, REVOKED, Key
from proxy.wire import auth, head
from proxy.wire.body import BadBody, chat_request
from proxy.wire.errors import Refusal, model_not_found
from proxy.wire.wishes import wish_in
from scripts.docs import PARTS, renewed
from tests.readme.blocks import ROOT

ERRORS = (ROOT / "docs/errors.md").read_text(encoding="utf-8")
METRICS = (ROOT / "docs/metrics.md").read_text(encoding="utf-8")
SOMETIMES = {
    "wayline_key_cooldown_seconds",  # with `api_keys`
    "wayline_alerts_raised_total",  # when one was raised
    "wayline_probes_total",  # when one was made
    "wayline_quality",  # with `quality`, or when a caller rated an answer
    "wayline_rated_answers_total",
    "wayline_screened_total",  # with `screen`
    "wayline_queue_depth",  # with `limits` or `queue`
    "wayline_queue_requests_total",
    "wayline_queue_seconds_total",
    "wayline_limit_used_ratio",
    "wayline_concurrency_limit",  # with `concurrency: adaptive`
}
"""Metrics that the README's server does not have."""


@pytest.mark.parametrize("name", list(PARTS))
def test_its_generated_parts_are_what_the_code_makes_of_them(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert text == renewed(name, text), f"{name} is old: run `python scripts/docs.py`"


def refused(body: bytes) -> Refusal:
    found = chat_request(body, 4)
    assert isinstance(found, BadBody)
    return found


def test_every_refusal_of_a_request_is_told_and_no_other() -> None:
    refusals = [value for module in (head, auth) for value in vars(module).values() if isinstance(value, Refusal)]
    refusals += [head.too_large(1), head.method_not_allowed(b"GET"), model_not_found("x", [])]
    refusals += [auth._ended(0.0, why) for why in (EXPIRED, REVOKED, REPLACED)]
    refusals.append(auth.not_allowed(Key("alice", frozenset({"chat"})), "x"))
    bodies = (b"{", b'{"model": 1}', b'{"model": "x"}', b'{"model": "x", "messages": [[[[[[]]]]]]}')
    refusals += map(refused, bodies)
    unclear = wish_in({}, {"cheap": True})
    assert isinstance(unclear, Refusal)
    refusals.append(unclear)
    codes = {(each.status, orjson.loads(each.body)["error"]["code"] or "-") for each in refusals}
    told = {(int(status), code.strip("`")) for status, code in re.findall(r"^\| (\d+) \| (\S+) \|", ERRORS, re.M)}
    # the site's own, which Starlette finds, and the engine's, where a target's reasons are told, or our own limits
    limits = {(429, "rate_limit_exceeded"), (429, "request_too_large"), (503, "queue_full")}
    assert told == codes | {(404, "not_found"), (400, "no_target_fits")} | limits


def test_every_kind_of_failure_has_its_row() -> None:
    assert set(re.findall(r"^\| `(\w+)` \| [A-Z]", ERRORS, re.M)) == {kind.value for kind in FailureKind}


def test_every_metric_is_told_with_the_words_of_its_help_and_no_other(came_out: dict[str, str]) -> None:
    given = dict(re.findall(r"^# HELP (wayline_\w+) (.+)$", came_out["metrics"], re.M))
    rows = re.findall(r"^\| `(wayline_\w+)` \| .* \| ([^|]+) \|$", METRICS, re.M)
    told = {name: means for name, means in rows if name not in SOMETIMES}
    assert told == {name: means for name, means in given.items() if name not in SOMETIMES}
    assert len(rows) == len(told) + len(SOMETIMES)


def test_the_labels_that_are_told_are_those_that_are_given(came_out: dict[str, str]) -> None:
    told = {name: set(re.findall(r"`(\w+)`", labels)) for name, labels in _labels()}
    for line in came_out["metrics"].splitlines():
        if found := re.match(r"(wayline_\w+?)(?:_bucket|_sum|_count)?(?:\{(.*)\})? \S+$", line):
            name = found[1] if found[1] in told else found[1] + "_total"
            assert set(re.findall(r'(\w+)="', found[2] or "")) - {"le"} == told.get(name, set()), line


def _labels() -> list[tuple[str, str]]:
    counted = re.findall(r"^\| `(wayline_\w+)` \| (?:counter|histogram) \| (.*?) \|", METRICS, re.M)
    read = re.findall(r"^\| `(wayline_\w+)` \| ((?:`\w+`(?:, )?)*) ?\| (?:least|greatest|sum)? ?\|", METRICS, re.M)
    return counted + read


def test_the_bench_s_section_takes_the_place_between_its_marks() -> None:
    text = "a\n<!-- bench:begin -->\nold\n<!-- bench:end -->\nb\n"
    assert replaced(text, "new") == "a\n<!-- bench:begin -->\nnew\n<!-- bench:end -->\nb\n"
    with pytest.raises(ValueError, match="bench:begin"):
        replaced("a", "new")


def test_the_bench_s_section_shows_what_was_missed_what_was_not_measured_and_what_never_came() -> None:
    document = json.loads((ROOT / "bench/reference.json").read_text(encoding="utf-8"))
    document["results"]["memory"]["tensorzero"]["closed_s"] = [None, None, None]
    document["budgets"] = [
        {"text": "one", "unit": "x", "limit": 3.0, "value": 2.0, "met": True},
        {"text": "two", "unit": "s", "limit": 0.1, "value": None, "met": False},
        {"text": "three", "unit": "x", "limit": 1.0, "value": None, "met": None},
    ]
    made = section(document)
    row = next(line for line in made.splitlines() if "last upstream call" in line)
    assert row.split("|")[4].strip() == "-"
    assert "never" in row
    assert "Of 2 budgets that the bench judges, 1 are met. Not met:\n\n- two: never s, at most 0.1" in made
