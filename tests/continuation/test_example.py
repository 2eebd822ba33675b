"""README's example of a killed model."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).parents[2]
AFTER = 12
"""Words after which the model is killed."""


def test_the_readmes_example_kills_the_model_and_the_answer_is_the_same() -> None:
    done = subprocess.run(
        [sys.executable, "examples/cut.py"], cwd=ROOT, capture_output=True, text=True, timeout=120, check=True
    )
    block = re.search(r"<!-- example: cut -->\n```text\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    assert block is not None
    shown = block[1].splitlines()
    said = done.stdout.splitlines()
    # The words are the model's: another processor rounds otherwise, and may choose others.
    assert [line[:11] for line in said] == [line[:11] for line in shown]
    assert said[2:] == shown[2:]
    assert " [killed]" in said[1]


def test_the_picture_of_it_shows_the_same_answer_twice_and_the_kill_in_the_second() -> None:
    picture = ElementTree.parse(ROOT / "docs" / "cut.svg").getroot()
    texts = [(text.get("class"), text.text or "") for text in picture.iter("{http://www.w3.org/2000/svg}text")]
    second = [place for place, (kind, _) in enumerate(texts) if kind == "title"][1]
    alone, killed = (
        " ".join("".join(f" {text}" for kind, text in part if kind == "word").split())
        for part in (texts[:second], texts[second:])
    )
    assert alone == killed
    kinds = [kind for kind, _ in texts[second:]]
    assert kinds.count("killed") == 1 and kinds.index("killed") == AFTER + 1
    assert texts[-1] == ("told", ": x-wayline-continued: exact here/smollm2")
    assert "(docs/cut.svg)" in (ROOT / "README.md").read_text()
