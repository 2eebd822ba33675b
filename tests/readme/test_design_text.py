"""proxy/DESIGN.md names tests and files that are there, and every row of the verdict table."""

from __future__ import annotations

import json
import re

from proxy.core.failure import FailureKind
from tests.readme.blocks import ROOT

TEXT = (ROOT / "proxy/DESIGN.md").read_text(encoding="utf-8")


def section(head: str) -> str:
    return TEXT.partition(f"\n## {head}\n")[2].partition("\n## ")[0]


def rows(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("| ")][1:]


def test_every_test_that_it_names_is_there() -> None:
    named = re.findall(r"`(tests/\S+?\.py)(?:::(\w+))?`", TEXT)
    assert len(named) > 30
    for file, test in named:
        assert not test or f"def {test}(" in (ROOT / file).read_text(encoding="utf-8"), f"{file}::{test}"


def test_every_invariant_has_its_test() -> None:
    assert all("::test_" in row for row in rows(section("Invariants")))


def test_every_module_that_it_names_is_there() -> None:
    for path in re.findall(r"`((?:core|wire|engine|net|proxy)/\w+(?:\.py)?)`", TEXT):
        found = ROOT / path if path.startswith("proxy/") else ROOT / "proxy" / path
        assert found.exists() or found.with_suffix(".py").exists(), path


def test_every_recording_that_it_names_is_there() -> None:
    lines = (ROOT / "tests/backends/fixtures/openai.jsonl").read_text(encoding="utf-8").splitlines()
    there = {json.loads(line)["id"] for line in lines}
    assert set(re.findall(r"`([a-z]+-\d{3})`", TEXT)) <= there


def test_every_failure_has_its_reason() -> None:
    told = {word for row in rows(section("The verdicts")) for word in re.findall(r"\w+", row.split("|")[1])}
    by_themselves = {
        "idle_timeout",
        "total_timeout",
        "stalled",
        "server_error",
        "not_available",
        "client_gone",
        "internal",
    }
    assert {kind.value for kind in FailureKind} - told == by_themselves


def test_every_decision_has_its_date() -> None:
    assert re.match(r"\s*All of \d{4}-\d\d-\d\d", section("Decisions"))
