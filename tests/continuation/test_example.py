"""README's example of a killed model."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


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
