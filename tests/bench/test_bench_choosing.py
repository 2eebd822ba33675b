"""`python -m bench.choosing`: what it costs to choose."""

from __future__ import annotations

import re
import subprocess

import pytest

from bench import process


@pytest.mark.slow
def test_each_row_is_answered_and_told_beside_order() -> None:
    done = subprocess.run(
        process.python("-m", "bench.choosing", "--rounds", "2", "--warm", "20", "--only", "4 targets"),
        cwd=process.ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) > 6
    for line in lines:
        assert re.fullmatch(r"[a-z_0-9, ]+, 4 targets +[\d.]+ us +[\d.]+ x order(  \(asked: [\d.]+\))?", line), line
