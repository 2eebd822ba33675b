"""docs/quality.md: its configuration works, and its figures are those of the set of answers."""

from __future__ import annotations

import json
import re
from typing import Any

import yaml

from proxy.config.load import load
from proxy.config.values import Config
from proxy.core.quality.assess import COHERENCE, COMPLETENESS, RELEVANCE, Answer, assess
from tests.readme.blocks import ROOT

DOC = (ROOT / "docs/quality.md").read_text(encoding="utf-8")
ANSWERS = ROOT / "tests/quality/answers"


def test_its_configuration_is_one() -> None:
    parts = [yaml.safe_load(block) for block in re.findall(r"^```yaml\n(.*?)^```", DOC, re.M | re.S)]
    whole: dict[str, Any] = {key: value for part in parts for key, value in part.items()}
    whole["backends"] = {
        "openai": {"type": "openai", "api_key": "sk-x"},
        "groq": {"type": "groq", "api_key": "gsk-x"},
    }
    for name in ("judge", "care", "moderation"):
        whole["routes"][name] = {"targets": [f"openai/{name}"], "screen": False}
    config = load(yaml.safe_dump(whole), {}, "routes.yaml", lambda path: "")
    assert isinstance(config, Config), str(config)
    screen = config.routes["chat"].screen
    assert screen is not None and len(screen.input) == 5 and len(screen.output) == 2


def told(name: str) -> list[tuple[bool, bool]]:
    """Of each answer: is it good, and is it taken for good?"""
    rows = json.loads((ANSWERS / f"{name}.json").read_text(encoding="utf-8"))
    return [(row["good"], assess(row["request"], (Answer(row["text"], row["finish"]),)).value >= 0.85) for row in rows]


def test_the_figures_that_it_states_are_those_that_come_out() -> None:
    text = " ".join(DOC.split())
    tuning, held_out, wrong = told("tuning"), told("held_out"), told("wrong")
    shares = [round(100 * sum(good is taken for good, taken in half) / len(half)) for half in (tuning, held_out)]
    assert f"On {len(tuning) + len(held_out)} real answers" in text
    assert f"good from bad in {shares[0]} % of the half" in text and f"in **{shares[1]} % of the half" in text
    good = [taken for is_good, taken in held_out if is_good]
    bad = [not taken for is_good, taken in held_out if not is_good]
    assert f"(of {len(good)} good ones {sum(good)}, of {len(bad)} bad ones {sum(bad)})" in text
    assert f"Of {len(wrong)} answers that were well formed and wrong it caught none" in text
    assert all(taken for _, taken in wrong)


def test_its_weights_are_those_that_count() -> None:
    words = f"{COMPLETENESS:.0%} completeness, {RELEVANCE:.0%} relevance and {COHERENCE:.0%} coherence"
    assert words.replace("%", " %") in " ".join(DOC.split())
