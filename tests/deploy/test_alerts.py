"""The alert rules ask for numbers that Wayline really gives, by labels and words that these really have."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from proxy.core.failure import FailureKind
from proxy.core.outcome import Ended
from proxy.ops.metrics_layout import FAMILIES
from tests.deploy.image import ROOT

pytestmark = pytest.mark.slow

RULES = yaml.safe_load((ROOT / "deploy/prometheus/rules.yaml").read_text())["groups"][0]["rules"]
LABELS: dict[str, set[str]] = {
    "up": {"job"},
    # Readings of the moment: that they are there is seen on the running image.
    "wayline_target_up": {"target"},
    "wayline_alert": {"kind", "subject"},
    "wayline_config_valid": set(),
    "wayline_ledger_lost_total": set(),
    "wayline_ledger_durable": set(),
}
for family in FAMILIES:
    given = {*family.labels, *family.inner}
    series = ("_bucket", "_sum", "_count") if family.bounds else ("_total",)
    LABELS |= {family.name + end: given | ({"le"} if end == "_bucket" else set()) for end in series}
WORDS = {
    "failure": {kind.value for kind in FailureKind},
    "ended": {ended.value for ended in Ended},
}


def selectors(rule: dict[str, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """(metric, its matchers) of each selector in a rule's expression. Raises where it is not PromQL."""
    import promql_parser  # here, since `make test` collects this file without having it

    text = promql_parser.parse(rule["expr"]).prettify()
    found = re.findall(r"\b(up|wayline_\w+)(?:\{(.*?)\})?", text, re.S)
    return [(name, re.findall(r'(\w+)\s*(?:=~|!~|!=|=)\s*"(.*?)"', inside)) for name, inside in found]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["alert"]))
def test_a_rule_asks_for_metrics_and_labels_that_exist(rule: dict[str, Any]) -> None:
    asked = selectors(rule)
    assert asked
    for name, matchers in asked:
        assert name in LABELS
        for label, value in matchers:
            assert label in LABELS[name]
            assert set(value.split("|")) <= WORDS.get(label, set(value.split("|")))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["alert"]))
def test_a_rule_groups_by_labels_that_its_metrics_have_and_its_sentence_names_only_those(rule: dict[str, Any]) -> None:
    grouped = {label for labels in re.findall(r"by \((.*?)\)", rule["expr"]) for label in re.split(r",\s*", labels)}
    assert all(grouped <= LABELS[name] | {"le", "job"} for name, _ in selectors(rule))
    named = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
    assert named <= grouped | ({"instance"} if "by (" not in rule["expr"] else set())


def test_the_scrape_configuration_reads_the_rules_that_are_there() -> None:
    scrape = yaml.safe_load((ROOT / "deploy/prometheus/scrape.yaml").read_text())
    assert all((ROOT / "deploy/prometheus" / name).is_file() for name in scrape["rule_files"])
    assert [job["job_name"] for job in scrape["scrape_configs"]] == ["wayline"]
